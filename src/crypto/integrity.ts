/**
 * Integrity checksums of algorithms without a tag of their own (RFC 4868 §2.6, RFC 2404, RFC 3566,
 * RFC 4494).
 *
 * Makes the ICV; comparing it with what came is `equalSecrets` in `constant-time.ts`.
 */
import type { IntegrityAlgorithm } from './algorithms.ts';
import { computeMac } from './mac.ts';

/** The MAC over the concatenation of `data`, cut to the algorithm's ICV length. */
export function computeIcv(
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  return computeMac(algorithm.mac, key, ...data).slice(0, algorithm.icvLength);
}
