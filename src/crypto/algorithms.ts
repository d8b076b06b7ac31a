/**
 * The algorithms this product implements, by IANA transform id (RFC 7296 §3.3.2, RFC 8247, RFC 8221).
 *
 * A table and look-ups in it, no arithmetic: the operations stand in `mac.ts`, `prf.ts`,
 * `integrity.ts`, `message-cipher.ts` and `key-exchange.ts`. What a peer may offer beyond it has a
 * name in `transform-names.ts`, and no more than that. Names are those `swanctl --list-sas` prints.
 */
import { EncryptionId, EsnId, IntegrityId, KeyExchangeId, PrfId } from './transform.ts';
import { transformIdName } from './transform-names.ts';

type AesBits = 128 | 192 | 256;

/** Bulk ciphers by OpenSSL's name; `null` is none at all (RFC 2410). */
export type CipherName =
  | `aes-${AesBits}-${'gcm' | 'ccm' | 'ctr' | 'cbc'}`
  | `camellia-${AesBits}-${'ctr' | 'cbc'}`
  | 'chacha20-poly1305'
  | 'des-ede3-cbc'
  | 'null';

/** How a cipher is used: what makes up its nonce, and whether it makes the ICV. */
export type CipherMode = 'gcm' | 'gmac' | 'ccm' | 'chacha20-poly1305' | 'ctr' | 'cbc' | 'null';

/** Hash functions by OpenSSL's name. */
export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** MACs over AES-128 in CBC mode (RFC 3566, RFC 4493). */
export type CbcMacName = 'aes-xcbc' | 'aes-cmac';

/** Everything that makes a PRF or an ICV. */
export type MacName = `hmac-${DigestName}` | CbcMacName;

/** Transform Type 1. Lengths are in octets, key lengths in bits as on the wire. */
export interface EncryptionAlgorithm {
  readonly id: number;
  readonly name: string;
  /** Key lengths in bits, without the salt. */
  readonly keyLengths: readonly number[];
  /** The Key Length attribute stands on the wire (RFC 7296 §3.3.5). */
  readonly variableKey: boolean;
  readonly mode: CipherMode;
  /** Makes the ICV itself and takes no integrity algorithm beside it. */
  readonly aead: boolean;
  /** Octets of IV in each packet or message. */
  readonly ivLength: number;
  /** Octets of ICV the cipher itself makes; 0 where a separate integrity algorithm does. */
  readonly icvLength: number;
  /** Octets of salt behind the key in the key material. */
  readonly saltLength: number;
  /** Plaintext must be a multiple of this many octets; ESP aligns to 4 besides (RFC 4303 §2.4). */
  readonly blockLength: number;
  /** OpenSSL's name; throws for a key length that is not in `keyLengths`. */
  readonly cipher: (keyBits: number) => CipherName;
  /** Nobody can read what it protects; without that it is not for IKE (RFC 8247 §2.1). */
  readonly confidential: boolean;
  /** Only for those who configure it by name, with a warning. */
  readonly weak: boolean;
}

/** Transform Type 2. Lengths are in octets. */
export interface PrfAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly mac: MacName;
  /** Preferred key length: SK_d, SK_pi and SK_pr have it (RFC 7296 §2.14). */
  readonly keyLength: number;
  readonly outputLength: number;
  /** So many octets of each nonce make the key of SKEYSEED; undefined: all (RFC 7296 §2.14). */
  readonly nonceOctets: number | undefined;
  readonly weak: boolean;
}

/** Transform Type 3. Lengths are in octets. */
export interface IntegrityAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly mac: MacName;
  readonly keyLength: number;
  /** The MAC is cut to this length (RFC 4868 §2.6, RFC 2404). */
  readonly icvLength: number;
  readonly weak: boolean;
}

/** Transform Type 4: what the table knows of a method; the arithmetic is in `key-exchange.ts`. */
export interface KeyExchangeAlgorithm {
  readonly id: number;
  readonly name: string;
  /** Octets of Key Exchange Data in the KE payload. */
  readonly publicLength: number;
  /** Octets of g^ir as it enters the key derivation. */
  readonly sharedLength: number;
  readonly weak: boolean;
}

