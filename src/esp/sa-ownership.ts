/**
 * An SA of a cluster at one of its nodes: what it may send with, and how it comes and goes
 * (RFC 4303 §3.3.3, §3.4.3).
 *
 * Sequence numbers are looked after only when those that were allotted are used up: once for many packets.
 */
import { SaCounter, type SharedCounters, WorkerCounter } from '../events/shared-counters.ts';
import { laterNumber } from '../ipsec/sequence-number.ts';
import type { Instant } from '../wire/instant.ts';
import { type ClusterParameters, ClusterShare } from './cluster-share.ts';
import type { EspSa } from './esp-sa.ts';
import type { PacketReports } from './packet-reports.ts';

/** What an SA's share is counted in, and who gives it more. */
export interface ShareKeepers {
  readonly counters: SharedCounters;
  readonly reports: Pick<PacketReports, 'sequenceWanted' | 'limitReached'>;
}

/** The share of an SA that is installed, behind what an earlier keeper of the SA says it used. */
export function beginShare(
  sa: EspSa,
  cluster: ClusterParameters,
  keepers: ShareKeepers,
  now: Instant,
): void {
  const { high, low } = laterNumber(sa.sequence, cluster.used);
  sa.sequence.resumeAfter(high, low);
  sa.sequence.allot(0);
  const sealed = keepers.counters.work[WorkerCounter.IV_TOP] ?? 0;
  const share = new ClusterShare(cluster, sa.parameters.esn, sealed, now);
  sa.share = share;
  renewShare(sa, share, keepers, now);
}

/**
 * Allots further numbers to the SA, as far as others acknowledged them, and asks for more in time;
 * answers whether there is one.
 */
export function renewShare(
  sa: EspSa,
  share: ClusterShare,
  { counters, reports }: ShareKeepers,
  now: Instant,
): boolean {
  const { ivs, reservation } = share;
  const count = Math.min(reservation.renew(sa.sequence, now), ivs.left);
  sa.sequence.allot(count);
  // Before any of them is used: whoever keeps the SA after this thread begins behind them.
  const top = ivs.sealed + count;
  if (top > (counters.work[WorkerCounter.IV_TOP] ?? 0)) counters.work[WorkerCounter.IV_TOP] = top;
  const { high, low } = reservation.reserved;
  counters.sas[sa.countersOut + SaCounter.SHARED] = high * HALF + low;
  const { wanted } = reservation;
  if (wanted !== undefined) reports.sequenceWanted(sa, wanted);
  return count > 0;
}

const HALF = 0x1_0000_0000;
