/**
 * The packet as it was before ESP: steps 9 to 11 of inbound processing, for each mode (RFC 4303
 * §2.4-§2.7, §3.1; RFC 6040 §4.2; RFC 3948 §3.1.2).
 *
 * Out of a tunnel comes a whole packet. In transport mode and BEET a header of the addresses the SA is
 * for is written in front of what comes out. Allocates nothing and throws nothing per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { complement, foldSum, sumOctets, updateChecksum } from '../wire/checksum.ts';
import { readU8, readU16, writeU16, writeU32 } from '../wire/field.ts';
import { createFlow, type Flow, FlowFault, Fragment, readFlow } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field, ipv4TypeOfService, setIpv4TypeOfService } from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, ipv6TrafficClass, setIpv6TrafficClass } from '../wire/ipv6.ts';
import { TcpField } from '../wire/tcp.ts';
import { UdpField } from '../wire/udp.ts';
import { type Batch, DROP_JOINED, HEADROOM, WORDS, Word } from './batch.ts';
import { beetOptions, beetPseudoHeader } from './beet.ts';
import { type Coalescing, isSoundPacket, sumBehind } from './coalescing.ts';
import { decapsulatedClass, ECN_DROP } from './ecn.ts';
import type { EspSa } from './esp-sa.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';
import { type HostEnds, isSoundSum, Mode } from './host-ends.ts';

export interface DecapsulationOptions {
  /** Where packets are joined, their checksums are looked at: the rows have their SUM. */
  readonly coalescing: Coalescing | undefined;
  /** First octet of the arena that belongs to no arrival: packets are put there that need more room. */
  readonly spareAt: number;
}

export class Decapsulation {
  /** Of the packet that was opened last. */
  readonly flow: Flow = createFlow();
  /** Its checksums are right. */
  sound = false;
  readonly #coalescing: Coalescing | undefined;
  readonly #spareAt: number;
  #free = 0;

  constructor({ coalescing, spareAt }: DecapsulationOptions) {
    this.#coalescing = coalescing;
    this.#spareAt = spareAt;
  }

  /** The packets of an earlier batch have gone. */
  begin(): void {
    this.#free = this.#spareAt;
  }

