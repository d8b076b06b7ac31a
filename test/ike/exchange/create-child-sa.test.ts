import assert from 'node:assert/strict';
import fc from 'fast-check';
import { keyExchangeMethod } from '../../../src/crypto/key-exchange.ts';
import { KeyExchangeId, TransformType } from '../../../src/crypto/transform.ts';
import {
  answerKeyExchange,
  compareNonces,
  finishKeyExchange,
  isFault,
  keyPair,
  lowestNonce,
  methodsOf,
  newNonce,
  nonceOf,
  otherMethod,
  retryDelay,
} from '../../../src/ike/exchange/create-child-sa.ts';
import type { KePayload, NotifyPayload } from '../../../src/ike/message/message.ts';
import { NotifyType } from '../../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../../src/ike/payload-access.ts';
import type { PeerFault } from '../../../src/ike/peer-fault.ts';
import { toHex } from '../../../src/wire/octets.ts';
import { AES_GCM_256, ECP_256, espProposal, NO_ESN, X25519 } from '../../support/connections.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { turnAt } from '../../support/turns.ts';

const NONCE = new Uint8Array(32).fill(1);
const CURVE = X25519.id;
const NIST = ECP_256.id;

function octets(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

type Result =
  | ReturnType<typeof nonceOf>
  | ReturnType<typeof answerKeyExchange>
  | ReturnType<typeof finishKeyExchange>;

function faultOf(result: Result, fault: PeerFault['fault']): PeerFault {
  assert.ok('kind' in result && result.kind === 'fault', 'it was accepted');
  assert.equal(result.fault, fault);
  return result;
}

describe('Nonces of two exchanges at once (RFC 7296 §2.8.1)', () => {
  it('are compared octet by octet, as unsigned numbers', () => {
    assert.ok(compareNonces(octets(1, 9, 9), octets(2, 0, 0)) < 0);
    assert.ok(compareNonces(octets(1, 2, 200), octets(1, 2, 100)) > 0);
    assert.ok(compareNonces(octets(0x7f), octets(0x80)) < 0);
    assert.equal(compareNonces(octets(1, 2), octets(1, 2)), 0);
  });

  it('that end first are lower, unless an octet decided before', () => {
    assert.ok(compareNonces(octets(1, 2), octets(1, 2, 0)) < 0);
    assert.ok(compareNonces(octets(1, 3), octets(1, 2, 9)) > 0);
  });

  it('are in the order of their hexadecimal digits', () => {
    const nonce = fc.uint8Array({ minLength: 1, maxLength: 40, max: 3 });
    fc.assert(
      fc.property(nonce, nonce, (one, other) => {
        const [a, b] = [toHex(one), toHex(other)];
        const expected = a < b ? -1 : Number(a > b);
        assert.equal(Math.sign(compareNonces(one, other)), expected);
        assert.equal(toHex(lowestNonce(one, other)), a < b ? a : b);
      }),
    );
  });
});

describe('The nonce of CREATE_CHILD_SA (RFC 7296 §2.10)', () => {
  it('has 32 octets of ours, another each time', () => {
    const turn = turnAt(0);
    const [one, other] = [newNonce(turn), newNonce(turn)];
    assert.deepEqual([one.length, other.length], [32, 32]);
    assert.notDeepEqual(one, other);
  });

  it('is needed, with 16 to 256 octets', () => {
    for (const length of [16, 32, 256]) {
      const nonce = new Uint8Array(length);
      assert.equal(nonceOf([{ kind: 'NONCE', nonce }]), nonce);
    }
    for (const length of [0, 15, 257]) {
      const found = nonceOf([{ kind: 'NONCE', nonce: new Uint8Array(length) }]);
      assert.ok(isFault(found));
      assert.match(faultOf(found, 'invalid-syntax').what, new RegExp(`^nonce: ${length} octets`));
    }
    faultOf(nonceOf([]), 'invalid-syntax');
    assert.equal(isFault(NONCE), false);
  });
});

describe('A refused exchange (RFC 7296 §2.25)', () => {
  it('is tried again after 10 to 20 seconds, another time each', () => {
    const delays = [0, 128, 255].map((octet) =>
      retryDelay(turnAt(0, { random: () => octets(octet) })),
    );
    assert.deepEqual(delays, [10_000, 15_000, 19_960.9375]);
  });
});

describe('The key exchange of CREATE_CHILD_SA (RFC 7296 §1.3, §3.4)', () => {
  const ke = (method: number, data: Uint8Array): KePayload => ({ kind: 'KE', method, data });
  const pairOf = (method: number) =>
    keyExchangeMethod(method)?.generate(seededRandom(9)) ?? assert.fail();

  it('has the methods of its proposals, best first, each once', () => {
    const none = { type: TransformType.KE, id: KeyExchangeId.NONE };
    const proposals = [
      espProposal(AES_GCM_256, ECP_256, none, NO_ESN),
      espProposal(AES_GCM_256, X25519, ECP_256, NO_ESN),
      espProposal(AES_GCM_256, NO_ESN),
    ];
    assert.deepEqual(methodsOf(proposals), [NIST, CURVE]);
    assert.deepEqual(methodsOf([espProposal(AES_GCM_256, NO_ESN)]), []);
  });

  it('gives both ends the same secret', () => {
    for (const method of [CURVE, NIST]) {
      const keyExchange = keyPair(turnAt(0), method);
      const answer = answerKeyExchange(
        turnAt(0, { random: seededRandom(2) }),
        method,
        ke(method, keyExchange.publicData),
        NONCE,
      );
      assert.ok(answer.kind === 'keys');
      assert.equal(answer.payload.method, method);
      const finished = finishKeyExchange({ method, keyExchange }, answer.payload, NONCE);
      assert.ok(finished.kind === 'shared');
      assert.deepEqual(finished.shared.reveal(), answer.shared.reveal());
      assert.equal(finished.shared.length, 32);
    }
  });

  it('is of a method that we have, or that is our mistake', () => {
    assert.throws(() => keyPair(turnAt(0), 999), /key exchange method 999/);
  });

  it('of another method, or none, is answered with the method we want', () => {
    const { publicData } = pairOf(NIST);
    for (const sent of [ke(NIST, publicData), undefined]) {
      const answer = answerKeyExchange(turnAt(0), CURVE, sent, NONCE);
      const { data, what } = faultOf(answer, 'invalid-ke-payload');
      assert.deepEqual(data, octets(0, 31));
      assert.match(what, /chosen was CURVE_25519$/);
    }
  });

  it('is refused by the responder where the value is too short or no good (RFC 6989)', () => {
    for (const [value, expected] of [
      [new Uint8Array(31).fill(9), /^KE: 31 octets for CURVE_25519, 32 expected/],
      [new Uint8Array(33).fill(9), /^KE: 33 octets/],
      [new Uint8Array(32), /^KE: the peer's CURVE_25519 value is refused/],
    ] as const) {
      const answer = answerKeyExchange(turnAt(0), CURVE, ke(CURVE, value), NONCE);
      assert.match(faultOf(answer, 'invalid-syntax').what, expected);
    }
  });

  it('is refused by the initiator where the answer does not fit', () => {
    const ours = { method: CURVE, keyExchange: pairOf(CURVE) };
    const answers = [
      undefined,
      ke(NIST, pairOf(NIST).publicData),
      ke(CURVE, new Uint8Array(31).fill(9)),
      ke(CURVE, new Uint8Array(32)),
    ];
    for (const answer of answers) {
      faultOf(finishKeyExchange(ours, answer, NONCE), 'invalid-syntax');
    }
  });

  it('begins again with the method a peer names, if we offered it and have not tried it', () => {
    const notify = (...data: readonly number[]): NotifyPayload =>
      statusNotify(NotifyType.INVALID_KE_PAYLOAD, octets(...data));
    const offered = [CURVE, NIST];
    assert.equal(otherMethod(notify(0, 19), offered, CURVE), NIST);
    assert.equal(otherMethod(notify(0, 19), offered, undefined), NIST);
    assert.equal(otherMethod(notify(0, 31), offered, CURVE), undefined, 'the one we tried');
    assert.equal(otherMethod(notify(0, 14), offered, CURVE), undefined, 'not offered');
    assert.equal(otherMethod(notify(19), offered, CURVE), undefined, 'one octet');
    assert.equal(otherMethod(notify(), offered, CURVE), undefined, 'no data');
    assert.equal(otherMethod(notify(0, 19, 0), offered, CURVE), undefined, 'three octets');
    assert.equal(otherMethod(notify(1, 19), [19, 275], undefined), 275);
  });
});
