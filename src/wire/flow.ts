/**
 * What a policy looks at in a packet: addresses, next layer protocol, ports (RFC 4301 §4.4.1.1).
 *
 * `readFlow` is the one parser of inner packets. It fills a record the caller keeps, allocates
 * nothing, throws nothing and answers a fault number for packets no policy can judge.
 */
import { type IpAddress, ipAddress } from './address.ts';
import { readU8, readU16, readU32, writeU32 } from './field.ts';
import { ICMP_HEADER } from './icmp.ts';
import { IpProtocol } from './ip-protocol.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import { TCP_HEADER } from './tcp.ts';
import { UDP_HEADER } from './udp.ts';

/** A port or protocol the packet does not show: a later fragment, or a protocol without ports. */
export const OPAQUE = -1;

export const Fragment = { WHOLE: 0, FIRST: 1, LATER: 2 } as const;

/** Why a packet cannot be judged; 0 is none. */
export const FlowFault = {
  NONE: 0,
  BAD_VERSION: 1,
  BAD_HEADER_LENGTH: 2,
  BAD_TOTAL_LENGTH: 3,
  BAD_EXTENSION_HEADERS: 4,
  TRUNCATED_UPPER_LAYER: 5,
} as const;

export interface Flow {
  family: number;
  /** Next layer protocol, or OPAQUE in a later fragment that continues an extension header. */
  protocol: number;
  /** Four words; an IPv4 address is in the first, the others are zero. */
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
  /** For ICMP both are type * 256 + code, for the Mobility Header type * 256. */
  sourcePort: number;
  destinationPort: number;
  /** One of `Fragment`. */
  fragment: number;
  /** What the fragments of one packet share; stale where `fragment` is WHOLE, as is the next. */
  identification: number;
  /** Octets of the whole payload in front of a later fragment, or up to the end of the first. */
  fragmentEdge: number;
  /** Octets before the upper-layer header, extension headers included. */
  headerLength: number;
  /** What the header says; octets behind it are traffic flow confidentiality padding. */
  totalLength: number;
}

export function createFlow(): Flow {
  return {
    family: 0,
    protocol: 0,
    source: new Uint32Array(4),
    destination: new Uint32Array(4),
    sourcePort: OPAQUE,
    destinationPort: OPAQUE,
    fragment: Fragment.WHOLE,
    identification: 0,
    fragmentEdge: 0,
    headerLength: 0,
    totalLength: 0,
  };
}

/** Reads the packet of `length` octets at `at`; answers a FlowFault. After a fault `flow` is stale. */
export function readFlow(octets: Uint8Array, at: number, length: number, flow: Flow): number {
  if (length < 1 || at + length > octets.length) return FlowFault.BAD_TOTAL_LENGTH;
  const version = ipv4.ipVersion(octets, at);
  if (version === 4) return readIpv4(octets, at, length, flow);
  if (version === 6) return readIpv6(octets, at, length, flow);
  return FlowFault.BAD_VERSION;
}

/** Writes an address the way flows hold them. */
export function addressToWords(address: IpAddress, words: Uint32Array, at: number): void {
  for (let word = 0; word < 4; word++) words[at + word] = readU32(address.octets, word * 4);
}

/** The address in four words, as a value; for messages, not for the packet path. */
export function addressFromWords(family: number, words: Uint32Array, at = 0): IpAddress {
  const octets = new Uint8Array(family === 4 ? 4 : 16);
  for (let word = 0; word < octets.length / 4; word++) {
    writeU32(octets, word * 4, words[at + word] ?? 0);
  }
  return ipAddress(octets);
}

const walk = ipv6.createExtensionWalk();

function readIpv4(octets: Uint8Array, at: number, length: number, flow: Flow): number {
  if (length < ipv4.IPV4_HEADER) return FlowFault.BAD_HEADER_LENGTH;
  const headerLength = ipv4.ipv4HeaderLength(octets, at);
  if (headerLength < ipv4.IPV4_HEADER || headerLength > length) return FlowFault.BAD_HEADER_LENGTH;
  const totalLength = ipv4.ipv4TotalLength(octets, at);
  if (totalLength < headerLength || totalLength > length) return FlowFault.BAD_TOTAL_LENGTH;
  flow.family = 4;
  flow.headerLength = headerLength;
  flow.totalLength = totalLength;
  flow.protocol = ipv4.ipv4Protocol(octets, at);
  readIpv4Address(octets, at + ipv4.Ipv4Field.SOURCE, flow.source);
  readIpv4Address(octets, at + ipv4.Ipv4Field.DESTINATION, flow.destination);
  const offset = ipv4.ipv4FragmentOffset(octets, at);
  if (offset !== 0) {
    flow.fragment = Fragment.LATER;
    flow.identification = ipv4.ipv4Identification(octets, at);
    flow.fragmentEdge = offset * 8;
    flow.sourcePort = OPAQUE;
    flow.destinationPort = OPAQUE;
    return FlowFault.NONE;
  }
  flow.fragment = Fragment.WHOLE;
  if (ipv4.ipv4MoreFragments(octets, at)) {
    flow.fragment = Fragment.FIRST;
    flow.identification = ipv4.ipv4Identification(octets, at);
    flow.fragmentEdge = totalLength - headerLength;
  }
  return readPorts(octets, at + headerLength, totalLength - headerLength, flow);
}

