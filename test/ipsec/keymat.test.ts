import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId, TransformType } from '../../src/crypto/transform.ts';
import type { EspKeys } from '../../src/ipsec/child-sa.ts';
import { childKeymatLength, childKeys } from '../../src/ipsec/keymat.ts';

const { ENCR, INTEG } = TransformType;
const cbc = { type: ENCR, id: EncryptionId.AES_CBC, keyLength: 256 };
const gcm = { type: ENCR, id: EncryptionId.AES_GCM_16, keyLength: 128 };
const chacha = { type: ENCR, id: EncryptionId.CHACHA20_POLY1305 };
const sha256 = { type: INTEG, id: IntegrityId.AUTH_HMAC_SHA2_256_128 };
const none = { type: INTEG, id: IntegrityId.NONE };

/** Octets that say where they stand. */
const counted = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);
const spans = (keys: EspKeys): readonly (readonly (number | undefined)[])[] =>
  [keys.encryption, keys.integrity].map((key) => [
    key.reveal()[0],
    key.reveal().at(-1),
    key.length,
  ]);

describe('KEYMAT of a Child SA (RFC 7296 §2.17)', () => {
  it('holds encryption with salt and integrity keys of both directions', () => {
    assert.equal(childKeymatLength(cbc, sha256), 2 * (32 + 32));
    assert.equal(childKeymatLength(gcm, undefined), 2 * (16 + 4));
    assert.equal(childKeymatLength(gcm, none), 2 * (16 + 4));
    assert.equal(childKeymatLength(chacha, undefined), 2 * (32 + 4));
  });

  it('gives initiator to responder first, encryption before integrity', () => {
    const { inbound, outbound } = childKeys(counted(128), cbc, sha256, true);
    assert.deepEqual(spans(outbound), [
      [0, 31, 32],
      [32, 63, 32],
    ]);
    assert.deepEqual(spans(inbound), [
      [64, 95, 32],
      [96, 127, 32],
    ]);
  });

  it('gives the responder the mirror image', () => {
    const ours = childKeys(counted(40), gcm, undefined, true);
    const theirs = childKeys(counted(40), gcm, undefined, false);
    assert.deepEqual(spans(theirs.inbound), spans(ours.outbound));
    assert.deepEqual(spans(theirs.outbound), spans(ours.inbound));
    assert.deepEqual(spans(ours.outbound), [
      [0, 19, 20],
      [undefined, undefined, 0],
    ]);
  });

  it('refuses transforms and lengths that were never negotiated', () => {
    assert.throws(() => childKeys(counted(39), gcm, undefined, true));
    assert.throws(() => childKeymatLength({ ...gcm, id: EncryptionId.DES }, undefined));
    assert.throws(() => childKeymatLength({ ...gcm, keyLength: 64 }, undefined));
    assert.throws(() => childKeymatLength(cbc, { ...sha256, id: IntegrityId.AUTH_HMAC_MD5_96 }));
  });
});
