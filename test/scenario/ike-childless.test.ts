import assert from 'node:assert/strict';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import {
  AES_GCM_256,
  child,
  connection,
  espProposal,
  mirrored,
  NO_ESN,
  X25519,
} from '../support/connections.ts';
import { A, B, endpoint, type Pair } from '../support/pair.ts';
import { assertAgreement } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const PFS = child({ proposals: [espProposal(AES_GCM_256, X25519, NO_ESN)] });

function up(childless: Connection['childless'], ofPeer: Connection['childless'] = 'allow'): Pair {
  const one = connection({ childless, children: [PFS] });
  const pair = sites(one, mirrored({ ...one, childless: ofPeer }));
  initiate(pair);
  pair.run(2000);
  return pair;
}

function alone(pair: Pair, request: number): void {
  const [local, remote] = [endpoint(A), endpoint(B)];
  pair.handle(pair.a, { kind: 'initiate', request, connection: 'peer', local, remote });
}

describe('An IKE SA without a Child SA (RFC 6023)', () => {
  it('is what an operator gets who names no child', () => {
    const pair = sites(connection(), mirrored(connection()));
    alone(pair, 1);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    assert.equal(pair.ladder[2], '-> IKE_AUTH request 1 [IDi N(INITIAL_CONTACT) IDr AUTH]');
    assert.equal(pair.ladder[3], '<- IKE_AUTH response 1 [IDr AUTH]');
    assertAgreement(pair, 0, 'without a child');
    initiate(pair, pair.a, { request: 2 });
    pair.run(3000);
    assertAgreement(pair, 1, 'with one');
    alone(pair, 3);
    assert.equal(pair.a.outcomes.get(3)?.kind, 'done');
  });

  it('gives the first Child SA a key exchange of its own where it is preferred or forced', () => {
    for (const childless of ['prefer', 'force'] as const) {
      const pair = up(childless);
      assert.equal(pair.a.outcomes.get(1)?.kind, 'done', childless);
      assertAgreement(pair, 1, childless);
      assert.equal([...pair.a.children.values()][0]?.ke?.id, 31, childless);
      assert.match(pair.ladder[4] ?? '', /^-> CREATE_CHILD_SA request 2 \[SA No KE TSi TSr\]/);
    }
  });

  it('is not tried with a peer that does not announce it', () => {
    const allowed = up('prefer', 'never');
    assert.equal(allowed.a.outcomes.get(1)?.kind, 'done');
    assert.doesNotMatch(allowed.ladder[1] ?? '', /CHILDLESS_IKEV2_SUPPORTED/);
    assert.match(allowed.ladder[2] ?? '', /SA TSi TSr/);
    const forced = up('force', 'never');
    const outcome = forced.a.outcomes.get(1);
    assert.equal(outcome?.kind, 'failed');
    assert.match(outcome && 'what' in outcome ? outcome.what : '', /needs a Child SA/);
  });

  it('is demanded of a peer where it is forced: the IKE SA comes up, its Child SA does not', () => {
    const pair = up('never', 'force');
    assert.equal(pair.a.outcomes.get(1)?.kind, 'refused');
    assert.match(pair.ladder[3] ?? '', /IDr AUTH N\(NO_PROPOSAL_CHOSEN\)/);
    assertAgreement(pair, 0, 'without a child');
    const [refused] = pair.b.seen('refused');
    assert.match(refused?.what ?? '', /childless = force/);
  });

  it('is announced unless it is never wanted', () => {
    const pair = up('allow');
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa?.announced.includes(NotifyType.CHILDLESS_IKEV2_SUPPORTED));
  });
});
