/** Comparison of MACs and other secrets: the time it takes tells nothing but their lengths. */
import { timingSafeEqual } from 'node:crypto';

/** Whether both hold the same octets; octets of different lengths are unequal. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