  /**
   * Makes the row its inner packet, and `flow` what it shows; answers why not, or NONE. DROP_JOINED: it
   * follows another and is as good as that.
   */
  open(batch: Batch, at: number, sa: EspSa): number {
    const { arena, words } = batch;
    // 9. Trailer (RFC 4303 §2.4-§2.6).
    const offset = words[at + Word.OFFSET]!;
    const payload = offset + ESP_HEADER + sa.suite.ivLength;
    const trailer = offset + words[at + Word.LENGTH]! - sa.suite.icvLength - ESP_TRAILER;
    const padLength = arena[trailer]!;
    const nextHeader = arena[trailer + 1]!;
    if (!isSoundPadding(arena, trailer, padLength, payload)) return DropReason['bad-padding'];
    // RFC 4303 §2.6: a dummy packet is discarded without prejudice.
    if (nextHeader === IpProtocol.IPV6_NONXT) return DropReason['dummy-packet'];
    const { hosts } = sa;
    if (hosts !== undefined) {
      return this.#ofHosts(batch, at, sa, hosts, payload, trailer - padLength, nextHeader);
    }
    const family = tunnelFamily(nextHeader);
    if (family === 0) return DropReason['bad-next-header'];

    // What was found of the packet before holds for one with the same headers, and it is joined.
    const room = trailer - padLength - payload;
    const end = trailer + ESP_TRAILER;
    if (this.#coalescing?.follow(at, family, payload, room, end)) return DROP_JOINED;

    // 10. Inner header; what lies behind its length is TFC padding (RFC 4303 §2.7).
    const { flow } = this;
    if (readFlow(arena, payload, room, flow) !== FlowFault.NONE) {
      return DropReason['malformed-inner-packet'];
    }
    if (flow.family !== family) return DropReason['malformed-inner-packet'];
    this.sound =
      this.#coalescing !== undefined &&
      isSoundPacket(arena, payload, end, words[at + Word.SUM]!, flow);
    words[at + Word.OFFSET] = payload;
    words[at + Word.LENGTH] = flow.totalLength;
    words[at + Word.INNER] = flow.totalLength;

    // 11. RFC 6040 §4.2.
    return decapsulateClass(arena, payload, family, sa, words[at + Word.TOS]!)
      ? DropReason.NONE
      : DropReason['ecn-inner-not-ect'];
  }

  /**
   * 10. and 11. of a packet whose header stayed outside. There is one header, so its traffic class is
   * that of the packet.
   */
  #ofHosts(
    batch: Batch,
    at: number,
    sa: EspSa,
    hosts: HostEnds,
    payload: number,
    end: number,
    nextHeader: number,
  ): number {
    const { arena, words } = batch;
    let protocol = nextHeader;
    let options = 0;
    /** What goes behind the header without options. */
    let from = payload;
    if (nextHeader === IpProtocol.BEETPH && sa.mode === Mode.beet && hosts.family === 4) {
      options = beetOptions(arena, payload, end - payload);
      if (options < 0) return DropReason['malformed-inner-packet'];
      protocol = readU8(arena, payload);
      from = payload + beetPseudoHeader(arena, payload) - options;
    }
    const length = hosts.headerLength + end - from;
    const inner = this.#placeOf(batch, at, from, end, hosts.headerLength);
    if (inner < 0) return DropReason['device-full'];
    if (length > MOST_OCTETS) return DropReason['malformed-inner-packet'];
    const trafficClass = words[at + Word.TOS]!;
    if (hosts.family === 4) writeIpv4(arena, inner, hosts, length, protocol, trafficClass, options);
    else writeIpv6(arena, inner, hosts, length, protocol, trafficClass);

    const { flow } = this;
    if (readFlow(arena, inner, length, flow) !== FlowFault.NONE) {
      return DropReason['malformed-inner-packet'];
    }
    // RFC 4303 §3.4.1: outside of tunnels there are no fragments behind the ESP header.
    if (flow.fragment !== Fragment.WHOLE) return DropReason['inbound-transport-fragment'];
    this.sound =
      this.#coalescing !== undefined &&
      from === payload &&
      flow.headerLength === hosts.headerLength &&
      isSoundSum(
        hosts,
        words[at + Word.SUM]! +
          0xffff -
          sumBehind(arena, payload, end - payload, tailOf(batch, at, sa)),
        protocol,
        length - flow.headerLength,
      );
    if (hosts.translated) correctChecksum(arena, inner + flow.headerLength, flow.protocol, hosts);
    words[at + Word.OFFSET] = inner;
    words[at + Word.LENGTH] = length;
    words[at + Word.INNER] = length;
    return DropReason.NONE;
  }

  /**
   * Where the packet begins whose octets behind the header are those from `from` to `end`: there is
   * room for a header in front of them unless another packet stands there, which came merged with it.
   * Then they move. -1 = there is no room at all.
   */
  #placeOf({ arena, words }: Batch, at: number, from: number, end: number, header: number): number {
    const alone = at === 0 || words[at - WORDS + Word.ORIGIN] !== words[at + Word.ORIGIN];
    if (alone) return from - header;
    const to = this.#free + HEADROOM;
    if (to + end - from > arena.length) return -1;
    arena.copyWithin(to, from, end);
    this.#free = to + end - from;
    return to - header;
  }
}

/** Behind the Next Header of the row, which still is the ESP packet. */
function tailOf({ words }: Batch, at: number, sa: EspSa): number {
  return words[at + Word.OFFSET]! + words[at + Word.LENGTH]! - sa.suite.icvLength;
}

/** RFC 4303 §2.4: the padding octets count up from 1, and lie behind the start of the payload. */
function isSoundPadding(arena: Uint8Array, end: number, padLength: number, inner: number): boolean {
  const start = end - padLength;
  if (start < inner) return false;
  for (let index = 0; index < padLength; index++) {
    if (arena[start + index] !== index + 1) return false;
  }
  return true;
}

/** The family tunnel mode's Next Header names, 0 for anything else. */
function tunnelFamily(nextHeader: number): number {
  if (nextHeader === IpProtocol.IPV4) return 4;
  return nextHeader === IpProtocol.IPV6 ? 6 : 0;
}

