/**
 * An SA of a cluster at one of its nodes: what it may send with, and how it comes and goes
 * (RFC 4303 §3.3.3, §3.4.3).
 *
 * Sequence numbers are looked after only when those that were allotted are used up: once for many packets.
 */
import {
  SA_COUNTERS,
  SaCounter,
  type SharedCounters,
  WorkerCounter,
} from '../events/shared-counters.ts';
import type { TakeOverWindow } from '../ipsec/replay-sampling.ts';
import {
  laterNumber,
  numberAfter,
  numbersBetween,
  type SequenceHalves,
} from '../ipsec/sequence-number.ts';
import type { ReservationStart } from '../ipsec/sequence-reservation.ts';
import { after, type Instant } from '../wire/instant.ts';
import { type CarriedTraffic, type ClusterParameters, ClusterShare } from './cluster-share.ts';
import { type EspSa, updateWithheld } from './esp-sa.ts';
import type { PacketReports } from './packet-reports.ts';

/** What an SA's share is counted in, and who gives it more. */
export interface ShareKeepers {
  readonly counters: SharedCounters;
  readonly reports: Pick<PacketReports, 'sequenceWanted'>;
}

/** How this node begins to carry an SA. */
export interface TakeOver extends ReservationStart {
  readonly sid: number;
  readonly window: TakeOverWindow;
  /** By whoever had it; otherwise what was said before stands. */
  readonly carried?: CarriedTraffic;
}

/** Where it begins. */
export interface TakenSa {
  /** No number up to this one is accepted. */
  readonly edge: SequenceHalves;
  /** None up to this one is sent. */
  readonly used: SequenceHalves;
  /** So many packets may be accepted that were accepted before, unless samples were lost. */
  readonly exposure: number;
}

/** Where this node ended to carry an SA. */
export interface GivenSa {
  /** The last number it sent. */
  readonly used: SequenceHalves;
  /** The highest it accepted. */
  readonly edge: SequenceHalves;
}

/** The share of an SA that is installed, behind what an earlier keeper of the SA says it used. */
export function beginShare(
  sa: EspSa,
  cluster: ClusterParameters,
  keepers: ShareKeepers,
  now: Instant,
): void {
  const sealed = keepers.counters.work[WorkerCounter.IV_TOP] ?? 0;
  const share = new ClusterShare(cluster, sa.parameters.esn, sealed, now);
  sa.share = share;
  skipUsed(sa, cluster.used);
  if (numbersBetween(edgeOf(sa), cluster.edge) > 0) skipSeen(sa, cluster.edge, keepers);
  if (cluster.carried) resumeTraffic(sa, cluster.carried, keepers);
  updateWithheld(sa);
  if (share.role === 'active') renewShare(sa, share, keepers, now);
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
  counters.sas[sa.countersOut + SaCounter.SHARED] = asNumber(reservation.reserved);
  const { wanted } = reservation;
  if (wanted !== undefined) reports.sequenceWanted(sa, wanted);
  // It may have been without.
  if (count > 0) updateWithheld(sa);
  return count > 0;
}

/** From now on this node carries the SA: it sends behind `used` and accepts ahead of what it saw. */
export function takeSa(
  sa: EspSa,
  share: ClusterShare,
  how: TakeOver,
  keepers: ShareKeepers,
  now: Instant,
): TakenSa {
  const wasPassive = share.role === 'passive';
  const exposure = wasPassive ? share.exposure(how.window, now) : 0;
  const lead = wasPassive ? share.edgeLead(how.window, now) : 0;
  const edge = withinSpace(numberAfter(edgeOf(sa), lead), sa.parameters.esn);
  // What arrived of what is to the left is not known here, save by the one who had the SA.
  if (wasPassive && how.window !== 'unchanged') skipSeen(sa, edge, keepers);
  if (wasPassive && how.carried) resumeTraffic(sa, how.carried, keepers);
  share.role = 'active';
  share.ivs.become(how.sid);
  const used = skipUsed(sa, how.used);
  share.reserveAnew({ ...how, used }, now);
  keepers.counters.sas[sa.countersOut + SaCounter.SEQUENCE] = asNumber(used);
  updateWithheld(sa);
  renewShare(sa, share, keepers, now);
  return { edge, used, exposure };
}

