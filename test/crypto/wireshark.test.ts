import { strict as assert } from 'node:assert';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { EncryptionId } from '../../src/crypto/transform.ts';
import {
  wiresharkEspEncryption,
  wiresharkEspIntegrity,
  wiresharkIkeEncryption,
  wiresharkIkeIntegrity,
} from '../../src/crypto/wireshark.ts';

describe("Names of Wireshark's decryption tables", () => {
  it('exist for all but ChaCha20-Poly1305, which tshark 4.0 does not know', () => {
    const unnamed = ENCRYPTION_ALGORITHMS.filter(
      ({ id }) =>
        wiresharkIkeEncryption(id, 256) === undefined || wiresharkEspEncryption(id) === undefined,
    );
    assert.deepEqual(
      unnamed.map(({ id }) => id),
      [EncryptionId.CHACHA20_POLY1305],
    );
    for (const { id } of INTEGRITY_ALGORITHMS) {
      assert.match(wiresharkIkeIntegrity(id) ?? '', /^HMAC_SHA.*\[RFC(4868|2404)\]$/);
      assert.match(wiresharkEspIntegrity(id) ?? '', /^HMAC-SHA-.*\[RFC(4868|2404)\]$/);
    }
  });

  it('say the key length for IKE and not for ESP', () => {
    assert.equal(
      wiresharkIkeEncryption(EncryptionId.AES_GCM_16, 192),
      'AES-GCM-192 with 16 octet ICV [RFC5282]',
    );
    assert.equal(wiresharkIkeEncryption(EncryptionId.AES_CBC, 128), 'AES-CBC-128 [RFC3602]');
    assert.equal(
      wiresharkEspEncryption(EncryptionId.AES_GCM_16),
      'AES-GCM with 16 octet ICV [RFC4106]',
    );
  });

  it('have a name for no integrity algorithm', () => {
    assert.equal(wiresharkIkeIntegrity(undefined), 'NONE [RFC4306]');
    assert.equal(wiresharkEspIntegrity(undefined), 'NULL');
  });
});
