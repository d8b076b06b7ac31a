/**
 * The ICMP error for an inner packet that the tunnel cannot carry (RFC 4301 §8.2):
 * "fragmentation needed" (RFC 792, RFC 1191 §4) or "packet too big" (RFC 4443 §3.2).
 *
 *   IPv4: header 20 | type 3, code 4, checksum, unused 2, next-hop MTU 2 | offending packet
 *   IPv6: header 40 | type 2, code 0, checksum, MTU 4                    | offending packet
 *
 * The error comes from the address the packet was sent to: the one address the host surely
 * expects behind this device. Rare and rate limited, hence views are allowed here.
 */
import { checksum, sumPseudoHeader } from '../wire/checksum.ts';
import { writeU16 } from '../wire/field.ts';
import {
  ICMP_HEADER,
  IcmpField,
  IcmpType,
  IcmpUnreachableCode,
  Icmpv6Type,
  icmpType,
  isIcmpError,
  isIcmpv6Error,
} from '../wire/icmp.ts';
import type { Instant } from '../wire/instant.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  IPV4_HEADER,
  Ipv4Field,
  ipVersion,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  writeIpv4Header,
} from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, ipv6NextHeader, writeIpv6Header } from '../wire/ipv6.ts';

/** Octets an error may have: what every IPv6 link carries. */
export const TOO_BIG_OCTETS = 1280;

/**
 * Writes into `answer` the error about `packet`, whose headers were found sound; answers the
 * error's length, 0 when none may be sent about this packet.
 */
export function writeTooBig(packet: Uint8Array, mtu: number, answer: Uint8Array): number {
  return ipVersion(packet, 0) === 4
    ? writeFragmentationNeeded(packet, mtu, answer)
    : writePacketTooBig(packet, mtu, answer);
}

/** A token bucket: RFC 4443 §2.4 (f) demands a limit on errors, RFC 1812 §4.3.2.8 advises one. */
export class ErrorRate {
  readonly #burst: number;
  readonly #perMillisecond: number;
  #tokens: number;
  #filled: Instant | undefined;

  constructor(perSecond = 100, burst = 50) {
    this.#burst = burst;
    this.#perMillisecond = perSecond / 1000;
    this.#tokens = burst;
  }

  /** Takes a token; false when none is left. */
  take(now: Instant): boolean {
    const since = this.#filled === undefined ? 0 : now - this.#filled;
    this.#filled = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + since * this.#perMillisecond);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

function writeFragmentationNeeded(packet: Uint8Array, mtu: number, answer: Uint8Array): number {
  if (!mayAnswerIpv4(packet)) return 0;
  // RFC 1812 §4.3.2.3: as much of the packet as fits into 576 octets.
  const quoted = packet.subarray(0, MAX_IPV4_ERROR - IPV4_HEADER - ICMP_HEADER);
  const length = IPV4_HEADER + ICMP_HEADER + quoted.length;
  writeIpv4Header(answer, 0, {
    // RFC 1812 §4.3.2.5: an error travels with precedence 6, internetwork control.
    typeOfService: 0xc0,
    totalLength: length,
    identification: 0,
    dontFragment: false,
    ttl: HOPS,
    protocol: IpProtocol.ICMP,
    source: packet.subarray(Ipv4Field.DESTINATION, Ipv4Field.DESTINATION + 4),
    destination: packet.subarray(Ipv4Field.SOURCE, Ipv4Field.SOURCE + 4),
  });
  const icmp = writeIcmp(answer, IPV4_HEADER, quoted, mtu);
  answer[IPV4_HEADER + IcmpField.TYPE] = IcmpType.DESTINATION_UNREACHABLE;
  answer[IPV4_HEADER + IcmpField.CODE] = IcmpUnreachableCode.FRAGMENTATION_NEEDED;
  writeU16(answer, IPV4_HEADER + IcmpField.CHECKSUM, checksum(answer, IPV4_HEADER, icmp));
  return length;
}

function writePacketTooBig(packet: Uint8Array, mtu: number, answer: Uint8Array): number {
  if (!mayAnswerIpv6(packet)) return 0;
  // RFC 4443 §3.2: as much of the packet as possible within the minimum IPv6 MTU.
  const quoted = packet.subarray(0, TOO_BIG_OCTETS - IPV6_HEADER - ICMP_HEADER);
  writeIpv6Header(answer, 0, {
    trafficClass: 0,
    payloadLength: ICMP_HEADER + quoted.length,
    nextHeader: IpProtocol.IPV6_ICMP,
    hopLimit: HOPS,
    source: packet.subarray(Ipv6Field.DESTINATION, Ipv6Field.DESTINATION + 16),
    destination: packet.subarray(Ipv6Field.SOURCE, Ipv6Field.SOURCE + 16),
  });
  const icmp = writeIcmp(answer, IPV6_HEADER, quoted, mtu);
  answer[IPV6_HEADER + IcmpField.TYPE] = Icmpv6Type.PACKET_TOO_BIG;
  const pseudo = sumPseudoHeader(answer, Ipv6Field.SOURCE, 16, IpProtocol.IPV6_ICMP, icmp);
  writeU16(answer, IPV6_HEADER + IcmpField.CHECKSUM, checksum(answer, IPV6_HEADER, icmp, pseudo));
  return IPV6_HEADER + icmp;
}

/**
 * The body both errors share; type, code and checksum stay zero. In ICMP the MTU is the low half
 * of the word, which is all an inner packet's length can need in ICMPv6 as well.
 */
function writeIcmp(answer: Uint8Array, at: number, quoted: Uint8Array, mtu: number): number {
  answer.fill(0, at, at + ICMP_HEADER);
  writeU16(answer, at + IcmpField.REST + 2, mtu);
  answer.set(quoted, at + IcmpField.QUOTED);
  return ICMP_HEADER + quoted.length;
}

/** RFC 1812 §4.3.2.7: no error about an error, a later fragment, or from or to more than one host. */
function mayAnswerIpv4(packet: Uint8Array): boolean {
  if (ipv4FragmentOffset(packet, 0) !== 0) return false;
  if (!isHostIpv4(packet[Ipv4Field.SOURCE]!) || !isHostIpv4(packet[Ipv4Field.DESTINATION]!)) {
    return false;
  }
  return (
    ipv4Protocol(packet, 0) !== IpProtocol.ICMP ||
    !isIcmpError(icmpType(packet, ipv4HeaderLength(packet, 0)))
  );
}

/** RFC 4443 §2.4 (e): no error about an error or a redirect, nor to what is not one host. */
function mayAnswerIpv6(packet: Uint8Array): boolean {
  const source = packet.subarray(Ipv6Field.SOURCE, Ipv6Field.SOURCE + 16);
  if (source[0] === 0xff || source.every((octet) => octet === 0)) return false;
  // The destination becomes the error's own source, which must be one host, too.
  if (packet[Ipv6Field.DESTINATION] === 0xff) return false;
  return (
    ipv6NextHeader(packet, 0) !== IpProtocol.IPV6_ICMP ||
    !isIcmpv6Error(icmpType(packet, IPV6_HEADER))
  );
}

function isHostIpv4(firstOctet: number): boolean {
  return firstOctet !== 0 && firstOctet !== 127 && firstOctet < 224;
}

const MAX_IPV4_ERROR = 576;
const HOPS = 64;
