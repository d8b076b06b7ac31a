/**
 * The threads that move packets, as `tsgw status` shows them: which SAs each has, by the rule that the
 * kernel's filters go by, and what it did.
 */
import { type SharedCounters, WorkerCounter } from '../events/shared-counters.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { workerOfSpi } from '../ipsec/spi.ts';
import type { WorkerView } from '../vici/control.ts';

export function workerViews(
  counters: readonly Pick<SharedCounters, 'work'>[],
  childSas: readonly Pick<ChildSa, 'spiIn'>[],
): readonly WorkerView[] {
  const owned = counters.map(() => 0);
  for (const { spiIn } of childSas) {
    const worker = workerOfSpi(spiIn, counters.length);
    owned[worker] = (owned[worker] ?? 0) + 1;
  }
  return counters.map(({ work }, worker) => ({
    childSas: owned[worker] ?? 0,
    packetsIn: work[WorkerCounter.PACKETS_IN] ?? 0,
    packetsOut: work[WorkerCounter.PACKETS_OUT] ?? 0,
    handedOver: work[WorkerCounter.HANDED_OVER] ?? 0,
    takenOver: work[WorkerCounter.TAKEN_OVER] ?? 0,
  }));
}
