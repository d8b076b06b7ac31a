/**
 * Randomness of the operating system, as the pure rooms take it.
 */
import { randomBytes as nodeRandomBytes } from 'node:crypto';
import type { RandomBytes } from '../crypto/random.ts';

export const randomBytes: RandomBytes = (length) => new Uint8Array(nodeRandomBytes(length));
