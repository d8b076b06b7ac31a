/**
 * The packet that an ICMP error is about, as an SA's selectors see its answer (RFC 4301 §6.2).
 *
 * A router on the way is no party to the traffic it speaks of: its address fits no selector. What it
 * quotes does, with source and destination exchanged. Only asked about packets that fit nothing by
 * themselves; allocates nothing and believes no length that the quote claims.
 */
import { readU8, readU16, readU32 } from '../wire/field.ts';
import { createFlow, type Flow, Fragment, OPAQUE } from '../wire/flow.ts';
import { ICMP_HEADER, IcmpField, isIcmpError, isIcmpv6Error } from '../wire/icmp.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  IPV4_HEADER,
  Ipv4Field,
  ipVersion,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
} from '../wire/ipv4.ts';
import {
  createExtensionWalk,
  IPV6_HEADER,
  Ipv6Field,
  isExtensionHeader,
  WalkEnd,
  walkExtensionHeaders,
} from '../wire/ipv6.ts';

const REDIRECT = 5;
const REDIRECT_V6 = 137;

export class QuotedPacket {
  /** The answer to the packet that was quoted last. */
  readonly answer: Flow = createFlow();
  readonly #walk = createExtensionWalk();

  /**
   * Reads what the packet at `inner`, which `flow` was read from, quotes; false when it is no ICMP
   * error, or what it quotes is no packet of who it goes to.
   */
  read(octets: Uint8Array, inner: number, flow: Flow): boolean {
    if (!isError(octets, inner, flow)) return false;
    const at = inner + flow.headerLength + ICMP_HEADER;
    const end = inner + flow.totalLength;
    const read =
      flow.family === 4 ? this.#readIpv4(octets, at, end) : this.#readIpv6(octets, at, end);
    if (!read) return false;
    // RFC 792, RFC 4443 §2.2: an error goes to who sent the packet. One that goes elsewhere would let
    // the peer reach hosts that no selector names.
    const { destination } = this.answer;
    for (let word = 0; word < 4; word++) {
      if (destination[word] !== flow.destination[word]) return false;
    }
    return true;
  }

  #readIpv4(octets: Uint8Array, at: number, end: number): boolean {
    if (at + IPV4_HEADER > end || ipVersion(octets, at) !== 4) return false;
    const header = ipv4HeaderLength(octets, at);
    if (header < IPV4_HEADER || at + header > end) return false;
    const { answer } = this;
    answer.family = 4;
    answer.protocol = ipv4Protocol(octets, at);
    for (let word = 1; word < 4; word++) {
      answer.source[word] = 0;
      answer.destination[word] = 0;
    }
    answer.source[0] = readU32(octets, at + Ipv4Field.DESTINATION);
    answer.destination[0] = readU32(octets, at + Ipv4Field.SOURCE);
    const later = ipv4FragmentOffset(octets, at) !== 0;
    return this.#readPorts(octets, later ? end : at + header, end);
  }

  #readIpv6(octets: Uint8Array, at: number, end: number): boolean {
    if (at + IPV6_HEADER > end || ipVersion(octets, at) !== 6) return false;
    const walk = this.#walk;
    const ended = walkExtensionHeaders(octets, at, end - at, walk);
    if (ended === WalkEnd.TRUNCATED || ended === WalkEnd.TOO_MANY) return false;
    const { answer } = this;
    answer.family = 6;
    answer.protocol = walk.protocol;
    for (let word = 0; word < 4; word++) {
      answer.source[word] = readU32(octets, at + Ipv6Field.DESTINATION + word * 4);
      answer.destination[word] = readU32(octets, at + Ipv6Field.SOURCE + word * 4);
    }
    if (ended !== WalkEnd.LATER_FRAGMENT) {
      return this.#readPorts(octets, at + walk.headerLength, end);
    }
    // RFC 4301 §4.4.1.1: what follows an extension header in another fragment is not visible here.
    if (isExtensionHeader(walk.protocol)) answer.protocol = OPAQUE;
    return this.#readPorts(octets, end, end);
  }

  /** RFC 792: eight octets of the upper layer are there at least; of what is not, ports are OPAQUE. */
  #readPorts(octets: Uint8Array, at: number, end: number): boolean {
    const { answer } = this;
    answer.sourcePort = OPAQUE;
    answer.destinationPort = OPAQUE;
    if (at + 4 > end) return true;
    switch (answer.protocol) {
      case IpProtocol.TCP:
      case IpProtocol.UDP:
      case IpProtocol.UDPLITE:
      case IpProtocol.SCTP:
      case IpProtocol.DCCP:
        answer.sourcePort = readU16(octets, at + 2);
        answer.destinationPort = readU16(octets, at);
        return true;
      case IpProtocol.ICMP:
      case IpProtocol.IPV6_ICMP: {
        const type = readU8(octets, at);
        // RFC 1122 §3.2.2, RFC 4443 §2.4 (e.1): no error is about an error.
        if (answer.protocol === IpProtocol.ICMP ? isIcmpError(type) : isIcmpv6Error(type)) {
          return false;
        }
        answer.sourcePort = readU16(octets, at);
        answer.destinationPort = answer.sourcePort;
        return true;
      }
      case IpProtocol.MOBILITY_HEADER:
        answer.sourcePort = readU8(octets, at + 2) << 8;
        answer.destinationPort = answer.sourcePort;
        return true;
      default:
        return true;
    }
  }
}

/** A redirect is none: only a router of the same link may send one (RFC 1122 §3.2.2.2). */
function isError(octets: Uint8Array, inner: number, flow: Flow): boolean {
  if (flow.fragment !== Fragment.WHOLE) return false;
  const at = inner + flow.headerLength;
  const type = readU8(octets, at + IcmpField.TYPE);
  return flow.family === 4
    ? flow.protocol === IpProtocol.ICMP && type !== REDIRECT && isIcmpError(type)
    : flow.protocol === IpProtocol.IPV6_ICMP && type !== REDIRECT_V6 && isIcmpv6Error(type);
}
