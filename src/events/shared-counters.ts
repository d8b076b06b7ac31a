/**
 * What the packet loops count, in memory all threads see.
 *
 * Every place has one writer, any readers: the rows of an SA its worker, drops and work each worker
 * its own. Every value is a double: exact to 2^53, written whole
 * on the machines we run on. Times are `Instant`s, 0 = never.
 */
import { DROP_REASONS, dropReasonName } from './drop-reason.ts';

/** Columns of one SA's row. An outbound and an inbound SA each have a row. */
export const SaCounter = {
  PACKETS: 0,
  OCTETS: 1,
  /** Instant of the last packet. */
  LAST_USE: 2,
  /** Outbound: last sequence number sent. Inbound: top of the replay window. As a number. */
  SEQUENCE: 3,
  /** Packets of this SA dropped for any reason. */
  DROPS: 4,
  REPLAYS: 5,
  BAD_ICVS: 6,
  /**
   * In a cluster. Outbound: last sequence number that others acknowledged. Inbound: packets verified
   * while another node had the SA.
   */
  SHARED: 7,
} as const;

export const SA_COUNTERS = 8;

/**
 * Rows for SAs, two for each Child SA; a gateway with more refuses the next Child SA. Memory is taken
 * only where a row was written.
 */
export const MAX_SA_ROWS = 262_144;

/** Columns of what a worker did. */
export const WorkerCounter = {
  /** Packets that went to the device. */
  PACKETS_IN: 0,
  /** Packets that were sent. */
  PACKETS_OUT: 1,
  /** Packets of another worker's SAs, given to it. */
  HANDED_OVER: 2,
  /** Packets that other workers gave. */
  TAKEN_OVER: 3,
  /** Goes on as long as the worker does. */
  BEAT: 4,
  /** In a cluster: no packet was sealed with a higher count in its IV. */
  IV_TOP: 5,
} as const;

const WORKER_COUNTERS = 8;

/** As one worker has them. */
export interface SharedCounters {
  readonly sas: Float64Array;
  /** Packets of each SA's row that were dropped, by DropReason. */
  readonly saDrops: Float64Array;
  /** By DropReason. */
  readonly drops: Float64Array;
  /** By WorkerCounter. */
  readonly work: Float64Array;
}

/** Those of the first worker. */
export function createSharedCounters(rows = MAX_SA_ROWS): SharedCounters {
  return countersOver({
    sas: new Float64Array(new SharedArrayBuffer(rows * SA_COUNTERS * 8)),
    saDrops: new Float64Array(new SharedArrayBuffer(rows * DROP_REASONS * 8)),
  });
}

/** Those of a further worker. */
export function shareCounters(first: OfSas): SharedCounters {
  return countersOver(first);
}

/** A packet of the SA whose counters start at `at` was dropped. */
export function countSaDrop({ sas, saDrops }: OfSas, at: number, reason: number): void {
  sas[at + SaCounter.DROPS]!++;
  saDrops[(at / SA_COUNTERS) * DROP_REASONS + reason]!++;
}

/** What was dropped of a row's SA, by name; nothing where nothing was. */
export function saDropsOf({ sas, saDrops }: OfSas, row: number): Readonly<Record<string, number>> {
  if ((sas[row * SA_COUNTERS + SaCounter.DROPS] ?? 0) === 0) return {};
  const first = row * DROP_REASONS;
  const counts = saDrops.subarray(first, first + DROP_REASONS);
  return Object.fromEntries(
    [...counts].flatMap((count, reason) => (count > 0 ? [[dropReasonName(reason), count]] : [])),
  );
}

/** Zeroes a row. Where nothing was dropped, memory for reasons is not touched, hence not taken. */
export function clearSaRow({ sas, saDrops }: OfSas, row: number): void {
  const first = row * SA_COUNTERS;
  if ((sas[first + SaCounter.DROPS] ?? 0) > 0) {
    saDrops.fill(0, row * DROP_REASONS, (row + 1) * DROP_REASONS);
  }
  sas.fill(0, first, first + SA_COUNTERS);
}

/** What the rows of SAs have, whichever worker writes them. */
export type OfSas = Pick<SharedCounters, 'sas' | 'saDrops'>;

/** Drops of all workers, by DropReason. */
export function allDrops(workers: readonly Pick<SharedCounters, 'drops'>[]): readonly number[] {
  return Array.from({ length: DROP_REASONS }, (_, reason) =>
    workers.reduce((sum, { drops }) => sum + (drops[reason] ?? 0), 0),
  );
}

function countersOver({ sas, saDrops }: OfSas): SharedCounters {
  return {
    sas,
    saDrops,
    drops: new Float64Array(new SharedArrayBuffer(DROP_REASONS * 8)),
    work: new Float64Array(new SharedArrayBuffer(WORKER_COUNTERS * 8)),
  };
}
