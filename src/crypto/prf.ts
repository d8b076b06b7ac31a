/**
 * The pseudorandom function of an IKE SA and its expansion prf+ (RFC 7296 §2.13, RFC 4868 §2.1.2,
 * RFC 4434, RFC 4615).
 *
 * Each takes a key of any length. What part of the nonces makes the key of SKEYSEED is asked of
 * `skeyseedKey` (RFC 7296 §2.14).
 */
import { strict as assert } from 'node:assert';
import { concatOctets } from '../wire/octets.ts';
import type { CbcMacName, PrfAlgorithm } from './algorithms.ts';
import { computeMac, isCbcMac } from './mac.ts';

/** `prf(key, data | data | ...)`. */
export function prf(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  const { mac } = algorithm;
  return computeMac(mac, isCbcMac(mac) ? blockCipherKey(mac, key) : key, ...data);
}

/** The first `length` octets of `prf+(key, seed)`. */
export function prfPlus(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  const blocks = Math.ceil(length / algorithm.outputLength);
  // RFC 7296 §2.13: the block number is one octet, so prf+ ends after 255 blocks.
  assert(blocks <= 255, `prf+: ${length} octets are ${blocks} blocks, 255 at most`);
  const stream = new Uint8Array(blocks * algorithm.outputLength);
  let block = new Uint8Array(0);
  for (let number = 1; number <= blocks; number++) {
    // RFC 7296 §2.13: T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n).
    block = new Uint8Array(prf(algorithm, key, block, seed, Uint8Array.of(number)));
    stream.set(block, (number - 1) * algorithm.outputLength);
  }
  return stream.slice(0, length);
}

/** The key of the prf that makes SKEYSEED of a first IKE SA. */
export function skeyseedKey(
  { nonceOctets }: PrfAlgorithm,
  nonceI: Uint8Array,
  nonceR: Uint8Array,
): Uint8Array {
  // RFC 7296 §2.14: AES-XCBC and AES-CMAC are keyed with the first 64 bits of each nonce, as their
  // first specifications wanted; prf+ takes the whole nonces with every prf.
  return concatOctets(nonceI.subarray(0, nonceOctets), nonceR.subarray(0, nonceOctets));
}

const BLOCK_CIPHER_KEY = 16;

/** A key of any length as AES-128 takes it. */
function blockCipherKey(name: CbcMacName, key: Uint8Array): Uint8Array {
  if (key.length === BLOCK_CIPHER_KEY) return key;
  const zeros = new Uint8Array(BLOCK_CIPHER_KEY);
  // RFC 4434 §2: AES-XCBC-PRF fills a short key with zeros; RFC 4615 §3: AES-CMAC-PRF does not.
  if (name === 'aes-xcbc' && key.length < BLOCK_CIPHER_KEY) return padRight(key);
  // RFC 4434 §2, RFC 4615 §3: other keys are shortened by the function itself, under a zero key.
  return computeMac(name, zeros, key);
}

function padRight(key: Uint8Array): Uint8Array {
  return concatOctets(key, new Uint8Array(BLOCK_CIPHER_KEY - key.length));
}
