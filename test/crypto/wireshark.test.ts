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
  it('exist for all that tshark 4.0 knows', () => {
    const unnamed = (nameOf: (id: number) => string | undefined) =>
      ENCRYPTION_ALGORITHMS.filter(({ id }) => nameOf(id) === undefined).map(({ name }) => name);
    const unknown = ['CHACHA20_POLY1305', 'CAMELLIA_CBC', 'CAMELLIA_CTR', 'NULL_AES_GMAC'];
    assert.deepEqual(
      unnamed((id) => wiresharkIkeEncryption(id, 256)),
      [...unknown, 'NULL'],
    );
    const ccm = ['AES_CCM_16', 'AES_CCM_12', 'AES_CCM_8'];
    assert.deepEqual(unnamed(wiresharkEspEncryption).sort(), [...unknown, ...ccm].sort());
    for (const { id, mac } of INTEGRITY_ALGORITHMS) {
      const [ike, esp] = mac.startsWith('hmac')
        ? [/^HMAC_SHA.*\[RFC(4868|2404)\]$/, /^HMAC-SHA-.*\[RFC(4868|2404)\]$/]
        : [/^ANY 96-bits.*\[No Checking\]$/, /^ANY 96 bit.*\[no checking\]$/];
      assert.match(wiresharkIkeIntegrity(id) ?? '', ike);
      assert.match(wiresharkEspIntegrity(id) ?? '', esp);
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
