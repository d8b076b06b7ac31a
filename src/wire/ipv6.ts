/**
 * IPv6 header in place (RFC 8200 §3) and the way through its extension headers (§4).
 *
 * The walk skips what RFC 4301 §4.4.1.1 lists as skipped by default: hop-by-hop options, routing,
 * fragment and destination options. AH and ESP are next layer protocols.
 */
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from './field.ts';
import { IpProtocol } from './ip-protocol.ts';

/** Offsets of the fields. */
export const Ipv6Field = {
  VERSION_CLASS_LABEL: 0,
  PAYLOAD_LENGTH: 4,
  NEXT_HEADER: 6,
  HOP_LIMIT: 7,
  SOURCE: 8,
  DESTINATION: 24,
} as const;

export const IPV6_HEADER = 40;

/** Extension headers followed in one packet; a longer chain is malformed to us. */
export const MAX_EXTENSION_HEADERS = 8;

export function ipv6TrafficClass(octets: Uint8Array, at: number): number {
  return (readU16(octets, at) >>> 4) & 0xff;
}

export function ipv6FlowLabel(octets: Uint8Array, at: number): number {
  return readU32(octets, at) & 0xf_ffff;
}

export function ipv6PayloadLength(octets: Uint8Array, at: number): number {
  return readU16(octets, at + Ipv6Field.PAYLOAD_LENGTH);
}

export function ipv6NextHeader(octets: Uint8Array, at: number): number {
  return readU8(octets, at + Ipv6Field.NEXT_HEADER);
}

export function ipv6HopLimit(octets: Uint8Array, at: number): number {
  return readU8(octets, at + Ipv6Field.HOP_LIMIT);
}

export function setIpv6TrafficClass(octets: Uint8Array, at: number, value: number): void {
  writeU16(octets, at, (readU16(octets, at) & 0xf00f) | ((value & 0xff) << 4));
}

export function setIpv6HopLimit(octets: Uint8Array, at: number, value: number): void {
  writeU8(octets, at + Ipv6Field.HOP_LIMIT, value);
}

/** What a header says; addresses are 16 octets. */
export interface Ipv6Header {
  readonly trafficClass: number;
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Writes 40 octets, flow label zero. */
export function writeIpv6Header(octets: Uint8Array, at: number, header: Ipv6Header): void {
  writeU32(octets, at, (0x6000_0000 | ((header.trafficClass & 0xff) << 20)) >>> 0);
  writeU16(octets, at + Ipv6Field.PAYLOAD_LENGTH, header.payloadLength);
  writeU8(octets, at + Ipv6Field.NEXT_HEADER, header.nextHeader);
  writeU8(octets, at + Ipv6Field.HOP_LIMIT, header.hopLimit);
  octets.set(header.source, at + Ipv6Field.SOURCE);
  octets.set(header.destination, at + Ipv6Field.DESTINATION);
}

/** How a walk ended. */
export const WalkEnd = {
  /** At the upper-layer header. */
  UPPER_LAYER: 0,
  /** In a non-first fragment: there is no upper-layer header in this packet. */
  LATER_FRAGMENT: 1,
  /** An extension header reaches beyond the packet. */
  TRUNCATED: 2,
  /** More than MAX_EXTENSION_HEADERS. */
  TOO_MANY: 3,
} as const;

/** Where the last walk stopped. One per caller, filled again by each walk. */
export interface ExtensionWalk {
  /** Upper-layer protocol, or what a later fragment says it continues. */
  protocol: number;
  /** Offset of the upper-layer header from the start of the IPv6 header. */
  headerLength: number;
  /** There was a fragment header with offset 0 and more fragments to come. */
  firstFragment: boolean;
  /** Of the last fragment header; stale without one, as are the next two. */
  identification: number;
  /** Octets. */
  fragmentOffset: number;
  /** Where what was cut into fragments begins, from the start of the IPv6 header. */
  fragmentableAt: number;
}

export function createExtensionWalk(): ExtensionWalk {
  return {
    protocol: 0,
    headerLength: 0,
    firstFragment: false,
    identification: 0,
    fragmentOffset: 0,
    fragmentableAt: 0,
  };
}

/** Walks to the upper-layer header; `length` is the packet's, header included. */
export function walkExtensionHeaders(
  octets: Uint8Array,
  at: number,
  length: number,
  walk: ExtensionWalk,
): number {
  let protocol = ipv6NextHeader(octets, at);
  let header = IPV6_HEADER;
  walk.firstFragment = false;
  for (let count = 0; isExtensionHeader(protocol); count++) {
    if (count === MAX_EXTENSION_HEADERS) return WalkEnd.TOO_MANY;
    if (header + 8 > length) return WalkEnd.TRUNCATED;
    const here = at + header;
    const next = readU8(octets, here);
    if (protocol === IpProtocol.IPV6_FRAG) {
      const offsetAndMore = readU16(octets, here + 2);
      header += 8;
      walk.identification = readU32(octets, here + 4);
      walk.fragmentOffset = offsetAndMore & 0xfff8;
      walk.fragmentableAt = header;
      if (walk.fragmentOffset !== 0) {
        walk.protocol = next;
        walk.headerLength = header;
        return WalkEnd.LATER_FRAGMENT;
      }
      // RFC 6946: offset 0 without more fragments is a whole packet.
      walk.firstFragment ||= (offsetAndMore & 1) === 1;
    } else {
      header += (readU8(octets, here + 1) + 1) * 8;
      if (header > length) return WalkEnd.TRUNCATED;
    }
    protocol = next;
  }
  walk.protocol = protocol;
  walk.headerLength = header;
  return WalkEnd.UPPER_LAYER;
}

/** Headers the walk skips (RFC 4301 §4.4.1.1). */
export function isExtensionHeader(protocol: number): boolean {
  return (
    protocol === IpProtocol.HOPOPT ||
    protocol === IpProtocol.IPV6_ROUTE ||
    protocol === IpProtocol.IPV6_FRAG ||
    protocol === IpProtocol.IPV6_OPTS
  );
}
