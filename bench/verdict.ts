/**
 * Limits that a question knows, and whether what was measured keeps them.
 */

/** A limit and whether it is kept. */
export interface Verdict {
  readonly limit: string;
  readonly measured: string;
  /** Absent where there was nothing to judge. */
  readonly kept?: boolean;
}

/** A figure that must not be lower than the limit; absent where it was not measured. */
export function atLeast(limit: string, least: number, figure: number | undefined): Verdict {
  if (figure === undefined) return { limit, measured: 'not measured' };
  return { limit, measured: figure.toFixed(2), kept: figure >= least };
}

/** A figure that must not be higher than the limit; absent where it was not measured. */
export function atMost(limit: string, most: number, figure: number | undefined): Verdict {
  if (figure === undefined) return { limit, measured: 'not measured' };
  return { limit, measured: figure.toFixed(2), kept: figure <= most };
}

/** No limit is missed. */
export function noneMissed(verdicts: readonly Verdict[]): boolean {
  return verdicts.every(({ kept }) => kept !== false);
}

/** One line for each: `kept    at least 5 times strongSwan: 6.10`. */
export function verdictLines(verdicts: readonly Verdict[]): readonly string[] {
  return verdicts.map(({ limit, measured, kept }) => {
    const word = kept === undefined ? 'open  ' : kept ? 'kept  ' : 'MISSED';
    return `${word}  ${limit}: ${measured}`;
  });
}
