/**
 * The names Wireshark's decryption tables use for our algorithms.
 *
 * An algorithm without a name here cannot be decrypted by the tshark people have (4.0): a line with an
 * unknown name would make the whole table an error, so no line is written for it.
 */
import { EncryptionId, IntegrityId } from './transform.ts';

/** For `ikev2_decryption_table`; undefined where Wireshark does not know the algorithm. */
export function wiresharkIkeEncryption(id: number, keyBits: number): string | undefined {
  if (id === EncryptionId.AES_CBC) return `AES-CBC-${keyBits} [RFC3602]`;
  if (id === EncryptionId.AES_GCM_16) return `AES-GCM-${keyBits} with 16 octet ICV [RFC5282]`;
  return undefined;
}

/** For `ikev2_decryption_table`; without an integrity algorithm (AEAD) the name of none. */
export function wiresharkIkeIntegrity(id: number | undefined): string | undefined {
  return IKE_INTEGRITY[id ?? IntegrityId.NONE];
}

/** For `esp_sa`; the key beside it ends with the salt where there is one. */
export function wiresharkEspEncryption(id: number): string | undefined {
  return ESP_ENCRYPTION[id];
}

/** For `esp_sa`; without an integrity algorithm (AEAD) the name of none. */
export function wiresharkEspIntegrity(id: number | undefined): string | undefined {
  return ESP_INTEGRITY[id ?? IntegrityId.NONE];
}

type Names = Readonly<Record<number, string>>;

const IKE_INTEGRITY: Names = {
  [IntegrityId.NONE]: 'NONE [RFC4306]',
  [IntegrityId.AUTH_HMAC_SHA1_96]: 'HMAC_SHA1_96 [RFC2404]',
  [IntegrityId.AUTH_HMAC_SHA2_256_128]: 'HMAC_SHA2_256_128 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_384_192]: 'HMAC_SHA2_384_192 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_512_256]: 'HMAC_SHA2_512_256 [RFC4868]',
};

const ESP_ENCRYPTION: Names = {
  [EncryptionId.AES_CBC]: 'AES-CBC [RFC3602]',
  [EncryptionId.AES_GCM_16]: 'AES-GCM with 16 octet ICV [RFC4106]',
};

const ESP_INTEGRITY: Names = {
  [IntegrityId.NONE]: 'NULL',
  [IntegrityId.AUTH_HMAC_SHA1_96]: 'HMAC-SHA-1-96 [RFC2404]',
  [IntegrityId.AUTH_HMAC_SHA2_256_128]: 'HMAC-SHA-256-128 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_384_192]: 'HMAC-SHA-384-192 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_512_256]: 'HMAC-SHA-512-256 [RFC4868]',
};
