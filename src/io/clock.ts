/**
 * The monotonic clock: the same in every thread of the process.
 */
import { hrtime } from 'node:process';
import { type Instant, instant } from '../wire/instant.ts';

/** Milliseconds, with their fractions, since a moment before the process started. */
export function now(): Instant {
  return instant(Number(hrtime.bigint()) / 1e6);
}
