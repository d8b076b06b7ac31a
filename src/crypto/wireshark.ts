/**
 * The names Wireshark's decryption tables use for our algorithms.
 *
 * An algorithm without a name here cannot be decrypted by the tshark people have (4.0): a line with an
 * unknown name would make the whole table an error, so no line is written for it. An ICV that it does
 * not compute it can still step over: that is what the names with ANY are for.
 */
import { EncryptionId, IntegrityId } from './transform.ts';

/** For `ikev2_decryption_table`; undefined where Wireshark does not know the algorithm. */
export function wiresharkIkeEncryption(id: number, keyBits: number): string | undefined {
  return IKE_ENCRYPTION[id]?.replace('#', String(keyBits));
}

/** For `ikev2_decryption_table`; without an integrity algorithm (AEAD) the name of none. */
export function wiresharkIkeIntegrity(id: number | undefined): string | undefined {
  return IKE_INTEGRITY[id ?? IntegrityId.NONE];
}

/** Whether the table wants the key beside that name; where it steps over the ICV, it must not be there. */
export function wiresharkIkeIntegrityHasKey(id: number | undefined): boolean {
  return id !== IntegrityId.AUTH_AES_XCBC_96 && id !== IntegrityId.AUTH_AES_CMAC_96;
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

/** `#` stands for the bits of the key. */
const IKE_ENCRYPTION: Names = {
  [EncryptionId['3DES']]: '3DES [RFC2451]',
  [EncryptionId.AES_CBC]: 'AES-CBC-# [RFC3602]',
  [EncryptionId.AES_CTR]: 'AES-CTR-# [RFC5930]',
  [EncryptionId.AES_CCM_8]: 'AES-CCM-# with 8 octet ICV [RFC5282]',
  [EncryptionId.AES_CCM_12]: 'AES-CCM-# with 12 octet ICV [RFC5282]',
  [EncryptionId.AES_CCM_16]: 'AES-CCM-# with 16 octet ICV [RFC5282]',
  [EncryptionId.AES_GCM_8]: 'AES-GCM-# with 8 octet ICV [RFC5282]',
  [EncryptionId.AES_GCM_12]: 'AES-GCM-# with 12 octet ICV [RFC5282]',
  [EncryptionId.AES_GCM_16]: 'AES-GCM-# with 16 octet ICV [RFC5282]',
};

const IKE_INTEGRITY: Names = {
  [IntegrityId.NONE]: 'NONE [RFC4306]',
  [IntegrityId.AUTH_HMAC_SHA1_96]: 'HMAC_SHA1_96 [RFC2404]',
  [IntegrityId.AUTH_AES_XCBC_96]: 'ANY 96-bits of Authentication [No Checking]',
  [IntegrityId.AUTH_AES_CMAC_96]: 'ANY 96-bits of Authentication [No Checking]',
  [IntegrityId.AUTH_HMAC_SHA2_256_128]: 'HMAC_SHA2_256_128 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_384_192]: 'HMAC_SHA2_384_192 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_512_256]: 'HMAC_SHA2_512_256 [RFC4868]',
};

const ESP_ENCRYPTION: Names = {
  [EncryptionId['3DES']]: 'TripleDES-CBC [RFC2451]',
  [EncryptionId.NULL]: 'NULL',
  [EncryptionId.AES_CBC]: 'AES-CBC [RFC3602]',
  [EncryptionId.AES_CTR]: 'AES-CTR [RFC3686]',
  [EncryptionId.AES_GCM_8]: 'AES-GCM with 8 octet ICV [RFC4106]',
  [EncryptionId.AES_GCM_12]: 'AES-GCM with 12 octet ICV [RFC4106]',
  [EncryptionId.AES_GCM_16]: 'AES-GCM with 16 octet ICV [RFC4106]',
};

const ESP_INTEGRITY: Names = {
  [IntegrityId.NONE]: 'NULL',
  [IntegrityId.AUTH_HMAC_SHA1_96]: 'HMAC-SHA-1-96 [RFC2404]',
  [IntegrityId.AUTH_AES_XCBC_96]: 'ANY 96 bit authentication [no checking]',
  [IntegrityId.AUTH_AES_CMAC_96]: 'ANY 96 bit authentication [no checking]',
  [IntegrityId.AUTH_HMAC_SHA2_256_128]: 'HMAC-SHA-256-128 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_384_192]: 'HMAC-SHA-384-192 [RFC4868]',
  [IntegrityId.AUTH_HMAC_SHA2_512_256]: 'HMAC-SHA-512-256 [RFC4868]',
};
