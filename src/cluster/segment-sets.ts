/**
 * What a node's packet filter looks up: the segments it has, and the inner addresses that are pinned to them.
 *
 * They are sets of their own, so that taking or giving away a segment replaces no rule: `ownershipRuleset` says
 * all of them anew in one transaction.
 */
import { type AddressRange, compareAddresses, formatAddress } from '../wire/address.ts';

/** A range of inner addresses whose SAs are in a segment that the hash of an address does not give. */
export interface PinnedRange {
  readonly range: AddressRange;
  readonly segment: number;
}

/** What a node has, of how many segments, and what all nodes know to be pinned. */
export interface Ownership {
  readonly own: readonly number[];
  readonly count: number;
  readonly pinned: readonly PinnedRange[];
  /** Virtual hardware addresses that are this node's now (`active-passive`). */
  readonly mastered?: readonly string[];
}

/** Of a cluster, in the families `netdev` and `arp`. */
export const TABLE = 'tsgw_cluster';

/** Sets of the table. */
export const FilterSet = {
  OWN: 'own',
  MASTERED: 'mastered',
  PINNED_HERE_4: 'pinned_here_4',
  PINNED_HERE_6: 'pinned_here_6',
  PINNED_ELSEWHERE_4: 'pinned_elsewhere_4',
  PINNED_ELSEWHERE_6: 'pinned_elsewhere_6',
} as const;
export type FilterSet = (typeof FilterSet)[keyof typeof FilterSet];

/** Fills the sets of the filter that is there with what the node has from now on, for `nft -f`. */
export function ownershipRuleset({ own, count, pinned, mastered = [] }: Ownership): string {
  const wrong = own.find((one) => !(Number.isInteger(one) && one >= 0 && one < count));
  if (wrong !== undefined) throw new RangeError(`segment ${wrong} of ${count}`);
  const mine = new Set(own);
  const ranges = (family: 4 | 6, here: boolean) =>
    pinned
      .filter(({ segment, range }) => mine.has(segment) === here && range.first.family === family)
      .map(({ range }) => rangeText(range));
  const elements: Readonly<Record<FilterSet, readonly string[]>> = {
    own: [...mine].map(String),
    mastered: mastered.map(hardwareText),
    pinned_here_4: ranges(4, true),
    pinned_here_6: ranges(6, true),
    pinned_elsewhere_4: ranges(4, false),
    pinned_elsewhere_6: ranges(6, false),
  };
  return Object.values(FilterSet)
    .map((name) => replacedSet(name, elements[name]))
    .join('');
}

/** The sets, empty, as parts of the table. */
export function declaredSets(): readonly string[] {
  const ranges = (type: string) => `type ${type}\nflags interval\nauto-merge`;
  const kinds: Readonly<Record<FilterSet, string>> = {
    // nft 1.0 has no name for plain integers: this is an expression that gives one.
    own: 'typeof numgen inc mod 2',
    mastered: 'type ether_addr',
    pinned_here_4: ranges('ipv4_addr'),
    pinned_here_6: ranges('ipv6_addr'),
    pinned_elsewhere_4: ranges('ipv4_addr'),
    pinned_elsewhere_6: ranges('ipv6_addr'),
  };
  return Object.values(FilterSet).map((name) => `set ${name} {\n${kinds[name]}\n}`);
}

/** Addresses stand in a program for nft: nothing may stand in them that ends a word there. */
export function hardwareText(address: string): string {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(address)) {
    throw new RangeError(`hardware address ${JSON.stringify(address)}`);
  }
  return address;
}

function replacedSet(name: FilterSet, elements: readonly string[]): string {
  const set = `netdev ${TABLE} ${name}`;
  const flush = `flush set ${set}\n`;
  return elements.length === 0 ? flush : `${flush}add element ${set} { ${elements.join(', ')} }\n`;
}

function rangeText({ first, last }: AddressRange): string {
  const [from, to] = [formatAddress(first), formatAddress(last)];
  return compareAddresses(first, last) === 0 ? from : `${from}-${to}`;
}
