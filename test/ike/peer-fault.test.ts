import assert from 'node:assert/strict';
import { isErrorNotify, notifyName } from '../../src/ike/message/notify-types.ts';
import { type FaultKind, faultNotify, peerFault } from '../../src/ike/peer-fault.ts';

/** Values of RFC 7296 §3.10.1. */
const NUMBERS: Readonly<Record<FaultKind, number>> = {
  'unsupported-critical-payload': 1,
  'invalid-syntax': 7,
  'no-proposal-chosen': 14,
  'invalid-ke-payload': 17,
  'authentication-failed': 24,
  'no-additional-sas': 35,
  'internal-address-failure': 36,
  'failed-cp-required': 37,
  'ts-unacceptable': 38,
  'temporary-failure': 43,
  'child-sa-not-found': 44,
};

const FAULTS: readonly FaultKind[] = [
  'unsupported-critical-payload',
  'invalid-syntax',
  'no-proposal-chosen',
  'invalid-ke-payload',
  'authentication-failed',
  'no-additional-sas',
  'internal-address-failure',
  'failed-cp-required',
  'ts-unacceptable',
  'temporary-failure',
  'child-sa-not-found',
];

describe("A peer's fault (RFC 7296 §3.10.1)", () => {
  for (const fault of FAULTS) {
    it(`${fault} is told by the notify of that name`, () => {
      const { type } = faultNotify(peerFault(fault, ''));
      assert.equal(type, NUMBERS[fault]);
      assert.equal(notifyName(type).toLowerCase().replaceAll('_', '-'), fault);
      assert.ok(isErrorNotify(type));
    });
  }

  it('is not explained to the peer', () => {
    const { protocol, spi, data } = faultNotify(peerFault('ts-unacceptable', 'ours is 10.0.0.0/8'));
    assert.deepEqual([protocol, spi, data], [0, new Uint8Array(), new Uint8Array()]);
  });

  it('carries the data its notify needs', () => {
    const fault = peerFault('invalid-ke-payload', 'MODP_2048 is not ours', Uint8Array.of(0, 31));
    assert.deepEqual(faultNotify(fault).data, Uint8Array.of(0, 31));
    assert.equal('data' in peerFault('invalid-syntax', 'x'), false);
  });
});
