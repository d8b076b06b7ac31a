import assert from 'node:assert/strict';
import { EsnId, IntegrityId, TransformType } from '../../src/crypto/transform.ts';
import {
  acceptChildGrant,
  answerChildOffer,
  policyProposal,
} from '../../src/ike/child-negotiation.ts';
import type { TsEntry } from '../../src/ike/message/message.ts';
import type { Proposal, Transform } from '../../src/ipsec/proposal.ts';
import { AES_GCM_256, child, espProposal, NO_ESN } from '../support/connections.ts';
import { A, B, endpoint } from '../support/pair.ts';

const ESN: Transform = { type: TransformType.ESN, id: EsnId.ESN };
const ADDRESSES = { local: [endpoint(A).address], remote: [endpoint(B).address] };
const PLAIN = espProposal(AES_GCM_256, NO_ESN);
const SPI = [1, 2, 3, 4];

function range(first: string, last: string, startPort = 0, endPort = 0xffff): TsEntry {
  const ends = { first: endpoint(first).address, last: endpoint(last).address };
  return { kind: 'range', selector: { range: ends, protocol: 0, startPort, endPort } };
}

const LOCAL_NET = range('10.1.0.0', '10.1.255.255');
const REMOTE_NET = range('10.2.0.0', '10.2.255.255');

/** What we as responder make of one proposal. */
function answer(ours: Proposal, theirs: Proposal, octets: readonly number[] = SPI) {
  const proposals = [{ ...theirs, number: 1, spi: Uint8Array.from(octets) }];
  return answerChildOffer([policyProposal(child({ proposals: [ours] }), ADDRESSES)], {
    sa: { kind: 'SA', proposals },
    tsI: { kind: 'TSi', entries: [REMOTE_NET] },
    tsR: { kind: 'TSr', entries: [LOCAL_NET] },
  });
}

/** What we as initiator make of the selectors of a grant. */
function grant(tsI: readonly TsEntry[], tsR: readonly TsEntry[]): string {
  const proposals = [{ ...PLAIN, number: 1, spi: Uint8Array.from(SPI) }];
  const accepted = acceptChildGrant(child(), policyProposal(child(), ADDRESSES), {
    sa: { kind: 'SA', proposals },
    tsI: { kind: 'TSi', entries: tsI },
    tsR: { kind: 'TSr', entries: tsR },
  });
  return accepted.kind === 'fault' ? accepted.fault : accepted.kind;
}

describe('The proposal of a Child SA (RFC 7296 §3.3)', () => {
  it('with a reserved SPI, or one that is not 4 octets, is refused', () => {
    for (const spi of [[0, 0, 0, 0], [0, 0, 0, 255], [1, 2, 3], [], [1, 2, 3, 4, 5, 6, 7, 8]]) {
      const refused = answer(PLAIN, PLAIN, spi);
      assert.equal(refused.kind === 'fault' ? refused.fault : '', 'no-proposal-chosen');
    }
    assert.equal(answer(PLAIN, PLAIN, [0, 0, 1, 0]).kind, 'agreed');
  });

  it('agrees on sequence numbers of 32 or 64 bits; none named means 32', () => {
    const gcm = (...esn: readonly Transform[]) => espProposal(AES_GCM_256, ...esn);
    const none = { ...ESN, id: EsnId.NO_ESN };
    const cases: readonly [Proposal, Proposal, number | undefined][] = [
      [gcm(ESN, none), gcm(none, ESN), EsnId.ESN],
      [gcm(none), gcm(ESN, none), EsnId.NO_ESN],
      [gcm(ESN), gcm(none), undefined],
      [gcm(ESN), gcm(), undefined],
      [gcm(none), gcm(), EsnId.NO_ESN],
    ];
    for (const [ours, theirs, expected] of cases) {
      const chosen = answer(ours, theirs);
      assert.equal(chosen.kind === 'agreed' ? chosen.proposal.esn?.id : undefined, expected);
    }
  });

  it('needs the key length that was configured', () => {
    const bare = { type: TransformType.ENCR, id: AES_GCM_256.id };
    for (const encr of [bare, { ...bare, keyLength: 128 }, { ...bare, keyLength: 257 }]) {
      assert.equal(answer(PLAIN, espProposal(encr, NO_ESN)).kind, 'fault');
    }
  });

  it('may name integrity NONE beside an AEAD cipher', () => {
    const none = { type: TransformType.INTEG, id: IntegrityId.NONE };
    const chosen = answer(PLAIN, espProposal(AES_GCM_256, none, NO_ESN));
    assert.ok(chosen.kind === 'agreed');
    assert.equal(chosen.proposal.integ, undefined);
  });
});

describe('The selectors a responder grants (RFC 7296 §2.9)', () => {
  it('are within ours, and neither none nor the wrong way round', () => {
    assert.equal(grant([LOCAL_NET], [REMOTE_NET]), 'agreed');
    assert.equal(grant([REMOTE_NET], [LOCAL_NET]), 'ts-unacceptable');
    assert.equal(grant([], [REMOTE_NET]), 'ts-unacceptable');
    assert.equal(grant([LOCAL_NET], [range('10.0.0.0', '10.2.0.9')]), 'ts-unacceptable');
  });

  it('describe nothing where they run backwards, but for OPAQUE', () => {
    assert.equal(grant([range('10.1.0.9', '10.1.0.1')], [REMOTE_NET]), 'ts-unacceptable');
    assert.equal(grant([range('10.1.0.1', '10.1.0.9', 9, 1)], [REMOTE_NET]), 'ts-unacceptable');
    assert.equal(grant([range('10.1.0.1', '10.1.0.9', 0xffff, 0)], [REMOTE_NET]), 'agreed');
  });
});
