/**
 * Randomness of the operating system, as the pure rooms take it.
 *
 * Drawn by the page: a handshake takes a dozen small pieces, and each call into OpenSSL costs more
 * than the octets.
 */
import { randomFillSync } from 'node:crypto';
import type { RandomBytes } from '../crypto/random.ts';

const PAGE_OCTETS = 4096;

const page = new Uint8Array(PAGE_OCTETS);
let given = PAGE_OCTETS;

export const randomBytes: RandomBytes = (length) => {
  if (length > PAGE_OCTETS) return randomFillSync(new Uint8Array(length));
  if (given + length > PAGE_OCTETS) {
    randomFillSync(page);
    given = 0;
  }
  const drawn = page.slice(given, given + length);
  // What was given out may become a key: it stays nowhere else.
  page.fill(0, given, given + length);
  given += length;
  return drawn;
};
