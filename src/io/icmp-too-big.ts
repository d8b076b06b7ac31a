/**
 * Reads "fragmentation needed" (RFC 792 as of RFC 1191 §4) and "packet too big" (RFC 4443 §3.2).
 *
 *   IPv4: IP header, then          IPv6 (the kernel keeps the IP header):
 *   octet 0    type 3              octet 0    type 2
 *   octet 1    code 4              octet 1    code 0
 *   octets 2-3 checksum            octets 2-3 checksum (verified by the kernel)
 *   octets 6-7 next-hop MTU        octets 4-7 MTU
 *   octets 8-  our packet: IP header, then ESP, or UDP and ESP
 *
 * Pure; every length is checked, nothing is thrown.
 */
import { type IpAddress, ipAddress } from '../wire/address.ts';
import { checksum } from '../wire/checksum.ts';
import { readU32 } from '../wire/field.ts';
import {
  ICMP_HEADER,
  IcmpType,
  IcmpUnreachableCode,
  Icmpv6Type,
  icmpCode,
  icmpNextHopMtu,
  icmpType,
  icmpv6Mtu,
} from '../wire/icmp.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  IPV4_HEADER,
  Ipv4Field,
  ipVersion,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
} from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, ipv6NextHeader } from '../wire/ipv6.ts';
import { UDP_HEADER, udpDestinationPort, udpSourcePort } from '../wire/udp.ts';

/** A router could not forward an ESP packet of ours. */
export interface TooBig {
  /** Our address and the peer's, as the packet carried them. */
  readonly local: IpAddress;
  readonly remote: IpAddress;
  /** 0 without UDP encapsulation. */
  readonly localPort: number;
  readonly remotePort: number;
  readonly udpEncapsulation: boolean;
  readonly spi: number;
  /** Octets of the largest packet the link takes; 0 from routers older than RFC 1191. */
  readonly mtu: number;
  /** What was quoted of our packet, from its IP header on. */
  readonly quoted: Uint8Array;
}

/** Why a message says nothing: `foreign` is a proper one about a packet that was not ESP. */
export type NotTooBig = 'malformed' | 'foreign';

/** Reads a message as a raw socket of the family delivers it. */
export function decodeTooBig(message: Uint8Array, family: 4 | 6): TooBig | NotTooBig {
  return family === 4 ? decodeIpv4(message) : decodeIpv6(message);
}

function decodeIpv4(message: Uint8Array): TooBig | NotTooBig {
  if (ipVersion(message, 0) !== 4) return 'malformed';
  const at = ipv4HeaderLength(message, 0);
  if (at < IPV4_HEADER || message.length < at + ICMP_HEADER) return 'malformed';
  // A raw socket is served before ICMP verifies the checksum.
  if (checksum(message, at, message.length - at) !== 0) return 'malformed';
  if (icmpType(message, at) !== IcmpType.DESTINATION_UNREACHABLE) return 'foreign';
  if (icmpCode(message, at) !== IcmpUnreachableCode.FRAGMENTATION_NEEDED) return 'foreign';
  const quoted = message.subarray(at + ICMP_HEADER);
  const headerLength = ipv4HeaderLength(quoted, 0);
  if (quoted.length < IPV4_HEADER || ipVersion(quoted, 0) !== 4) return 'malformed';
  if (headerLength < IPV4_HEADER || quoted.length < headerLength) return 'malformed';
  // Only the first fragment has the SPI.
  if (ipv4FragmentOffset(quoted, 0) !== 0) return 'foreign';
  return decodeEsp(quoted, {
    protocol: ipv4Protocol(quoted, 0),
    upper: headerLength,
    local: Ipv4Field.SOURCE,
    remote: Ipv4Field.DESTINATION,
    width: 4,
    mtu: icmpNextHopMtu(message, at),
  });
}

function decodeIpv6(message: Uint8Array): TooBig | NotTooBig {
  if (message.length < ICMP_HEADER) return 'malformed';
  if (icmpType(message, 0) !== Icmpv6Type.PACKET_TOO_BIG) return 'foreign';
  const quoted = message.subarray(ICMP_HEADER);
  if (quoted.length < IPV6_HEADER || ipVersion(quoted, 0) !== 6) return 'malformed';
  // We send no extension headers: a packet that has some is not ours, or its own fragment.
  return decodeEsp(quoted, {
    protocol: ipv6NextHeader(quoted, 0),
    upper: IPV6_HEADER,
    local: Ipv6Field.SOURCE,
    remote: Ipv6Field.DESTINATION,
    width: 16,
    mtu: icmpv6Mtu(message, 0),
  });
}

interface Quoted {
  readonly protocol: number;
  /** Offsets of the upper protocol and of the addresses. */
  readonly upper: number;
  readonly local: number;
  readonly remote: number;
  readonly width: number;
  readonly mtu: number;
}

function decodeEsp(quoted: Uint8Array, packet: Quoted): TooBig | NotTooBig {
  const { protocol, upper, width } = packet;
  const udpEncapsulation = protocol === IpProtocol.UDP;
  if (!udpEncapsulation && protocol !== IpProtocol.ESP) return 'foreign';
  const at = udpEncapsulation ? upper + UDP_HEADER : upper;
  if (quoted.length < at + 4) return 'malformed';
  const spi = readU32(quoted, at);
  // RFC 3948 §2.2: zero there is the non-ESP marker of an IKE message.
  if (spi === 0) return 'foreign';
  return {
    local: ipAddress(quoted.slice(packet.local, packet.local + width)),
    remote: ipAddress(quoted.slice(packet.remote, packet.remote + width)),
    localPort: udpEncapsulation ? udpSourcePort(quoted, upper) : 0,
    remotePort: udpEncapsulation ? udpDestinationPort(quoted, upper) : 0,
    udpEncapsulation,
    spi,
    mtu: packet.mtu,
    quoted: quoted.slice(),
  };
}
