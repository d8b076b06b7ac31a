import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { prf, prfPlus } from '../../src/crypto/prf.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { EncryptionId, PrfId, TransformType } from '../../src/crypto/transform.ts';
import {
  childKeymat,
  deriveIkeKeys,
  deriveRekeyedIkeKeys,
  type IkeSuite,
  ikeSuite,
} from '../../src/ike/keys.ts';
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

  it('have a salt of 3 octets with CCM, and a nonce of 4 in counter mode', () => {
    const ccm = { ...AES_GCM_256, id: EncryptionId.AES_CCM_16 };
    assert.deepEqual([keysOf(suiteOf(ccm)).skEi.length, keysOf(suiteOf(ccm)).skAi.length], [35, 0]);
    const ctr = keysOf(suiteOf({ ...AES_CBC_256, id: EncryptionId.AES_CTR }, SHA2_256));
    assert.deepEqual([ctr.skEr.length, ctr.skAr.length], [36, 32]);
  });

  it('come from 64 bits of each nonce with AES-CMAC, and prf+ of them from all', () => {
    const suite = ikeSuite({
      ...chosen(AES_GCM_256),
      prf: { type: TransformType.PRF, id: PrfId.PRF_AES128_CMAC },
    });
    assert.ok(suite);
    const nonces = concatOctets(nonceI.slice(0, 8), nonceR.slice(0, 8));
    const skeyseed = prf(suite.prf, nonces, secret);
    const seed = concatOctets(nonceI, nonceR, fromHex(spiI), fromHex(spiR));
    const { skD } = keysOf(suite);
    assert.deepEqual(skD.reveal(), prfPlus(suite.prf, skeyseed, seed, 16));
  });

  it('have the only length there is where the transform names none (RFC 7634 §4)', () => {
    assert.equal(keysOf(suiteOf(CHACHA20)).skEi.length, 36);
  });
});

/** HMAC and prf+ (§2.13) by the book, to hold ours against. */
function hmac(hash: string, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  return createHmac(hash, key)
    .update(concatOctets(...data))
    .digest();
}

function hmacPlus(hash: string, key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  let last = new Uint8Array();
  let all = new Uint8Array();
  for (let round = 1; all.length < length; round++) {
    last = Uint8Array.from(hmac(hash, key, last, seed, Uint8Array.of(round)));
    all = Uint8Array.from(concatOctets(all, last));
  }
  return all.slice(0, length);
}

describe('Keys of an IKE SA that replaces another (RFC 7296 §2.18)', () => {
  const old = suiteOf(AES_CBC_256, SHA2_256);
  const exchange = () => ({
    sharedSecret: new SecretBytes(secret.slice()),
    nonceI,
    nonceR,
    spiI: ikeSpi(fromHex('2122232425262728')),
    spiR: ikeSpi(fromHex('3132333435363738')),
  });

  function reveal(keys: ReturnType<typeof keysOf>): readonly Uint8Array[] {
    const { skD, skAi, skAr, skEi, skEr, skPi, skPr } = keys;
    return [skD, skAi, skAr, skEi, skEr, skPi, skPr].map((key) => key.reveal());
  }

  it('come from the old SK_d, the new secret, the new nonces and the new SPIs', () => {
    const before = keysOf(old);
    const { spiI: newI, spiR: newR } = exchange();
    const skeyseed = hmac('sha256', before.skD.reveal(), secret, nonceI, nonceR);
    const seed = concatOctets(nonceI, nonceR, fromHex(newI), fromHex(newR));
    const found = reveal(deriveRekeyedIkeKeys(old, { suite: old, keys: before }, exchange()));
    assert.deepEqual(concatOctets(...found), hmacPlus('sha256', skeyseed, seed, 7 * 32));
  });

  it('take SKEYSEED by the old PRF and all else by the new one', () => {
    const before = keysOf(old);
    const sha384 = { type: TransformType.PRF, id: PrfId.PRF_HMAC_SHA2_384 };
    const suite = ikeSuite({ ...chosen(AES_GCM_256), prf: sha384 });
    assert.ok(suite);
    const { spiI: newI, spiR: newR } = exchange();
    const skeyseed = hmac('sha256', before.skD.reveal(), secret, nonceI, nonceR);
    const seed = concatOctets(nonceI, nonceR, fromHex(newI), fromHex(newR));
    const keys = reveal(deriveRekeyedIkeKeys(suite, { suite: old, keys: before }, exchange()));
    assert.deepEqual(
      keys.map(({ length }) => length),
      [48, 0, 0, 36, 36, 48, 48],
    );
    assert.deepEqual(concatOctets(...keys), hmacPlus('sha384', skeyseed, seed, 3 * 48 + 2 * 36));
  });

  it('are none of a first IKE SA, even over the same secret and nonces', () => {
    const before = keysOf(old);
    const after = deriveRekeyedIkeKeys(
      old,
      { suite: old, keys: before },
      { ...exchange(), spiI, spiR },
    );
    assert.notDeepEqual(after.skD.reveal(), before.skD.reveal());
  });
});

describe('KEYMAT of a Child SA (RFC 7296 §2.17)', () => {
  const suite = suiteOf(AES_GCM_256);
  const keys = keysOf(suite);

  it('is prf+ of SK_d over both nonces, as long as asked for', () => {
    const keymat = childKeymat({ suite, keys }, { nonceI, nonceR }, 72);
    const expected = prfPlus(suite.prf, keys.skD.reveal(), concatOctets(nonceI, nonceR), 72);
    assert.deepEqual(keymat, expected);
    const turned = childKeymat({ suite, keys }, { nonceI: nonceR, nonceR: nonceI }, 72);
    assert.notDeepEqual(turned, keymat);
  });

  it('has the secret of a key exchange of its own before the nonces', () => {
    const sharedSecret = new SecretBytes(secret.slice());
    const keymat = childKeymat({ suite, keys }, { nonceI, nonceR, sharedSecret }, 72);
    const seed = concatOctets(secret, nonceI, nonceR);
    assert.deepEqual(keymat, hmacPlus('sha256', keys.skD.reveal(), seed, 72));
  });
});
