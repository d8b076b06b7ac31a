/**
 * How well an address fits where a connection says its ends may be (RFC 4301 §4.4.3.1).
 *
 * Names match the addresses they were resolved to; resolving is not done here.
 */
import {
  type AddressRange,
  equalAddresses,
  type IpAddress,
  prefixRange,
  rangeContains,
} from '../wire/address.ts';
import type { AddressMatch } from './connection.ts';

/** Addresses of each configured name, as last resolved. */
export type ResolvedNames = ReadonlyMap<string, readonly IpAddress[]>;

/** 0 = not there; 1 = any address; more for narrower ranges; most for the address itself. */
export function matchAddress(
  matches: readonly AddressMatch[],
  address: IpAddress,
  names: ResolvedNames,
): number {
  return matches.reduce((best, match) => Math.max(best, quality(match, address, names)), 0);
}

const EXACT = 130;

function quality(match: AddressMatch, address: IpAddress, names: ResolvedNames): number {
  switch (match.kind) {
    case 'any':
      return match.family === undefined || match.family === address.family ? 1 : 0;
    case 'address':
      return equalAddresses(match.address, address) ? EXACT : 0;
    case 'prefix':
      return rangeQuality(prefixRange(match.prefix), address);
    case 'range':
      return rangeQuality(match.range, address);
    case 'name': {
      const addresses = names.get(match.name) ?? [];
      return addresses.some((one) => equalAddresses(one, address)) ? EXACT : 0;
    }
  }
}

/** Leading bits that the whole range shares, on top of "any". */
function rangeQuality(range: AddressRange, address: IpAddress): number {
  if (!rangeContains(range, address)) return 0;
  const { first, last } = range;
  let bits = 0;
  for (const [index, octet] of first.octets.entries()) {
    const different = octet ^ (last.octets[index] ?? 0);
    bits += Math.clz32(different) - 24;
    if (different !== 0) break;
  }
  return 1 + bits;
}
