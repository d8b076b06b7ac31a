/**
 * What a node's packet filter looks up: the segments it has, and the inner addresses that are pinned to segments.
 *
 * They are sets and maps of their own, so that taking or giving away a segment replaces no rule, and pinned addresses
 * stay where they are. Segments stand in two forms: as the number a hash gives, and as the mark that a
 * pinned address is given while it is looked up.
 */
import { type AddressRange, formatAddress } from '../wire/address.ts';
import type { Pins } from './pinned-ranges.ts';

/** What a node has, of how many segments, and what all nodes know to be pinned. */
export interface Ownership {
  readonly own: readonly number[];
  /** Of what hosts of the LAN send; unset = `own`. */
  readonly ownLan?: readonly number[];
  readonly count: number;
  readonly pins: Pins;
  /** Virtual hardware addresses that are this node's now (`active-passive`). */
  readonly mastered?: readonly string[];
}

/** Of a cluster, in the families `netdev` and `arp`. */
export const TABLE = 'tsgw_cluster';

/** Sets of the table: of segments, of marks, of hardware addresses. */
export const FilterSet = {
  OWN: 'own',
  OWN_LAN: 'own_lan',
  OWN_MARKS: 'own_marks',
  MASTERED: 'mastered',
} as const;
export type FilterSet = (typeof FilterSet)[keyof typeof FilterSet];

/** Maps of the table, from inner addresses to marks; single addresses count before ranges. */
export const FilterMap = {
  HOSTS_4: 'pinned_hosts_4',
  HOSTS_6: 'pinned_hosts_6',
  RANGES_4: 'pinned_ranges_4',
  RANGES_6: 'pinned_ranges_6',
} as const;
export type FilterMap = (typeof FilterMap)[keyof typeof FilterMap];

/** The mark of a segment: never zero, which is that of a packet that nobody looked at. */
export function segmentMark(segment: number): number {
  return (0x8000_0000 | segment) >>> 0;
}

/** Fills the sets and maps of the filter that is there with what the node has from now on, for `nft -f`. */
export function ownershipRuleset({
  own,
  ownLan = own,
  count,
  pins,
  mastered = [],
}: Ownership): string {
  const wrong = [...own, ...ownLan].find(
    (one) => !(Number.isInteger(one) && one >= 0 && one < count),
  );
  if (wrong !== undefined) throw new RangeError(`segment ${wrong} of ${count}`);
  const mine = [...new Set(ownLan)];
  const { hosts, ranges } = pins;
  const hostsOf = (family: 4 | 6) =>
    [...hosts.values()]
      .filter(({ address }) => address.family === family)
      .map(({ address, segment }) => `${formatAddress(address)} : ${markText(segment)}`);
  const rangesOf = (family: 4 | 6) =>
    ranges
      .filter(({ range }) => range.first.family === family)
      .map(({ range, segment }) => `${rangeText(range)} : ${markText(segment)}`);
  return [
    replacedSet('set', FilterSet.OWN, [...new Set(own)].map(String)),
    replacedSet('set', FilterSet.OWN_LAN, mine.map(String)),
    replacedSet('set', FilterSet.OWN_MARKS, mine.map(markText)),
    replacedSet('set', FilterSet.MASTERED, mastered.map(hardwareText)),
    replacedSet('map', FilterMap.HOSTS_4, hostsOf(4)),
    replacedSet('map', FilterMap.HOSTS_6, hostsOf(6)),
    replacedSet('map', FilterMap.RANGES_4, rangesOf(4)),
    replacedSet('map', FilterMap.RANGES_6, rangesOf(6)),
  ].join('');
}

/** The sets and maps, empty, as parts of the table. */
export function declaredSets(): readonly string[] {
  return [
    // nft 1.0 has no name for plain integers: this is an expression that gives one.
    `set ${FilterSet.OWN} {\ntypeof numgen inc mod 2\n}`,
    `set ${FilterSet.OWN_LAN} {\ntypeof numgen inc mod 2\n}`,
    `set ${FilterSet.OWN_MARKS} {\ntype mark\n}`,
    `set ${FilterSet.MASTERED} {\ntype ether_addr\n}`,
    `map ${FilterMap.HOSTS_4} {\ntype ipv4_addr : mark\n}`,
    `map ${FilterMap.HOSTS_6} {\ntype ipv6_addr : mark\n}`,
    `map ${FilterMap.RANGES_4} {\ntype ipv4_addr : mark\nflags interval\n}`,
    `map ${FilterMap.RANGES_6} {\ntype ipv6_addr : mark\nflags interval\n}`,
  ];
}

/** Addresses stand in a program for nft: nothing may stand in them that ends a word there. */
export function hardwareText(address: string): string {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(address)) {
    throw new RangeError(`hardware address ${JSON.stringify(address)}`);
  }
  return address;
}

function replacedSet(kind: 'set' | 'map', name: string, elements: readonly string[]): string {
  const set = `netdev ${TABLE} ${name}`;
  const flush = `flush ${kind} ${set}\n`;
  return elements.length === 0 ? flush : `${flush}add element ${set} { ${elements.join(', ')} }\n`;
}

function markText(segment: number): string {
  return `0x${segmentMark(segment).toString(16)}`;
}

function rangeText({ first, last }: AddressRange): string {
  const [from, to] = [formatAddress(first), formatAddress(last)];
  return from === to ? from : `${from}-${to}`;
}
