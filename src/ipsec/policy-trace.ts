/**
 * How policies come to their answer about one packet, for people: those it passes by in the order of
 * look-up, what of each it does not fit, and the one that decides (RFC 4301 §5.1, §5.2).
 *
 * The decision is that of `Spd.lookup` and `SelectorPairs`; this is the plain version of it.
 */
import type { Flow } from '../wire/flow.ts';
import type { SpdRow } from './spd.ts';
import { selectorMisses, type TrafficSelector } from './traffic-selector.ts';

/** What of a pair of selectors a packet does not fit, as people call it. */
export type Miss = 'remote address' | 'local address' | 'protocol' | 'remote port' | 'local port';

/** A policy that the packet does not fit. */
export interface PassedRow {
  readonly row: SpdRow;
  /** One at least. */
  readonly misses: readonly Miss[];
}

export interface PolicyTrace {
  /** In the order of look-up: all before the hit, or all there are. */
  readonly passed: readonly PassedRow[];
  readonly hit: SpdRow | undefined;
}

/** Looks an outbound packet up in rows that stand in the order of look-up. */
export function tracePolicies(rows: readonly SpdRow[], flow: Flow): PolicyTrace {
  const passed: PassedRow[] = [];
  for (const row of rows) {
    const misses = pairMisses(row.local, row.remote, flow, 'out');
    if (misses.length === 0) return { passed, hit: row };
    passed.push({ row, misses });
  }
  return { passed, hit: undefined };
}

/** What of both ends a packet in one direction does not fit; nothing where it fits. */
export function pairMisses(
  local: TrafficSelector,
  remote: TrafficSelector,
  flow: Flow,
  direction: 'out' | 'in',
): readonly Miss[] {
  const [localEnd, remoteEnd] =
    direction === 'out'
      ? (['source', 'destination'] as const)
      : (['destination', 'source'] as const);
  const misses = [
    ...selectorMisses(remote, flow, remoteEnd).map((part) => NAMES.remote[part]),
    ...selectorMisses(local, flow, localEnd).map((part) => NAMES.local[part]),
  ];
  // Both ends name the protocol.
  return [...new Set(misses)];
}

/** How far a packet is from what it does not fit: a port is less than a protocol, that less than an address. */
export function distance(misses: readonly Miss[]): number {
  return misses.reduce((sum, miss) => sum + WEIGHTS[miss], 0);
}

/** The one the packet comes nearest to, the first among equals. */
export function nearest<One extends { readonly misses: readonly Miss[] }>(
  passed: readonly One[],
): One | undefined {
  return passed.reduce<One | undefined>(
    (best, one) => (best && distance(best.misses) <= distance(one.misses) ? best : one),
    undefined,
  );
}

/** At most `count` of them, the nearest, in the order they stand in. */
export function nearestFew<One extends { readonly misses: readonly Miss[] }>(
  passed: readonly One[],
  count: number,
): readonly One[] {
  if (passed.length <= count) return passed;
  const kept = new Set(
    passed.toSorted((a, b) => distance(a.misses) - distance(b.misses)).slice(0, count),
  );
  return passed.filter((one) => kept.has(one));
}

const NAMES = {
  remote: { address: 'remote address', protocol: 'protocol', port: 'remote port' },
  local: { address: 'local address', protocol: 'protocol', port: 'local port' },
} as const;

const WEIGHTS: Readonly<Record<Miss, number>> = {
  'remote address': 4,
  'local address': 4,
  protocol: 2,
  'remote port': 1,
  'local port': 1,
};
