import assert from 'node:assert/strict';
import { prf, prfPlus } from '../../src/crypto/prf.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { EncryptionId, TransformType } from '../../src/crypto/transform.ts';
import { childKeymat, deriveIkeKeys, type IkeSuite, ikeSuite } from '../../src/ike/keys.ts';
import { ikeSpi } from '../../src/ike/message/message.ts';
import type { Transform } from '../../src/ipsec/proposal.ts';
import { concatOctets, fromHex } from '../../src/wire/octets.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';

const CHACHA20: Transform = { type: TransformType.ENCR, id: EncryptionId.CHACHA20_POLY1305 };
const nonceI = new Uint8Array(32).fill(1);
const nonceR = new Uint8Array(24).fill(2);
const secret = new Uint8Array(32).fill(3);
const spiI = ikeSpi(fromHex('0102030405060708'));
const spiR = ikeSpi(fromHex('1112131415161718'));

function chosen(encr: Transform | undefined, integ?: Transform) {
  return {
    number: 1,
    protocol: 1,
    spi: new Uint8Array(),
    prf: PRF_SHA2_256,
    ke: X25519,
    ...(encr && { encr }),
    ...(integ && { integ }),
  };
}

function suiteOf(encr: Transform, integ?: Transform): IkeSuite {
  const suite = ikeSuite(chosen(encr, integ));
  assert.ok(suite);
  return suite;
}

function keysOf(suite: IkeSuite) {
  const sharedSecret = new SecretBytes(secret.slice());
  return deriveIkeKeys(suite, { sharedSecret, nonceI, nonceR, spiI, spiR });
}

describe('The suite of an IKE SA', () => {
  it('is an AEAD alone, or a cipher with integrity', () => {
    assert.equal(suiteOf(AES_GCM_256).integ, undefined);
    assert.deepEqual(suiteOf(AES_CBC_256, SHA2_256).integ, SHA2_256);
  });

  it('passes over integrity beside an AEAD', () => {
    assert.equal(suiteOf(AES_GCM_256, SHA2_256).integ, undefined);
  });

  it('is none where a type is missing or an algorithm unknown', () => {
    const { prf: _prf, ...withoutPrf } = chosen(AES_GCM_256);
    const { ke: _ke, ...withoutKe } = chosen(AES_GCM_256);
    const lacking = [
      withoutPrf,
      withoutKe,
      chosen(undefined),
      chosen(AES_CBC_256),
      chosen({ ...AES_CBC_256, id: 999 }, SHA2_256),
      chosen(AES_CBC_256, { ...SHA2_256, id: 999 }),
      { ...chosen(AES_GCM_256), prf: { ...PRF_SHA2_256, id: 999 } },
    ];
    for (const proposal of lacking) assert.equal(ikeSuite(proposal), undefined);
  });
});

describe('Keys of an IKE SA (RFC 7296 §2.14)', () => {
  it('are cut in the order of the RFC: d, ai, ar, ei, er, pi, pr', () => {
    const suite = suiteOf(AES_CBC_256, SHA2_256);
    const skeyseed = prf(suite.prf, concatOctets(nonceI, nonceR), secret);
    const seed = concatOctets(nonceI, nonceR, fromHex(spiI), fromHex(spiR));
    const { skD, skAi, skAr, skEi, skEr, skPi, skPr } = keysOf(suite);
    const cut = [skD, skAi, skAr, skEi, skEr, skPi, skPr].map((key) => key.reveal());
    assert.deepEqual(concatOctets(...cut), prfPlus(suite.prf, skeyseed, seed, 7 * 32));
    assert.deepEqual(
      cut.map(({ length }) => length),
      [32, 32, 32, 32, 32, 32, 32],
    );
  });

  it('have no integrity keys and a salt with an AEAD (RFC 5282 §7.1)', () => {
    const keys = keysOf(suiteOf(AES_GCM_256));
    assert.deepEqual([keys.skAi.length, keys.skAr.length], [0, 0]);
    assert.deepEqual([keys.skEi.length, keys.skEr.length], [36, 36]);
    assert.equal(keysOf(suiteOf({ ...AES_GCM_256, keyLength: 128 })).skEi.length, 20);
  });

  it('have the only length there is where the transform names none (RFC 7634 §4)', () => {
    assert.equal(keysOf(suiteOf(CHACHA20)).skEi.length, 36);
  });
});

describe('KEYMAT of a first Child SA (RFC 7296 §2.17)', () => {
  it('is prf+ of SK_d over both nonces, as long as asked for', () => {
    const suite = suiteOf(AES_GCM_256);
    const keys = keysOf(suite);
    const keymat = childKeymat(suite, keys, nonceI, nonceR, 72);
    const expected = prfPlus(suite.prf, keys.skD.reveal(), concatOctets(nonceI, nonceR), 72);
    assert.deepEqual(keymat, expected);
    assert.notDeepEqual(childKeymat(suite, keys, nonceR, nonceI, 72), keymat);
  });
});
