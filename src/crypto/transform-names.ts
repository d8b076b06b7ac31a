/**
 * Names for every transform a peer may offer (IANA "IKEv2 Parameters"), so that logs and refusals
 * can say what was on the wire. Knowing a name does not mean implementing it: that table is
 * `algorithms.ts`. The spelling is the one `swanctl` prints.
 */

/** `ENCR`, `PRF`, `INTEG`, `KE`, `ESN`, `ADDKE1`..`ADDKE7`, or `TYPE(n)`. */
export function transformTypeName(type: number): string {
  return TYPE_NAMES[type] ?? `TYPE(${type})`;
}

/** A name for any transform; one without a name reads like `ENCR(1234)`. */
export function transformIdName(type: number, id: number): string {
  // RFC 9370 §2.2.1: an additional key exchange takes its ids from the Key Exchange Methods.
  const names = type >= 6 && type <= 12 ? KEY_EXCHANGE_NAMES : ID_NAMES[type];
  return names?.[id] ?? `${transformTypeName(type)}(${id})`;
}

type Names = Readonly<Record<number, string>>;

const TYPE_NAMES: Names = {
  1: 'ENCR',
  2: 'PRF',
  3: 'INTEG',
  4: 'KE',
  5: 'ESN',
  6: 'ADDKE1',
  7: 'ADDKE2',
  8: 'ADDKE3',
  9: 'ADDKE4',
  10: 'ADDKE5',
  11: 'ADDKE6',
  12: 'ADDKE7',
};

const ENCRYPTION_NAMES: Names = {
  1: 'DES_IV64',
  2: 'DES_CBC',
  3: '3DES_CBC',
  4: 'RC5_CBC',
  5: 'IDEA_CBC',
  6: 'CAST_CBC',
  7: 'BLOWFISH_CBC',
  8: '3IDEA',
  9: 'DES_IV32',
  11: 'NULL',
  12: 'AES_CBC',
  13: 'AES_CTR',
  14: 'AES_CCM_8',
  15: 'AES_CCM_12',
  16: 'AES_CCM_16',
  18: 'AES_GCM_8',
  19: 'AES_GCM_12',
  20: 'AES_GCM_16',
  21: 'NULL_AES_GMAC',
  23: 'CAMELLIA_CBC',
  24: 'CAMELLIA_CTR',
  25: 'CAMELLIA_CCM_8',
  26: 'CAMELLIA_CCM_12',
  27: 'CAMELLIA_CCM_16',
  28: 'CHACHA20_POLY1305',
  29: 'AES_CCM_8_IIV',
  30: 'AES_GCM_16_IIV',
  31: 'CHACHA20_POLY1305_IIV',
  32: 'KUZNYECHIK_MGM_KTREE',
  33: 'MAGMA_MGM_KTREE',
  34: 'KUZNYECHIK_MGM_MAC_KTREE',
  35: 'MAGMA_MGM_MAC_KTREE',
};

const PRF_NAMES: Names = {
  1: 'PRF_HMAC_MD5',
  2: 'PRF_HMAC_SHA1',
  3: 'PRF_HMAC_TIGER',
  4: 'PRF_AES128_XCBC',
  5: 'PRF_HMAC_SHA2_256',
  6: 'PRF_HMAC_SHA2_384',
  7: 'PRF_HMAC_SHA2_512',
  8: 'PRF_AES128_CMAC',
  9: 'PRF_HMAC_STREEBOG_512',
};

const INTEGRITY_NAMES: Names = {
  0: 'NONE',
  1: 'HMAC_MD5_96',
  2: 'HMAC_SHA1_96',
  3: 'DES_MAC',
  4: 'KPDK_MD5',
  5: 'AES_XCBC_96',
  6: 'HMAC_MD5_128',
  7: 'HMAC_SHA1_160',
  8: 'AES_CMAC_96',
  9: 'AES_128_GMAC',
  10: 'AES_192_GMAC',
  11: 'AES_256_GMAC',
  12: 'HMAC_SHA2_256_128',
  13: 'HMAC_SHA2_384_192',
  14: 'HMAC_SHA2_512_256',
};

const KEY_EXCHANGE_NAMES: Names = {
  0: 'NONE',
  1: 'MODP_768',
  2: 'MODP_1024',
  5: 'MODP_1536',
  14: 'MODP_2048',
  15: 'MODP_3072',
  16: 'MODP_4096',
  17: 'MODP_6144',
  18: 'MODP_8192',
  19: 'ECP_256',
  20: 'ECP_384',
  21: 'ECP_521',
  22: 'MODP_1024_160',
  23: 'MODP_2048_224',
  24: 'MODP_2048_256',
  25: 'ECP_192',
  26: 'ECP_224',
  27: 'ECP_224_BP',
  28: 'ECP_256_BP',
  29: 'ECP_384_BP',
  30: 'ECP_512_BP',
  31: 'CURVE_25519',
  32: 'CURVE_448',
  33: 'GOST3410_2012_256',
  34: 'GOST3410_2012_512',
  35: 'ML_KEM_512',
  36: 'ML_KEM_768',
  37: 'ML_KEM_1024',
};

const ESN_NAMES: Names = { 0: 'NO_EXT_SEQ', 1: 'EXT_SEQ' };

const ID_NAMES: Readonly<Record<number, Names>> = {
  1: ENCRYPTION_NAMES,
  2: PRF_NAMES,
  3: INTEGRITY_NAMES,
  4: KEY_EXCHANGE_NAMES,
  5: ESN_NAMES,
};
