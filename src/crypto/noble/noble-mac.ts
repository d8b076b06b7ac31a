/** Reference hashes, HMACs and prf+ on @noble/hashes; the signatures are those of `../prf.ts` etc. */
import { expand } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { concatOctets } from '../../wire/octets.ts';
import type { DigestName, IntegrityAlgorithm, PrfAlgorithm } from '../algorithms.ts';

export function nobleDigest(name: DigestName, ...data: readonly Uint8Array[]): Uint8Array {
  return HASHES[name](concatOctets(...data));
}

export function noblePrf(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  return hmac(HASHES[algorithm.digest], key, concatOctets(...data));
}

/**
 * prf+ with an HMAC (RFC 7296 §2.13) is the Expand step of HKDF (RFC 5869 §2.3), `seed` as info. Wants
 * a key at least as long as the hash, as SKEYSEED and SK_d are.
 */
export function noblePrfPlus(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  return expand(HASHES[algorithm.digest], key, seed, length);
}

export function nobleComputeIcv(
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  const mac = hmac(HASHES[algorithm.digest], key, concatOctets(...data));
  return mac.slice(0, algorithm.icvLength);
}

const HASHES = { sha1, sha256, sha384, sha512 } as const;
