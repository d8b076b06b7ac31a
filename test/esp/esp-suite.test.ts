import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';

describe('Transforms of an ESP SA', () => {
  it('puts AES-GCM together (RFC 4106)', () => {
    const suite = espSuite({ encr: { id: EncryptionId.AES_GCM_16, keyLength: 256 } });
    assert.deepEqual(
      [
        suite.cipher,
        suite.aead,
        suite.ivLength,
        suite.icvLength,
        suite.saltLength,
        suite.alignment,
      ],
      ['aes-256-gcm', true, 8, 16, 4, 4],
    );
  });

  it('puts ChaCha20-Poly1305 together without a key length (RFC 7634)', () => {
    const suite = espSuite({ encr: { id: EncryptionId.CHACHA20_POLY1305 } });
    assert.deepEqual(
      [suite.cipher, suite.icvLength, suite.alignment],
      ['chacha20-poly1305', 16, 4],
    );
  });

  it('puts AES-CBC and HMAC together (RFC 3602, RFC 4868)', () => {
    const suite = espSuite({
      encr: { id: EncryptionId.AES_CBC, keyLength: 128 },
      integ: { id: IntegrityId.AUTH_HMAC_SHA2_384_192 },
    });
    assert.deepEqual(
      [suite.cipher, suite.digest, suite.aead, suite.ivLength, suite.icvLength, suite.alignment],
      ['aes-128-cbc', 'sha384', false, 16, 24, 16],
    );
  });

  it('refuses a cipher without integrity, and an AEAD cipher with a second one', () => {
    assert.throws(
      () => espSuite({ encr: { id: EncryptionId.AES_CBC, keyLength: 128 } }),
      RangeError,
    );
    assert.throws(
      () =>
        espSuite({
          encr: { id: EncryptionId.AES_GCM_16, keyLength: 128 },
          integ: { id: IntegrityId.AUTH_HMAC_SHA1_96 },
        }),
      RangeError,
    );
  });

  it('refuses what is not in the table', () => {
    assert.throws(() => espSuite({ encr: { id: EncryptionId.NULL } }), RangeError);
  });
});