export function encryptionAlgorithm(id: number): EncryptionAlgorithm | undefined {
  return ENCRYPTION_ALGORITHMS.find((algorithm) => algorithm.id === id);
}

export function prfAlgorithm(id: number): PrfAlgorithm | undefined {
  return PRF_ALGORITHMS.find((algorithm) => algorithm.id === id);
}

export function integrityAlgorithm(id: number): IntegrityAlgorithm | undefined {
  return INTEGRITY_ALGORITHMS.find((algorithm) => algorithm.id === id);
}

export function keyExchangeAlgorithm(id: number): KeyExchangeAlgorithm | undefined {
  return KEY_EXCHANGE_ALGORITHMS.find((algorithm) => algorithm.id === id);
}

/** A name for any key exchange method, implemented or not. */
export function keyExchangeName(id: number): string {
  return transformIdName(4, id);
}

/** Octets of key material an SA takes from the key derivation for encryption, salt included. */
export function encryptionKeyOctets(algorithm: EncryptionAlgorithm, keyBits: number): number {
  return keyBits / 8 + algorithm.saltLength;
}

const AES_KEY_LENGTHS = [128, 192, 256] as const;

/** What the AES modes share; each says what differs. */
const AES = { keyLengths: AES_KEY_LENGTHS, variableKey: true, confidential: true, weak: false };
/** RFC 4106 and RFC 5282: 4 octets of salt, 8 of explicit IV. */
const GCM = { mode: 'gcm', aead: true, ivLength: 8, saltLength: 4, blockLength: 1 } as const;
/** RFC 4309 §4 and RFC 5282 §4: 3 octets of salt, 8 of explicit IV, and a length of 4 octets. */
const CCM = { mode: 'ccm', aead: true, ivLength: 8, saltLength: 3, blockLength: 1 } as const;
/** RFC 3686 §4, RFC 5930 §2 and RFC 5529 §2.2: 4 octets of nonce, 8 of IV, a counter from 1. */
const CTR = {
  mode: 'ctr',
  aead: false,
  ivLength: 8,
  icvLength: 0,
  saltLength: 4,
  blockLength: 1,
} as const;
/** RFC 3602, RFC 4312 and RFC 2451: the IV is one block. */
const CBC = { mode: 'cbc', aead: false, icvLength: 0, saltLength: 0 } as const;
const BLOCK_OF_16 = { ivLength: 16, blockLength: 16 } as const;

const aesGcm = byKeyLength({ 128: 'aes-128-gcm', 192: 'aes-192-gcm', 256: 'aes-256-gcm' });
const aesCcm = byKeyLength({ 128: 'aes-128-ccm', 192: 'aes-192-ccm', 256: 'aes-256-ccm' });
const aesCtr = byKeyLength({ 128: 'aes-128-ctr', 192: 'aes-192-ctr', 256: 'aes-256-ctr' });
const aesCbc = byKeyLength({ 128: 'aes-128-cbc', 192: 'aes-192-cbc', 256: 'aes-256-cbc' });
const camelliaCtr = byKeyLength({
  128: 'camellia-128-ctr',
  192: 'camellia-192-ctr',
  256: 'camellia-256-ctr',
});
const camelliaCbc = byKeyLength({
  128: 'camellia-128-cbc',
  192: 'camellia-192-cbc',
  256: 'camellia-256-cbc',
});

