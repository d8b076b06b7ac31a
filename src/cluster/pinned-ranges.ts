/**
 * Inner addresses whose SAs are in a segment that the hash of an address does not give, told apart as a packet filter
 * looks them up: single addresses, and ranges none of which meets another.
 *
 * Where ranges overlap the smallest one counts, as policies that are more exact do; of equal ones the last.
 */
import {
  type AddressRange,
  compareAddresses,
  formatAddress,
  type IpAddress,
  ipAddress,
} from '../wire/address.ts';

export interface PinnedRange {
  readonly range: AddressRange;
  readonly segment: number;
}

export interface PinnedHost {
  readonly address: IpAddress;
  readonly segment: number;
}

export interface Pins {
  /** By the address as text. They count before ranges. */
  readonly hosts: ReadonlyMap<string, PinnedHost>;
  readonly ranges: readonly PinnedRange[];
}

export const NO_PINS: Pins = { hosts: new Map(), ranges: [] };

export function pinsOf(pinned: readonly PinnedRange[]): Pins {
  const hosts = new Map<string, PinnedHost>();
  const ranges: PinnedRange[] = [];
  for (const one of pinned) {
    const { first, last } = one.range;
    if (compareAddresses(first, last) !== 0) ranges.push(one);
    else hosts.set(formatAddress(first), { address: first, segment: one.segment });
  }
  return { hosts, ranges: ([4, 6] as const).flatMap((family) => disjoint(ranges, family)) };
}

interface Numbered {
  readonly first: bigint;
  readonly last: bigint;
  readonly segment: number;
  /** The larger the later it came. */
  readonly order: number;
}

/** From one boundary to the next the same range counts. */
function disjoint(pinned: readonly PinnedRange[], family: 4 | 6): readonly PinnedRange[] {
  const numbered = pinned
    .filter(({ range }) => range.first.family === family)
    .map(({ range, segment }, order) => ({
      first: numberOf(range.first),
      last: numberOf(range.last),
      segment,
      order,
    }))
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const bounds = [...new Set(numbered.flatMap(({ first, last }) => [first, last + 1n]))].sort(
    (a, b) => (a < b ? -1 : 1),
  );
  const found: { first: bigint; last: bigint; segment: number }[] = [];
  let active: Numbered[] = [];
  let next = 0;
  for (const [index, first] of bounds.entries()) {
    active = active.filter(({ last }) => last >= first);
    for (let one = numbered[next]; one?.first === first; one = numbered[next]) {
      active.push(one);
      next++;
    }
    const [best] = active.toSorted(bySize);
    const end = bounds[index + 1];
    if (best === undefined || end === undefined) continue;
    const before = found.at(-1);
    const goesOn = before?.last === first - 1n && before.segment === best.segment;
    if (before !== undefined && goesOn) before.last = end - 1n;
    else found.push({ first, last: end - 1n, segment: best.segment });
  }
  return found.map(({ first, last, segment }) => ({
    range: { first: addressOf(first, family), last: addressOf(last, family) },
    segment,
  }));
}

function bySize(a: Numbered, b: Numbered): number {
  const [sizeA, sizeB] = [a.last - a.first, b.last - b.first];
  return sizeA < sizeB ? -1 : sizeA > sizeB ? 1 : b.order - a.order;
}

function numberOf({ octets }: IpAddress): bigint {
  return octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

function addressOf(number: bigint, family: 4 | 6): IpAddress {
  const octets = new Uint8Array(family === 4 ? 4 : 16);
  let left = number;
  for (let at = octets.length - 1; at >= 0; at--) {
    octets[at] = Number(left & 0xffn);
    left >>= 8n;
  }
  return ipAddress(octets);
}
