/**
 * The pseudorandom function of an IKE SA and its expansion prf+ (RFC 7296 §2.13, RFC 4868 §2.1.2).
 *
 * Only HMACs: they take a key of any length, so the fixed-key rules of RFC 7296 §2.14 do not arise.
 */
import { strict as assert } from 'node:assert';
import { createHmac } from 'node:crypto';
import type { PrfAlgorithm } from './algorithms.ts';

/** `prf(key, data | data | ...)`. */
export function prf(
  algorithm: PrfAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  const mac = createHmac(algorithm.digest, key);
  for (const part of data) mac.update(part);
  return new Uint8Array(mac.digest());
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