export const ENCRYPTION_ALGORITHMS: readonly EncryptionAlgorithm[] = [
  {
    id: EncryptionId.AES_GCM_16,
    name: 'AES_GCM_16',
    ...AES,
    ...GCM,
    icvLength: 16,
    cipher: aesGcm,
  },
  {
    // RFC 7634 §2: the key length is fixed, so the transform carries no Key Length attribute.
    id: EncryptionId.CHACHA20_POLY1305,
    name: 'CHACHA20_POLY1305',
    keyLengths: [256],
    variableKey: false,
    mode: 'chacha20-poly1305',
    aead: true,
    ivLength: 8,
    icvLength: 16,
    saltLength: 4,
    blockLength: 1,
    cipher: byKeyLength({ 256: 'chacha20-poly1305' }),
    confidential: true,
    weak: false,
  },
  {
    id: EncryptionId.AES_CCM_16,
    name: 'AES_CCM_16',
    ...AES,
    ...CCM,
    icvLength: 16,
    cipher: aesCcm,
  },
  {
    id: EncryptionId.AES_GCM_12,
    name: 'AES_GCM_12',
    ...AES,
    ...GCM,
    icvLength: 12,
    cipher: aesGcm,
  },
  {
    id: EncryptionId.AES_CCM_12,
    name: 'AES_CCM_12',
    ...AES,
    ...CCM,
    icvLength: 12,
    cipher: aesCcm,
  },
  { id: EncryptionId.AES_GCM_8, name: 'AES_GCM_8', ...AES, ...GCM, icvLength: 8, cipher: aesGcm },
  { id: EncryptionId.AES_CCM_8, name: 'AES_CCM_8', ...AES, ...CCM, icvLength: 8, cipher: aesCcm },
  { id: EncryptionId.AES_CBC, name: 'AES_CBC', ...AES, ...CBC, ...BLOCK_OF_16, cipher: aesCbc },
  { id: EncryptionId.AES_CTR, name: 'AES_CTR', ...AES, ...CTR, cipher: aesCtr },
  {
    id: EncryptionId.CAMELLIA_CBC,
    name: 'CAMELLIA_CBC',
    ...AES,
    ...CBC,
    ...BLOCK_OF_16,
    cipher: camelliaCbc,
  },
  { id: EncryptionId.CAMELLIA_CTR, name: 'CAMELLIA_CTR', ...AES, ...CTR, cipher: camelliaCtr },
  {
    // RFC 8221 §5: a block of 64 bits is too small for traffic of any length.
    id: EncryptionId['3DES'],
    name: '3DES_CBC',
    keyLengths: [192],
    variableKey: false,
    ...CBC,
    ivLength: 8,
    blockLength: 8,
    cipher: byKeyLength({ 192: 'des-ede3-cbc' }),
    confidential: true,
    weak: true,
  },
  {
    // RFC 4543 §3: GCM over everything and encrypting nothing; the IV is authenticated too.
    id: EncryptionId.NULL_AUTH_AES_GMAC,
    name: 'NULL_AES_GMAC',
    ...AES,
    ...GCM,
    mode: 'gmac',
    icvLength: 16,
    cipher: aesGcm,
    confidential: false,
    weak: true,
  },
  {
    // RFC 2410: no key, no IV, no change.
    id: EncryptionId.NULL,
    name: 'NULL',
    keyLengths: [0],
    variableKey: false,
    mode: 'null',
    aead: false,
    ivLength: 0,
    icvLength: 0,
    saltLength: 0,
    blockLength: 1,
    cipher: byKeyLength({ 0: 'null' }),
    confidential: false,
    weak: true,
  },
];

export const PRF_ALGORITHMS: readonly PrfAlgorithm[] = [
  prf(PrfId.PRF_HMAC_SHA2_256, 'PRF_HMAC_SHA2_256', 'hmac-sha256', 32),
  prf(PrfId.PRF_HMAC_SHA2_384, 'PRF_HMAC_SHA2_384', 'hmac-sha384', 48),
  prf(PrfId.PRF_HMAC_SHA2_512, 'PRF_HMAC_SHA2_512', 'hmac-sha512', 64),
  // RFC 7296 §2.14: these two, and no others, are keyed with 64 bits of each nonce.
  { ...prf(PrfId.PRF_AES128_XCBC, 'PRF_AES128_XCBC', 'aes-xcbc', 16), nonceOctets: 8 },
  { ...prf(PrfId.PRF_AES128_CMAC, 'PRF_AES128_CMAC', 'aes-cmac', 16), nonceOctets: 8 },
  { ...prf(PrfId.PRF_HMAC_SHA1, 'PRF_HMAC_SHA1', 'hmac-sha1', 20), weak: true },
];

