/**
 * What the packet loop counts, in memory both threads see.
 *
 * One writer (the packet loop), any readers. Every value is a double: exact to 2^53, written whole
 * on the machines we run on. Times are `Instant`s, 0 = never.
 */
import { DROP_REASONS } from './drop-reason.ts';

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
} as const;

export const SA_COUNTERS = 8;

/**
 * Rows for SAs, two for each Child SA; a gateway with more refuses the next Child SA. Memory is taken
 * only where a row was written.
 */
export const MAX_SA_ROWS = 262_144;

export interface SharedCounters {
  readonly sas: Float64Array;
  /** By DropReason. */
  readonly drops: Float64Array;
}

export function createSharedCounters(rows = MAX_SA_ROWS): SharedCounters {
  return {
    sas: new Float64Array(new SharedArrayBuffer(rows * SA_COUNTERS * 8)),
    drops: new Float64Array(new SharedArrayBuffer(DROP_REASONS * 8)),
  };
}
