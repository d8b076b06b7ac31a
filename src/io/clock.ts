/**
 * The monotonic clock: the same in every thread of the process.
 */
import { hrtime } from 'node:process';
import { type Instant, instant } from '../wire/instant.ts';

/** Milliseconds, with their fractions, since a moment before the process started. */
export function now(): Instant {
  const [seconds, nanoseconds] = hrtime();
  return instant(seconds * 1000 + nanoseconds / 1e6);
}
