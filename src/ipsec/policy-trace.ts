/**
 * How policies come to their answer about one packet, for people: those it passes by in the order of
 * look-up, what of each it does not fit, and the one that decides (RFC 4301 §5.1, §5.2).
 *
 * The decision is that of `Spd.lookup` and `SelectorPairs`; this is the plain version of it.
 */
import type { IpAddress } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { commonBits } from './policy-index.ts';
import type { SpdRow } from './spd.ts';
import {
  type FlowEnd,
  flowEnd,
  SelectorMiss,
  selectorMisses,
  type TrafficSelector,
} from './traffic-selector.ts';

/** What of a pair of selectors a packet does not fit, as people call it. */
export type Miss =
  | 'remote address'
  | 'local address'
  | 'protocol'
  | 'remote port'
  | 'local port'
  | 'ICMP type';

export interface SelectorPair {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

/** Both ends of a packet, as seen from here. */
export interface PacketEnds {
  readonly local: FlowEnd;
  readonly remote: FlowEnd;
}

/** A pair of selectors with what a packet does not fit: nothing where it fits. */
export interface Compared<Pair extends SelectorPair> {
  readonly pair: Pair;
  readonly misses: readonly Miss[];
  /** How far the packet is from it. */
  readonly distance: number;
}

export interface PolicyTrace {
  /** In the order of look-up: all before the hit, or all there are. */
  readonly passed: readonly Compared<SpdRow>[];
  readonly hit: SpdRow | undefined;
}

export function packetEnds(flow: Flow, direction: 'out' | 'in'): PacketEnds {
  const [source, destination] = [flowEnd(flow, 'source'), flowEnd(flow, 'destination')];
  return direction === 'out'
    ? { local: source, remote: destination }
    : { local: destination, remote: source };
}

/** Looks an outbound packet up in rows that stand in the order of look-up. */
export function tracePolicies(rows: readonly SpdRow[], flow: Flow): PolicyTrace {
  const ends = packetEnds(flow, 'out');
  const passed: Compared<SpdRow>[] = [];
  for (const row of rows) {
    if (pairFits(row, ends)) return { passed, hit: row };
    passed.push(compare(row, ends));
  }
  return { passed, hit: undefined };
}

/** Does a packet fit a pair? `SelectorPairs` answers the packet path the same. */
export function pairFits({ local, remote }: SelectorPair, ends: PacketEnds): boolean {
  return (
    selectorMisses(remote, ends.remote) === SelectorMiss.NONE &&
    selectorMisses(local, ends.local) === SelectorMiss.NONE
  );
}

export function compare<Pair extends SelectorPair>(pair: Pair, ends: PacketEnds): Compared<Pair> {
  const misses = missesOf(pair, ends);
  let distance = 0;
  for (const miss of misses) distance += WEIGHTS[miss] + strangeBits(pair, miss, ends);
  return { pair, misses, distance };
}

/** The one the packet comes nearest to, the first among equals. */
export function nearest<One extends { readonly distance: number }>(
  passed: readonly One[],
): One | undefined {
  return passed.reduce<One | undefined>(
    (best, one) => (best && best.distance <= one.distance ? best : one),
    undefined,
  );
}

/** At most `count` of them, the nearest, in the order they stand in. */
export function nearestFew<One extends { readonly distance: number }>(
  passed: readonly One[],
  count: number,
): readonly One[] {
  if (passed.length <= count) return passed;
  const kept = new Set(passed.toSorted((a, b) => a.distance - b.distance).slice(0, count));
  return passed.filter((one) => kept.has(one));
}

function missesOf({ local, remote }: SelectorPair, ends: PacketEnds): readonly Miss[] {
  const [near, far] = [selectorMisses(local, ends.local), selectorMisses(remote, ends.remote)];
  const misses: Miss[] = [];
  if (far & SelectorMiss.ADDRESS) misses.push('remote address');
  if (near & SelectorMiss.ADDRESS) misses.push('local address');
  // Both ends name the protocol, and the type of ICMP stands for both ports.
  if ((near | far) & SelectorMiss.PROTOCOL) misses.push('protocol');
  const { protocol } = ends.local;
  if (protocol === IpProtocol.ICMP || protocol === IpProtocol.IPV6_ICMP) {
    if ((near | far) & SelectorMiss.PORT) misses.push('ICMP type');
    return misses;
  }
  if (far & SelectorMiss.PORT) misses.push('remote port');
  if (near & SelectorMiss.PORT) misses.push('local port');
  return misses;
}

/** Trailing bits of the packet's address that a selector would have to leave open to cover it. */
function strangeBits({ local, remote }: SelectorPair, miss: Miss, ends: PacketEnds): number {
  if (miss === 'remote address') return bitsBeside(remote, ends.remote);
  return miss === 'local address' ? bitsBeside(local, ends.local) : 0;
}

function bitsBeside({ range: { first, last } }: TrafficSelector, { address }: FlowEnd): number {
  if (first.family !== address.family) return MOST_BITS;
  return Math.min(bitsApart(first, address), bitsApart(last, address));
}

function bitsApart(a: IpAddress, b: IpAddress): number {
  return a.octets.length * 8 - commonBits(a, b);
}

/** One address is further than the protocol and every port, whatever its bits. */
const WEIGHTS: Readonly<Record<Miss, number>> = {
  'remote address': 4000,
  'local address': 4000,
  protocol: 2000,
  'remote port': 500,
  'local port': 500,
  'ICMP type': 500,
};
const MOST_BITS = 129;
