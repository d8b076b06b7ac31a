import assert from 'node:assert/strict';
import type { Proposal } from '../../src/ipsec/proposal.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  ikeProposal,
  mirrored,
  NO_ESN,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const PLAIN = espProposal(AES_GCM_256, NO_ESN);
const WITH_X25519 = espProposal(AES_GCM_256, X25519, NO_ESN);
const WITH_BOTH = espProposal(AES_GCM_256, X25519, ECP_256, NO_ESN);
const WITH_ECP = espProposal(AES_GCM_256, ECP_256, NO_ESN);
const OTHER_CIPHER = espProposal(AES_CBC_256, SHA2_256, NO_ESN);

/** A tunnel whose ends have these ESP proposals. */
function between(a: Proposal, b: Proposal): Pair {
  const one = connection({ children: [child({ proposals: [a] })] });
  const other = mirrored(connection({ children: [child({ proposals: [b] })] }));
  const pair = sites(one, other);
  initiate(pair);
  pair.run(1000);
  assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
  return pair;
}

function methodAtA(pair: Pair): number | undefined {
  return [...pair.a.children.values()].at(-1)?.ke?.id;
}

describe('A key exchange of its own at a rekey (RFC 7296 §1.3.3, §2.17)', () => {
  for (const [name, a, b, method] of [
    ['wanted by both', WITH_X25519, WITH_X25519, 31],
    ['wanted by nobody', PLAIN, PLAIN, undefined],
    ['wanted by the initiator only', WITH_X25519, PLAIN, 31],
    ['wanted by the responder only', PLAIN, WITH_X25519, undefined],
  ] as const) {
    it(`is no reason to lose the tunnel: ${name}`, () => {
      for (const side of ['a', 'b'] as const) {
        const pair = side === 'a' ? between(a, b) : between(b, a);
        rekey(pair, pair[side], 'child', 2);
        pair.run(20_000);
        assertAgreement(pair, 1, name);
        assert.equal(methodAtA(pair), method, `begun by ${side}`);
        assert.equal(pair[side].seen('child-sa-rekeyed').length, 1);
      }
    });
  }

  it('changes its method where the peer asks for another (INVALID_KE_PAYLOAD)', () => {
    const pair = between(WITH_BOTH, WITH_ECP);
    const before = pair.ladder.length;
    rekey(pair, pair.a, 'child', 2);
    pair.run(20_000);
    assertAgreement(pair, 1, 'after INVALID_KE_PAYLOAD');
    assert.equal(methodAtA(pair), 19);
    assert.equal(pair.ladder[before + 1], '<- CREATE_CHILD_SA response 2 [N(INVALID_KE_PAYLOAD)]');
    // The next one begins with the method that is known to be good.
    const again = pair.ladder.length;
    rekey(pair, pair.a, 'child', 3);
    pair.run(40_000);
    assert.match(pair.ladder[again + 1] ?? '', /response \d+ \[SA No KE TSi TSr\]/);
  });

  it('makes other keys than without', () => {
    const pair = between(WITH_X25519, WITH_X25519);
    rekey(pair, pair.a, 'child', 2);
    pair.run(20_000);
    const [a] = pair.a.children.values();
    const [b] = pair.b.children.values();
    assert.deepEqual(a?.keysOut.encryption.reveal(), b?.keysIn.encryption.reveal());
    assert.deepEqual(a?.keysIn.encryption.reveal(), b?.keysOut.encryption.reveal());
  });
});

describe('The suite in use', () => {
  it('is accepted at a rekey although the configuration has changed', () => {
    const pair = between(PLAIN, PLAIN);
    const changed = connection({ children: [child({ proposals: [OTHER_CIPHER] })] });
    pair.b.pad.load(mirrored(changed));
    rekey(pair, pair.a, 'child', 2);
    pair.run(20_000);
    assertAgreement(pair, 1, 'after the change');
  });

  it('is accepted for the IKE SA although the configuration has changed', () => {
    const pair = between(PLAIN, PLAIN);
    const proposals = [ikeProposal(AES_GCM_256, PRF_SHA2_256, ECP_256)];
    pair.b.pad.load(mirrored(connection({ proposals })));
    rekey(pair, pair.a, 'ike', 2);
    pair.run(20_000);
    assertAgreement(pair, 1, 'after the change');
    assert.equal(pair.a.seen('ike-sa-rekeyed').length, 1);
  });
});

describe('A rekey that the peer refuses', () => {
  it('leaves the old SA in use and is tried again until its life ends', () => {
    const pair = between(PLAIN, PLAIN);
    const [sa] = pair.b.engine.ikeSas();
    assert.ok(sa);
    // The peer makes no further SAs for a while.
    const { children } = sa;
    const [held] = children.values();
    assert.ok(held);
    pair.b.engine.handle(
      { kind: 'terminate', request: 8, selector: { child: 'none' }, force: false },
      pair.now,
    );
    held.move({ name: 'Rekeying' });
    held.move({ name: 'Deleting', reason: 'test', replaced: false });
    const before = pair.ladder.length;
    rekey(pair, pair.a, 'child', 2);
    pair.run(pair.now + 5000);
    assert.match(pair.ladder[before + 1] ?? '', /N\(TEMPORARY_FAILURE\)/);
    assert.equal(pair.a.children.size, 1);
    pair.run(pair.now + 30_000);
    const tries = pair.ladder.slice(before).filter((line) => line.includes('N(REKEY_SA)'));
    // §2.25: never at once, but in time.
    assert.ok(tries.length >= 2 && tries.length <= 4, `${tries.length} tries`);
  });
});
