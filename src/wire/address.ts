/**
 * IPv4 and IPv6 addresses, endpoints and address ranges as values.
 *
 * Text is parsed and printed by ipaddr.js behind this file. Addresses compare by octets; an
 * IPv4-mapped IPv6 address is not an IPv4 address here.
 */
import ipaddr from 'ipaddr.js';

/** An IP address: 4 octets (family 4) or 16 (family 6), network order. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly octets: Uint8Array;
}

/** An address and a UDP port (or 0 where the protocol has none). */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** All addresses from `first` to `last`, both included and of one family. */
export interface AddressRange {
  readonly first: IpAddress;
  readonly last: IpAddress;
}

/** An address with the number of leading bits that count. */
export interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
}

export function ipAddress(octets: Uint8Array): IpAddress {
  if (octets.length !== 4 && octets.length !== 16) {
    throw new RangeError(`an IP address of ${octets.length} octets`);
  }
  return { family: octets.length === 4 ? 4 : 6, octets };
}

/** The address the text spells, or undefined. No names, no zone, no shortened IPv4. */
export function parseAddress(text: string): IpAddress | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return ipAddress(Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray()));
  }
  if (ipaddr.IPv6.isValid(text) && !text.includes('%')) {
    return ipAddress(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
  }
  return undefined;
}

/** Canonical text (RFC 5952 for IPv6). */
export function formatAddress(address: IpAddress): string {
  const { family, octets } = address;
  return family === 4 ? octets.join('.') : new ipaddr.IPv6([...octets]).toRFC5952String();
}

export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let index = 0; index < a.octets.length; index++) {
    const difference = (a.octets[index] ?? 0) - (b.octets[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function equalAddresses(a: IpAddress, b: IpAddress): boolean {
  return compareAddresses(a, b) === 0;
}

export function equalEndpoints(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && equalAddresses(a.address, b.address);
}

/** The endpoint, with the address object of another where both are equal: thousands are kept. */
export function sharingAddress(endpoint: Endpoint, other: Endpoint): Endpoint {
  const shared = equalAddresses(endpoint.address, other.address);
  return shared ? { address: other.address, port: endpoint.port } : endpoint;
}

/** `192.0.2.1[500]`, the spelling strongSwan's users know. */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${formatAddress(endpoint.address)}[${endpoint.port}]`;
}

/** 0.0.0.0 or ::. */
export function anyAddress(family: 4 | 6): IpAddress {
  return ipAddress(new Uint8Array(family === 4 ? 4 : 16));
}

export function isAnyAddress(address: IpAddress): boolean {
  return address.octets.every((octet) => octet === 0);
}

/** May a host have it, on a link of its own? No network's, no group's, not the machine itself. */
export function isUnicastAddress(address: IpAddress): boolean {
  const [first = 0] = address.octets;
  if (address.family === 4) return first > 0 && first !== 127 && first < 224;
  return first !== 0xff && address.octets.some((octet, index) => octet > (index === 15 ? 1 : 0));
}

export function rangeContains(range: AddressRange, address: IpAddress): boolean {
  return (
    range.first.family === address.family &&
    compareAddresses(range.first, address) <= 0 &&
    compareAddresses(address, range.last) <= 0
  );
}

/** `10.0.0.0/8`, `10.0.0.1` (as /32) or undefined. Host bits may be set; they are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const [head = '', bits, ...more] = text.split('/');
  const address = parseAddress(head);
  if (address === undefined || more.length > 0) return undefined;
  const width = address.octets.length * 8;
  const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (length < 0 || length > width) return undefined;
  return { address: maskAddress(address, length, 0), length };
}

export function formatPrefix(prefix: Prefix): string {
  return [formatAddress(prefix.address), prefix.length].join('/');
}

export function prefixRange(prefix: Prefix): AddressRange {
  return {
    first: maskAddress(prefix.address, prefix.length, 0),
    last: maskAddress(prefix.address, prefix.length, 0xff),
  };
}

/** The fewest prefixes that cover the range exactly, in order. */
export function rangePrefixes(range: AddressRange): readonly Prefix[] {
  const width = range.first.octets.length * 8;
  const last = toInteger(range.last);
  const prefixes: Prefix[] = [];
  let first = toInteger(range.first);
  while (first <= last) {
    let free = 0;
    while (
      free < width &&
      (first & (1n << BigInt(free))) === 0n &&
      first + (1n << BigInt(free + 1)) - 1n <= last
    ) {
      free++;
    }
    prefixes.push({ address: fromInteger(first, range.first.family), length: width - free });
    first += 1n << BigInt(free);
  }
  return prefixes;
}

/** The address `distance` behind `from`; there is one. */
export function addressAfter(from: IpAddress, distance: number): IpAddress {
  return fromInteger(toInteger(from) + BigInt(distance), from.family);
}

/** How far `to` is behind `from`, of the same family. */
export function addressDistance(from: IpAddress, to: IpAddress): bigint {
  return toInteger(to) - toInteger(from);
}

function maskAddress(address: IpAddress, length: number, fill: 0 | 0xff): IpAddress {
  return ipAddress(
    address.octets.map((octet, index) => {
      const bits = Math.max(0, Math.min(8, length - index * 8));
      const mask = (0xff00 >> bits) & 0xff;
      return (octet & mask) | (fill & ~mask & 0xff);
    }),
  );
}

function toInteger(address: IpAddress): bigint {
  return address.octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

function fromInteger(value: bigint, family: 4 | 6): IpAddress {
  const octets = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let index = octets.length - 1; index >= 0; index--) {
    octets[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return ipAddress(octets);
}
