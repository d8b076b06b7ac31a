import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { type EspTransforms, espSuite } from '../../src/esp/esp-suite.ts';

const SHA2_256 = { id: IntegrityId.AUTH_HMAC_SHA2_256_128 };

/** Cipher, mode, MAC, and the octets of IV, ICV and salt with the alignment. */
function shape(transforms: EspTransforms): readonly unknown[] {
  const suite = espSuite(transforms);
  const { cipher, mode, mac, ivLength, icvLength, saltLength, alignment } = suite;
  return [cipher, mode, mac, ivLength, icvLength, saltLength, alignment];
}

describe('Transforms of an ESP SA', () => {
  it('puts AES-GCM together, with each ICV (RFC 4106)', () => {
    const { AES_GCM_16, AES_GCM_12, AES_GCM_8 } = EncryptionId;
    for (const [id, icv] of [
      [AES_GCM_16, 16] as const,
      [AES_GCM_12, 12] as const,
      [AES_GCM_8, 8] as const,
    ]) {
      const gcm = ['aes-256-gcm', 'gcm', undefined, 8, icv, 4, 4];
      assert.deepEqual(shape({ encr: { id, keyLength: 256 } }), gcm);
    }
  });

  it('puts AES-CCM together, with a salt of 3 octets (RFC 4309)', () => {
    const { AES_CCM_16, AES_CCM_12, AES_CCM_8 } = EncryptionId;
    for (const [id, icv] of [
      [AES_CCM_16, 16] as const,
      [AES_CCM_12, 12] as const,
      [AES_CCM_8, 8] as const,
    ]) {
      const ccm = ['aes-192-ccm', 'ccm', undefined, 8, icv, 3, 4];
      assert.deepEqual(shape({ encr: { id, keyLength: 192 } }), ccm);
    }
  });

  it('puts ChaCha20-Poly1305 together without a key length (RFC 7634)', () => {
    const chacha = ['chacha20-poly1305', 'chacha20-poly1305', undefined, 8, 16, 4, 4];
    assert.deepEqual(shape({ encr: { id: EncryptionId.CHACHA20_POLY1305 } }), chacha);
  });

  it('puts GMAC together: an ICV and nothing encrypted (RFC 4543)', () => {
    const gmac = ['aes-128-gcm', 'gmac', undefined, 8, 16, 4, 4];
    const encr = { id: EncryptionId.NULL_AUTH_AES_GMAC, keyLength: 128 };
    assert.deepEqual(shape({ encr }), gmac);
  });

  it('puts AES-CBC and HMAC together (RFC 3602, RFC 4868)', () => {
    const encr = { id: EncryptionId.AES_CBC, keyLength: 128 };
    const integ = { id: IntegrityId.AUTH_HMAC_SHA2_384_192 };
    const cbc = ['aes-128-cbc', 'cbc', 'hmac-sha384', 16, 24, 0, 16];
    assert.deepEqual(shape({ encr, integ }), cbc);
  });

  it('aligns Triple DES to its blocks, and NULL and counter mode to 4 octets', () => {
    const { NULL, AES_CTR } = EncryptionId;
    const tripleDes = { id: EncryptionId['3DES'] };
    assert.deepEqual(shape({ encr: tripleDes, integ: SHA2_256 }).slice(3), [8, 16, 0, 8]);
    assert.deepEqual(shape({ encr: { id: NULL }, integ: SHA2_256 }).slice(3), [0, 16, 0, 4]);
    const ctr = { id: AES_CTR, keyLength: 128 };
    assert.deepEqual(shape({ encr: ctr, integ: SHA2_256 }).slice(3), [8, 16, 4, 4]);
  });

  it('sends the sequence number as IV, except in CBC mode and where there is none', () => {
    const sequenceIv = (id: number, integ?: typeof SHA2_256) =>
      espSuite({ encr: { id, keyLength: 128 }, ...(integ && { integ }) }).sequenceIv;
    const { AES_GCM_16, NULL_AUTH_AES_GMAC, AES_CCM_8, AES_CTR, CAMELLIA_CTR } = EncryptionId;
    const { AES_CBC, CAMELLIA_CBC } = EncryptionId;
    for (const id of [AES_GCM_16, NULL_AUTH_AES_GMAC, AES_CCM_8])
      assert.equal(sequenceIv(id), true);
    for (const id of [AES_CTR, CAMELLIA_CTR]) assert.equal(sequenceIv(id, SHA2_256), true);
    for (const id of [AES_CBC, CAMELLIA_CBC]) assert.equal(sequenceIv(id, SHA2_256), false);
    const none = espSuite({ encr: { id: EncryptionId.NULL }, integ: SHA2_256 });
    assert.equal(none.sequenceIv, false);
  });

  it('refuses a cipher without integrity, and an AEAD cipher with a second one', () => {
    const { AES_CBC, AES_CTR, AES_GCM_16, NULL_AUTH_AES_GMAC } = EncryptionId;
    for (const id of [AES_CBC, AES_CTR]) {
      assert.throws(() => espSuite({ encr: { id, keyLength: 128 } }), RangeError);
    }
    assert.throws(() => espSuite({ encr: { id: EncryptionId.NULL } }), RangeError);
    for (const id of [AES_GCM_16, NULL_AUTH_AES_GMAC]) {
      assert.throws(() => espSuite({ encr: { id, keyLength: 128 }, integ: SHA2_256 }), RangeError);
    }
  });

  it('refuses what is not in the table', () => {
    assert.throws(() => espSuite({ encr: { id: EncryptionId.DES } }), RangeError);
  });
});
