/**
 * Integrity checksums of algorithms without a tag of their own (RFC 4868 §2.6, RFC 2404).
 *
 * Makes the ICV; comparing it with what came is `equalSecrets` in `constant-time.ts`.
 */
import { createHmac } from 'node:crypto';
import type { IntegrityAlgorithm } from './algorithms.ts';

/** The MAC over the concatenation of `data`, cut to the algorithm's ICV length. */
export function computeIcv(
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  const mac = createHmac(algorithm.digest, key);
  for (const part of data) mac.update(part);
  return new Uint8Array(mac.digest().subarray(0, algorithm.icvLength));
}