function readIpv6(octets: Uint8Array, at: number, length: number, flow: Flow): number {
  if (length < ipv6.IPV6_HEADER) return FlowFault.BAD_HEADER_LENGTH;
  const totalLength = ipv6.IPV6_HEADER + ipv6.ipv6PayloadLength(octets, at);
  if (totalLength > length) return FlowFault.BAD_TOTAL_LENGTH;
  const end = ipv6.walkExtensionHeaders(octets, at, totalLength, walk);
  if (end === ipv6.WalkEnd.TRUNCATED || end === ipv6.WalkEnd.TOO_MANY) {
    return FlowFault.BAD_EXTENSION_HEADERS;
  }
  flow.family = 6;
  flow.headerLength = walk.headerLength;
  flow.totalLength = totalLength;
  flow.protocol = walk.protocol;
  readIpv6Address(octets, at + ipv6.Ipv6Field.SOURCE, flow.source);
  readIpv6Address(octets, at + ipv6.Ipv6Field.DESTINATION, flow.destination);
  if (end === ipv6.WalkEnd.LATER_FRAGMENT) {
    flow.fragment = Fragment.LATER;
    flow.identification = walk.identification;
    flow.fragmentEdge = walk.fragmentOffset;
    flow.sourcePort = OPAQUE;
    flow.destinationPort = OPAQUE;
    // RFC 4301 §4.4.1.1: what follows an extension header in another fragment is not visible here.
    if (ipv6.isExtensionHeader(walk.protocol)) flow.protocol = OPAQUE;
    return FlowFault.NONE;
  }
  flow.fragment = Fragment.WHOLE;
  if (walk.firstFragment) {
    flow.fragment = Fragment.FIRST;
    flow.identification = walk.identification;
    flow.fragmentEdge = totalLength - walk.fragmentableAt;
  }
  return readPorts(octets, at + walk.headerLength, totalLength - walk.headerLength, flow);
}

function readIpv4Address(octets: Uint8Array, at: number, into: Uint32Array): void {
  into[0] = readU32(octets, at);
  into[1] = 0;
  into[2] = 0;
  into[3] = 0;
}

function readIpv6Address(octets: Uint8Array, at: number, into: Uint32Array): void {
  into[0] = readU32(octets, at);
  into[1] = readU32(octets, at + 4);
  into[2] = readU32(octets, at + 8);
  into[3] = readU32(octets, at + 12);
}

function readPorts(octets: Uint8Array, at: number, present: number, flow: Flow): number {
  flow.sourcePort = OPAQUE;
  flow.destinationPort = OPAQUE;
  if (present < minimumHeader(flow.protocol)) return FlowFault.TRUNCATED_UPPER_LAYER;
  switch (flow.protocol) {
    case IpProtocol.TCP:
    case IpProtocol.UDP:
    case IpProtocol.UDPLITE:
    case IpProtocol.SCTP:
    case IpProtocol.DCCP:
      flow.sourcePort = readU16(octets, at);
      flow.destinationPort = readU16(octets, at + 2);
      break;
    case IpProtocol.ICMP:
    case IpProtocol.IPV6_ICMP:
      // RFC 4301 §4.4.1.1: message type and code are one 16-bit selector.
      flow.sourcePort = readU16(octets, at);
      flow.destinationPort = flow.sourcePort;
      break;
    case IpProtocol.MOBILITY_HEADER:
      flow.sourcePort = readU8(octets, at + 2) << 8;
      flow.destinationPort = flow.sourcePort;
      break;
  }
  return FlowFault.NONE;
}

/** Octets the upper-layer header has at least; 0 where no port is read. */
export function minimumHeader(protocol: number): number {
  switch (protocol) {
    case IpProtocol.TCP:
      return TCP_HEADER;
    case IpProtocol.UDP:
    case IpProtocol.UDPLITE:
      return UDP_HEADER;
    case IpProtocol.SCTP:
    case IpProtocol.DCCP:
      return 12;
    case IpProtocol.ICMP:
      return ICMP_HEADER;
    case IpProtocol.IPV6_ICMP:
    case IpProtocol.MOBILITY_HEADER:
      return 4;
    default:
      return 0;
  }
}
