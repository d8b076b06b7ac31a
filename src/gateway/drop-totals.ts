/**
 * Everything that was discarded, by reason: by the workers, the sockets and IKE.
 */
import { dropReasonName } from '../events/drop-reason.ts';
import { allDrops, type SharedCounters } from '../events/shared-counters.ts';

/** Counts of several tables under one name each; what never happened is left out. */
export function dropTotals(
  counters: readonly SharedCounters[],
  ...tables: readonly Readonly<Record<string, number>>[]
): Readonly<Record<string, number>> {
  const packets = allDrops(counters).map(
    (count, reason) => [dropReasonName(reason), count] as const,
  );
  const total = new Map<string, number>();
  for (const [name, count] of [...packets, ...tables.flatMap((table) => Object.entries(table))]) {
    if (count > 0) total.set(name, (total.get(name) ?? 0) + count);
  }
  return Object.fromEntries(total);
}