/** Puts the traffic class of RFC 6040 into the inner header; false when the packet must go. */
function decapsulateClass(
  arena: Uint8Array,
  inner: number,
  family: number,
  sa: EspSa,
  outer: number,
): boolean {
  const before = family === 4 ? ipv4TypeOfService(arena, inner) : ipv6TrafficClass(arena, inner);
  const after = decapsulatedClass(sa.trafficClass, before, outer);
  if (after === ECN_DROP) return false;
  if (after === before) return true;
  if (family === 4) setIpv4TypeOfService(arena, inner, after);
  else setIpv6TrafficClass(arena, inner, after);
  return true;
}

/** A header in front of `options` octets of options and the upper layer. */
function writeIpv4(
  arena: Uint8Array,
  at: number,
  { arriving, arrivingSum }: HostEnds,
  length: number,
  protocol: number,
  trafficClass: number,
  options: number,
): void {
  const first = ((0x45 + options / 4) << 8) | trafficClass;
  const hops = (HOP_LIMIT << 8) | protocol;
  writeU16(arena, at, first);
  writeU16(arena, at + Ipv4Field.TOTAL_LENGTH, length);
  // RFC 6864 §4.1: a datagram that is not to be fragmented needs no identification.
  writeU32(arena, at + Ipv4Field.IDENTIFICATION, DONT_FRAGMENT);
  writeU16(arena, at + Ipv4Field.TTL, hops);
  for (let octet = 0; octet < 8; octet++) arena[at + Ipv4Field.SOURCE + octet] = arriving[octet]!;
  const sum = foldSum(first + length + DONT_FRAGMENT + hops + arrivingSum);
  const whole = options === 0 ? sum : sumOctets(arena, at + IPV4_HEADER, options, sum);
  writeU16(arena, at + Ipv4Field.HEADER_CHECKSUM, complement(whole));
}

function writeIpv6(
  arena: Uint8Array,
  at: number,
  { arriving }: HostEnds,
  length: number,
  nextHeader: number,
  trafficClass: number,
): void {
  writeU32(arena, at, (0x6000_0000 | (trafficClass << 20)) >>> 0);
  writeU16(arena, at + Ipv6Field.PAYLOAD_LENGTH, length - IPV6_HEADER);
  writeU16(arena, at + Ipv6Field.NEXT_HEADER, (nextHeader << 8) | HOP_LIMIT);
  for (let octet = 0; octet < 32; octet++) arena[at + Ipv6Field.SOURCE + octet] = arriving[octet]!;
}

/**
 * RFC 3948 §3.1.2: a NAT changed the addresses under the checksum of the upper layer; the difference
 * is made good without looking at the rest, so that a wrong checksum stays wrong.
 */
function correctChecksum(
  arena: Uint8Array,
  upper: number,
  protocol: number,
  { arrivingSum, coveredSum }: HostEnds,
): void {
  const field = checksumField(protocol);
  if (field < 0) return;
  const before = readU16(arena, upper + field);
  const udp = protocol === IpProtocol.UDP;
  // RFC 768: none was made.
  if (udp && before === 0) return;
  const after = updateChecksum(before, coveredSum, arrivingSum);
  writeU16(arena, upper + field, udp && after === 0 ? 0xffff : after);
}

/** Where the checksum stands that covers a pseudo-header; -1 = there is none. */
function checksumField(protocol: number): number {
  switch (protocol) {
    case IpProtocol.TCP:
      return TcpField.CHECKSUM;
    case IpProtocol.UDP:
    case IpProtocol.UDPLITE:
    case IpProtocol.DCCP:
      return UdpField.CHECKSUM;
    case IpProtocol.IPV6_ICMP:
      return ICMPV6_CHECKSUM;
    default:
      return -1;
  }
}

/** RFC 4443 §2.1. */
const ICMPV6_CHECKSUM = 2;
/** The header that routers counted in is gone; the packet has arrived. */
const HOP_LIMIT = 64;
const DONT_FRAGMENT = 0x4000;
const MOST_OCTETS = 0xffff;
