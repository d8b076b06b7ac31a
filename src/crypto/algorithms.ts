/**
 * The algorithms this product implements, by IANA transform id (RFC 7296 §3.3.2, RFC 8247, RFC 8221).
 *
 * A table and look-ups in it, no arithmetic: the operations stand in `prf.ts`, `integrity.ts`,
 * `message-cipher.ts` and `key-exchange.ts`. What a peer may offer beyond it has a name in
 * `transform-names.ts`, and no more than that. Names are those `swanctl --list-sas` prints.
 */
import { EncryptionId, EsnId, IntegrityId, KeyExchangeId, PrfId } from './transform.ts';
import { transformIdName } from './transform-names.ts';

/** Bulk ciphers by OpenSSL's name. */
export type OpensslCipher =
  | 'aes-128-gcm'
  | 'aes-192-gcm'
  | 'aes-256-gcm'
  | 'chacha20-poly1305'
  | 'aes-128-cbc'
  | 'aes-192-cbc'
  | 'aes-256-cbc';

/** Hash functions by OpenSSL's name. */
export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** Transform Type 1. Lengths are in octets, key lengths in bits as on the wire. */
export interface EncryptionAlgorithm {
  readonly id: number;
  readonly name: string;
  /** Key lengths in bits, without the salt. */
  readonly keyLengths: readonly number[];
  /** The Key Length attribute stands on the wire (RFC 7296 §3.3.5). */
  readonly variableKey: boolean;
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
  readonly nodeCipher: (keyBits: number) => OpensslCipher;
  /** Only for those who configure it by name, with a warning. */
  readonly weak: boolean;
}

/** Transform Type 2. Lengths are in octets. */
export interface PrfAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly digest: DigestName;
  /** Preferred key length: SK_d, SK_pi and SK_pr have it (RFC 7296 §2.14). */
  readonly keyLength: number;
  readonly outputLength: number;
  readonly weak: boolean;
}

/** Transform Type 3. Lengths are in octets. */
export interface IntegrityAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly digest: DigestName;
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

export const ENCRYPTION_ALGORITHMS: readonly EncryptionAlgorithm[] = [
  {
    // RFC 4106 for ESP, RFC 5282 for IKE: 4 octets of salt, 8 of explicit IV, 16 of ICV.
    id: EncryptionId.AES_GCM_16,
    name: 'AES_GCM_16',
    keyLengths: AES_KEY_LENGTHS,
    variableKey: true,
    aead: true,
    ivLength: 8,
    icvLength: 16,
    saltLength: 4,
    blockLength: 1,
    nodeCipher: cipherByKeyLength({ 128: 'aes-128-gcm', 192: 'aes-192-gcm', 256: 'aes-256-gcm' }),
    weak: false,
  },
  {
    // RFC 7634 §2: the key length is fixed, so the transform carries no Key Length attribute.
    id: EncryptionId.CHACHA20_POLY1305,
    name: 'CHACHA20_POLY1305',
    keyLengths: [256],
    variableKey: false,
    aead: true,
    ivLength: 8,
    icvLength: 16,
    saltLength: 4,
    blockLength: 1,
    nodeCipher: cipherByKeyLength({ 256: 'chacha20-poly1305' }),
    weak: false,
  },
  {
    // RFC 3602: the IV is one block; integrity is a transform of its own.
    id: EncryptionId.AES_CBC,
    name: 'AES_CBC',
    keyLengths: AES_KEY_LENGTHS,
    variableKey: true,
    aead: false,
    ivLength: 16,
    icvLength: 0,
    saltLength: 0,
    blockLength: 16,
    nodeCipher: cipherByKeyLength({ 128: 'aes-128-cbc', 192: 'aes-192-cbc', 256: 'aes-256-cbc' }),
    weak: false,
  },
];

export const PRF_ALGORITHMS: readonly PrfAlgorithm[] = [
  hmacPrf(PrfId.PRF_HMAC_SHA2_256, 'PRF_HMAC_SHA2_256', 'sha256', 32),
  hmacPrf(PrfId.PRF_HMAC_SHA2_384, 'PRF_HMAC_SHA2_384', 'sha384', 48),
  hmacPrf(PrfId.PRF_HMAC_SHA2_512, 'PRF_HMAC_SHA2_512', 'sha512', 64),
  { ...hmacPrf(PrfId.PRF_HMAC_SHA1, 'PRF_HMAC_SHA1', 'sha1', 20), weak: true },
];

export const INTEGRITY_ALGORITHMS: readonly IntegrityAlgorithm[] = [
  hmacIntegrity(IntegrityId.AUTH_HMAC_SHA2_256_128, 'HMAC_SHA2_256_128', 'sha256', 32, 16),
  hmacIntegrity(IntegrityId.AUTH_HMAC_SHA2_384_192, 'HMAC_SHA2_384_192', 'sha384', 48, 24),
  hmacIntegrity(IntegrityId.AUTH_HMAC_SHA2_512_256, 'HMAC_SHA2_512_256', 'sha512', 64, 32),
  {
    ...hmacIntegrity(IntegrityId.AUTH_HMAC_SHA1_96, 'HMAC_SHA1_96', 'sha1', 20, 12),
    weak: true,
  },
];

// RFC 5903 §7: an ECP group sends x and y, and only x enters the key derivation.
export const KEY_EXCHANGE_ALGORITHMS: readonly KeyExchangeAlgorithm[] = [
  exchange(KeyExchangeId.CURVE_25519, 'CURVE_25519', 32, 32),
  exchange(KeyExchangeId.ECP_256, 'ECP_256', 64, 32),
  exchange(KeyExchangeId.ECP_384, 'ECP_384', 96, 48),
  exchange(KeyExchangeId.ECP_521, 'ECP_521', 132, 66),
  exchange(KeyExchangeId.MODP_2048, 'MODP_2048', 256, 256),
  exchange(KeyExchangeId.MODP_3072, 'MODP_3072', 384, 384),
  exchange(KeyExchangeId.MODP_4096, 'MODP_4096', 512, 512),
];

/** Transform Type 5: both kinds of sequence numbers. */
export const ESN_IDS: readonly number[] = [EsnId.NO_ESN, EsnId.ESN];

function cipherByKeyLength(
  names: Readonly<Record<number, OpensslCipher>>,
): (keyBits: number) => OpensslCipher {
  return (keyBits) => {
    const name = names[keyBits];
    if (name === undefined) throw new RangeError(`no cipher with a key of ${keyBits} bits`);
    return name;
  };
}

function hmacPrf(id: number, name: string, digest: DigestName, length: number): PrfAlgorithm {
  return { id, name, digest, keyLength: length, outputLength: length, weak: false };
}

function hmacIntegrity(
  id: number,
  name: string,
  digest: DigestName,
  keyLength: number,
  icvLength: number,
): IntegrityAlgorithm {
  return { id, name, digest, keyLength, icvLength, weak: false };
}

function exchange(
  id: number,
  name: string,
  publicLength: number,
  sharedLength: number,
): KeyExchangeAlgorithm {
  return { id, name, publicLength, sharedLength };
}