/** From now on nothing is sent or accepted; answers how far this node came. */
export function giveSa(sa: EspSa, share: ClusterShare, now: Instant): GivenSa {
  share.role = 'passive';
  if (share.handsOn) share.handsAllOnUntil = after(now, FOLLOWS_MS);
  sa.sequence.allot(0);
  updateWithheld(sa);
  return { used: { high: sa.sequence.high, low: sa.sequence.low }, edge: edgeOf(sa) };
}

/** The next number sent comes so many later (RFC 6311 §5.2); where numbers are allotted, once it is. */
export function skipOutbound(sa: EspSa, count: number, keepers: ShareKeepers): void {
  const { esn } = sa.parameters;
  const { high, low } = withinSpace(numberAfter(sa.sequence, count), esn);
  sa.sequence.resumeAfter(high, low);
  keepers.counters.sas[sa.countersOut + SaCounter.SEQUENCE] = asNumber({ high, low });
}

/** No number up to so many ahead of the highest accepted one is accepted any more (RFC 6311 §5.2). */
export function skipInbound(sa: EspSa, count: number, keepers: ShareKeepers): void {
  skipSeen(sa, withinSpace(numberAfter(edgeOf(sa), count), sa.parameters.esn), keepers);
}

/** The node that has a passive SA says where its window is. */
export function followEdge(
  sa: EspSa,
  share: ClusterShare,
  edge: SequenceHalves,
  counters: Pick<SharedCounters, 'sas'>,
  now: Instant,
): void {
  const { window } = sa;
  // As if its newest packet had come by: what is to the left of the window is no news.
  window.update(edge.high, edge.low);
  counters.sas[sa.countersIn + SaCounter.SEQUENCE] = asNumber(edgeOf(sa));
  share.rate.note(window.topHigh, window.topLow, now);
}

/** The SA's counter stands where no number up to `used` follows, and nothing is allotted. */
function skipUsed(sa: EspSa, used: SequenceHalves): SequenceHalves {
  const { high, low } = laterNumber(sa.sequence, used);
  sa.sequence.resumeAfter(high, low);
  sa.sequence.allot(0);
  return { high, low };
}

/** RFC 4301 §4.4.2.1: the limits are the SA's, not a node's. What is counted here already counts. */
function resumeTraffic(sa: EspSa, carried: CarriedTraffic, { counters }: ShareKeepers): void {
  const { packetsIn, octetsIn, packetsOut, octetsOut } = carried;
  for (const [meter, at, packets, octets] of [
    [sa.meterIn, sa.countersIn, packetsIn, octetsIn],
    [sa.meterOut, sa.countersOut, packetsOut, octetsOut],
  ] as const) {
    const row = counters.sas.subarray(at, at + SA_COUNTERS);
    row[SaCounter.PACKETS] = Math.max(packets, row[SaCounter.PACKETS] ?? 0);
    row[SaCounter.OCTETS] = Math.max(octets, row[SaCounter.OCTETS] ?? 0);
    meter.resume(row[SaCounter.PACKETS] ?? 0, row[SaCounter.OCTETS] ?? 0);
  }
}

/** None of the numbers up to `edge` is accepted from now on. */
function skipSeen(sa: EspSa, { high, low }: SequenceHalves, { counters }: ShareKeepers): void {
  sa.window.resumeAfter(high, low);
  counters.sas[sa.countersIn + SaCounter.SEQUENCE] = asNumber({ high, low });
}

function edgeOf({ window }: EspSa): SequenceHalves {
  return { high: window.topHigh, low: window.topLow };
}

/** Without ESN there is no number beyond the low half. */
function withinSpace(number: SequenceHalves, esn: boolean): SequenceHalves {
  return esn || number.high === 0 ? number : { high: 0, low: 0xffff_ffff };
}

function asNumber({ high, low }: SequenceHalves): number {
  return high * 0x1_0000_0000 + low;
}

/** Milliseconds: by then packets of an SA that was given come to the node that has it. */
const FOLLOWS_MS = 1000;
