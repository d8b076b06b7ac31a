/** Reference hashes, MACs and prf+ on @noble; the signatures are those of `../prf.ts` etc. */
import { cmac, ecb } from '@noble/ciphers/aes.js';
import { expand } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { concatOctets } from '../../wire/octets.ts';
import type { DigestName, IntegrityAlgorithm, MacName, PrfAlgorithm } from '../algorithms.ts';

export function nobleDigest(name: DigestName, ...data: readonly Uint8Array[]): Uint8Array {
  return HASHES[name](concatOctets(...data));
}

export function noblePrf(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  const message = concatOctets(...data);
  if (algorithm.mac === 'aes-xcbc') return xcbc(xcbcPrfKey(key), message);
  // RFC 4615 §3: a key of another length goes through AES-CMAC itself.
  if (algorithm.mac === 'aes-cmac' && key.length !== 16) {
    return cmac(message, cmac(key, new Uint8Array(16)));
  }
  return MACS[algorithm.mac](key, message);
}

/**
 * With an HMAC, prf+ (RFC 7296 §2.13) is the Expand step of HKDF (RFC 5869 §2.3), `seed` as info; that
 * wants a key at least as long as the hash, as SKEYSEED and SK_d are. Otherwise block by block.
 */
export function noblePrfPlus(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  if (algorithm.mac !== 'aes-xcbc' && algorithm.mac !== 'aes-cmac') {
    return expand(HASHES[HASH_OF[algorithm.mac]], key, seed, length);
  }
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < length; at += algorithm.outputLength) {
    const before = blocks.at(-1) ?? new Uint8Array(0);
    blocks.push(noblePrf(algorithm, key, before, seed, Uint8Array.of(blocks.length + 1)));
  }
  return concatOctets(...blocks).slice(0, length);
}

export function nobleComputeIcv(
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  return MACS[algorithm.mac](key, concatOctets(...data)).slice(0, algorithm.icvLength);
}

/** RFC 3566 §4, block by block in the RFC's own letters. */
function xcbc(key: Uint8Array, message: Uint8Array): Uint8Array {
  const derived = (constant: number): Uint8Array => aes(key, new Uint8Array(16).fill(constant));
  const [k1, k2, k3] = [derived(1), derived(2), derived(3)];
  let e = new Uint8Array(16);
  const n = Math.max(1, Math.ceil(message.length / 16));
  for (let i = 1; i < n; i++) e = aes(k1, xor(message.subarray(16 * (i - 1), 16 * i), e));
  const m = message.subarray(16 * (n - 1));
  if (m.length === 16) return aes(k1, xor(xor(m, e), k2));
  const padded = concatOctets(m, Uint8Array.of(0x80), new Uint8Array(15 - m.length));
  return aes(k1, xor(xor(padded, e), k3));
}

/** RFC 4434 §2. */
function xcbcPrfKey(key: Uint8Array): Uint8Array {
  if (key.length > 16) return xcbc(new Uint8Array(16), key);
  return concatOctets(key, new Uint8Array(16 - key.length));
}

function aes(key: Uint8Array, block: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(ecb(key, { disablePadding: true }).encrypt(block));
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((octet, at) => octet ^ (b[at] ?? 0));
}

const HASHES = { sha1, sha256, sha384, sha512 } as const;

const HASH_OF = {
  'hmac-sha1': 'sha1',
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
} as const;

const MACS: Readonly<Record<MacName, (key: Uint8Array, message: Uint8Array) => Uint8Array>> = {
  'hmac-sha1': (key, message) => hmac(sha1, key, message),
  'hmac-sha256': (key, message) => hmac(sha256, key, message),
  'hmac-sha384': (key, message) => hmac(sha384, key, message),
  'hmac-sha512': (key, message) => hmac(sha512, key, message),
  'aes-xcbc': xcbc,
  'aes-cmac': (key, message) => cmac(message, key),
};
