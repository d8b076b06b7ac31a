/**
 * A point in time on the monotonic clock, in milliseconds.
 *
 * Pure rooms receive it as an argument and never read a clock.
 */
export type Instant = number & { readonly brand: 'Instant' };

export function instant(milliseconds: number): Instant {
  return milliseconds as Instant;
}

/** The instant `milliseconds` after `from`. */
export function after(from: Instant, milliseconds: number): Instant {
  return instant(from + milliseconds);
}

/** The earliest of the instants that are set. */
export function earliest(...instants: readonly (Instant | undefined)[]): Instant | undefined {
  let found: Instant | undefined;
  for (const one of instants) {
    if (one !== undefined && (found === undefined || one < found)) found = one;
  }
  return found;
}