export const INTEGRITY_ALGORITHMS: readonly IntegrityAlgorithm[] = [
  integrity(IntegrityId.AUTH_HMAC_SHA2_256_128, 'HMAC_SHA2_256_128', 'hmac-sha256', 32, 16),
  integrity(IntegrityId.AUTH_HMAC_SHA2_384_192, 'HMAC_SHA2_384_192', 'hmac-sha384', 48, 24),
  integrity(IntegrityId.AUTH_HMAC_SHA2_512_256, 'HMAC_SHA2_512_256', 'hmac-sha512', 64, 32),
  integrity(IntegrityId.AUTH_AES_XCBC_96, 'AES_XCBC_96', 'aes-xcbc', 16, 12),
  integrity(IntegrityId.AUTH_AES_CMAC_96, 'AES_CMAC_96', 'aes-cmac', 16, 12),
  { ...integrity(IntegrityId.AUTH_HMAC_SHA1_96, 'HMAC_SHA1_96', 'hmac-sha1', 20, 12), weak: true },
];

// RFC 5903 §7, RFC 6954 §2: an ECP group sends x and y, and only x enters the key derivation.
export const KEY_EXCHANGE_ALGORITHMS: readonly KeyExchangeAlgorithm[] = [
  exchange(KeyExchangeId.CURVE_25519, 'CURVE_25519', 32, 32),
  exchange(KeyExchangeId.CURVE_448, 'CURVE_448', 56, 56),
  exchange(KeyExchangeId.ECP_256, 'ECP_256', 64, 32),
  exchange(KeyExchangeId.ECP_384, 'ECP_384', 96, 48),
  exchange(KeyExchangeId.ECP_521, 'ECP_521', 132, 66),
  exchange(KeyExchangeId.BRAINPOOL_P224R1, 'ECP_224_BP', 56, 28),
  exchange(KeyExchangeId.BRAINPOOL_P256R1, 'ECP_256_BP', 64, 32),
  exchange(KeyExchangeId.BRAINPOOL_P384R1, 'ECP_384_BP', 96, 48),
  exchange(KeyExchangeId.BRAINPOOL_P512R1, 'ECP_512_BP', 128, 64),
  exchange(KeyExchangeId.MODP_2048, 'MODP_2048', 256, 256),
  exchange(KeyExchangeId.MODP_3072, 'MODP_3072', 384, 384),
  exchange(KeyExchangeId.MODP_4096, 'MODP_4096', 512, 512),
  exchange(KeyExchangeId.MODP_6144, 'MODP_6144', 768, 768),
  exchange(KeyExchangeId.MODP_8192, 'MODP_8192', 1024, 1024),
  // RFC 8247 §2.4: less than 112 bits of strength.
  { ...exchange(KeyExchangeId.MODP_1536, 'MODP_1536', 192, 192), weak: true },
  { ...exchange(KeyExchangeId.MODP_1024, 'MODP_1024', 128, 128), weak: true },
];

/** Transform Type 5: both kinds of sequence numbers. */
export const ESN_IDS: readonly number[] = [EsnId.NO_ESN, EsnId.ESN];

function byKeyLength(names: Readonly<Record<number, CipherName>>): (keyBits: number) => CipherName {
  return (keyBits) => {
    const name = names[keyBits];
    if (name === undefined) throw new RangeError(`no cipher with a key of ${keyBits} bits`);
    return name;
  };
}

function prf(id: number, name: string, mac: MacName, length: number): PrfAlgorithm {
  return {
    id,
    name,
    mac,
    keyLength: length,
    outputLength: length,
    nonceOctets: undefined,
    weak: false,
  };
}

function integrity(
  id: number,
  name: string,
  mac: MacName,
  keyLength: number,
  icvLength: number,
): IntegrityAlgorithm {
  return { id, name, mac, keyLength, icvLength, weak: false };
}

function exchange(
  id: number,
  name: string,
  publicLength: number,
  sharedLength: number,
): KeyExchangeAlgorithm {
  return { id, name, publicLength, sharedLength, weak: false };
}
