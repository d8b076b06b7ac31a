/**
 * Joining packets of one flow that follow one another into a super-packet of the TUN device (what
 * Linux calls GRO): one write and one walk through the host's stack for many packets.
 *
 * The host takes what is joined for checked, hence only packets whose checksums were found right are.
 * Their octets stay where they are: the row of the first packet names those of the others, and only
 * its headers change. Packets of one flow keep their order. Allocates nothing per packet.
 */
import { foldSum, sumOctets, sumPseudoHeader, updateChecksum } from '../wire/checksum.ts';
import { readU8, readU16, readU32, writeU8, writeU16 } from '../wire/field.ts';
import { type Flow, Fragment } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field } from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field } from '../wire/ipv6.ts';
import { TCP_HEADER, TcpField, TcpFlag, tcpHeaderLength } from '../wire/tcp.ts';
import { UDP_HEADER, UdpField } from '../wire/udp.ts';
import { Segmentation, VnetFlag, writeVnetPlain, writeVnetSegments } from '../wire/virtio-net.ts';
import { type Batch, DROP_JOINED, VNET_HEADER_OCTETS, WORDS, Word } from './batch.ts';

/** What of the device's offloads there is. */
export interface CoalescingOptions {
  /** UDP packets, too (Linux 6.2). */
  readonly udp: boolean;
}

/** Flows that are joined at one time; a power of two. */
const GROUPS = 32;
/** Packets of a super-packet, and its octets. */
const MOST_PACKETS = 64;
const MOST_OCTETS = 65_000;

/** In the word from FLAGS_FRAGMENT_OFFSET on. */
const DF_IN_WORD = 0x4000_0000;
/** In the word from the TCP header's DATA_OFFSET on. */
const PUSH_IN_WORD = TcpFlag.PSH << 16;

/** A super-packet as it grows. */
interface Group {
  /** Words of the first and the last row; below 0 = none. */
  first: number;
  last: number;
  /** Where the first packet's headers are, and octets of them. */
  inner: number;
  family: number;
  protocol: number;
  upperAt: number;
  headers: number;
  /** Octets of payload of the first packet, and of all. */
  size: number;
  octets: number;
  packets: number;
  /** Of the packet that would come next. */
  sequence: number;
  /** Flags that the last packet adds. */
  flags: number;
  /** The SA it came out of, and the traffic class it came in. */
  sa: number;
  trafficClass: number;
}

/**
 * Is the upper layer's checksum right, and the IPv4 header's? `bodySum` is the sum from `inner` to
 * `end`; what is no part of the packet or of its pseudo-header is taken out of it.
 */
export function isSoundPacket(
  octets: Uint8Array,
  inner: number,
  end: number,
  bodySum: number,
  flow: Flow,
): boolean {
  const { family, protocol, headerLength, totalLength } = flow;
  const plain = family === 4 ? IPV4_HEADER : IPV6_HEADER;
  if (headerLength !== plain || flow.fragment !== Fragment.WHOLE) return false;
  return isSoundWhole(octets, inner, end, bodySum, family, protocol, totalLength);
}

/** The same of a packet with nothing between the IP header and the upper layer. */
function isSoundWhole(
  octets: Uint8Array,
  inner: number,
  end: number,
  bodySum: number,
  family: number,
  protocol: number,
  totalLength: number,
): boolean {
  const headerLength = family === 4 ? IPV4_HEADER : IPV6_HEADER;
  // RFC 768: the checksum covers what the datagram's own length says, and the host takes no more.
  if (protocol === IpProtocol.UDP) {
    const length = readU16(octets, inner + headerLength + UdpField.LENGTH);
    if (length !== totalLength - headerLength) return false;
  }
  const outside = sumOctets(octets, inner, family === 4 ? Ipv4Field.SOURCE : Ipv6Field.SOURCE);
  if (family === 4) {
    const header = sumOctets(octets, inner + Ipv4Field.SOURCE, 8, outside);
    if (header !== 0xffff) return false;
  }
  const behind = sumBehind(octets, inner, totalLength, end);
  const sum = bodySum + (0xffff - outside) + (0xffff - behind) + protocol;
  return foldSum(sum + totalLength - headerLength) === 0xffff;
}

/** Octets behind the first `from` up to `end`, in the places they have in the sum over all. */
export function sumBehind(octets: Uint8Array, inner: number, from: number, end: number): number {
  let sum = 0;
  for (let at = from; inner + at < end; at++) {
    const octet = readU8(octets, inner + at);
    sum += (at & 1) === 0 ? octet << 8 : octet;
  }
  return foldSum(sum);
}

export class Coalescing {
  readonly #batch: Batch;
  readonly #view: DataView;
  readonly #udp: boolean;
  readonly #groups: Group[] = [];
  #open = 0;
  #refused = false;
  /** The group that has the last packet, as long as it may go on. */
  #latest: Group | undefined;

  constructor(batch: Batch, options: CoalescingOptions) {
    const { arena } = batch;
    this.#batch = batch;
    this.#view = new DataView(arena.buffer, arena.byteOffset, arena.length);
    this.#udp = options.udp;
    for (let index = 0; index < GROUPS; index++) this.#groups.push(emptyGroup());
  }

  /**
   * A packet that came out of a tunnel, from `inner` on with room for `room` octets, the body up to
   * `end`: where its headers are those of the packet before it, out of the same SA, all that was found
   * about that one holds for this, too, and it joins that. Otherwise it is to be looked at like any.
   */
  follow(at: number, family: number, inner: number, room: number, end: number): boolean {
    const group = this.#latest;
    const { arena, words } = this.#batch;
    if (group === undefined || group.first < 0) return false;
    if (group.sa !== words[at + Word.SA] || group.trafficClass !== words[at + Word.TOS])
      return false;
    if (group.family !== family) return false;
    const totalLength =
      family === 4
        ? readU16(arena, inner + Ipv4Field.TOTAL_LENGTH)
        : IPV6_HEADER + readU16(arena, inner + Ipv6Field.PAYLOAD_LENGTH);
    if (totalLength > room || !this.#continues(group, inner, totalLength)) return false;
    if (!this.#isSound(group, inner, end, words[at + Word.SUM]!, totalLength)) return false;
    words[at + Word.INNER] = totalLength;
    this.#join(group, at, inner, totalLength - group.headers);
    return true;
  }

  /** The row with words at `at` is to be delivered; `sound`: `isSoundPacket` said so. */
  add(at: number, flow: Flow, sound: boolean): void {
    const { protocol } = flow;
    const tcp = protocol === IpProtocol.TCP;
    if (this.#refused || (!tcp && (protocol !== IpProtocol.UDP || !this.#udp))) {
      this.#plain(at, sound);
      return;
    }
    const group = this.#groups[slotOf(flow)]!;
    if (sound && group.first >= 0 && this.#joins(group, at, flow)) {
      this.#latest = group;
      return;
    }
    if (group.first >= 0) this.#close(group);
    this.#plain(at, sound);
    this.#latest = group;
    if (sound) this.#begin(group, at, flow, tcp);
  }

  /** The device does not take what it said it would: from now on packets go one by one. */
  refuse(): void {
    this.#refused = true;
  }

  /** No more packets come in this batch. */
  finish(): void {
    this.#latest = undefined;
    if (this.#open === 0) return;
    for (const group of this.#groups) if (group.first >= 0) this.#close(group);
  }

  #plain(at: number, sound: boolean): void {
    const { arena, words } = this.#batch;
    const vnet = words[at + Word.OFFSET]! - VNET_HEADER_OCTETS;
    writeVnetPlain(arena, vnet, sound ? VnetFlag.DATA_VALID : 0);
  }

  /** A packet with octets that others may follow. */
  #begin(group: Group, at: number, flow: Flow, tcp: boolean): void {
    const { arena, words } = this.#batch;
    const inner = words[at + Word.OFFSET]!;
    const upper = inner + flow.headerLength;
    if (tcp && !isPlainData(readU8(arena, upper + TcpField.FLAGS))) return;
    // A UDP packet without a checksum cannot be told from one whose checksum is to be made.
    if (!tcp && readU16(arena, upper + UdpField.CHECKSUM) === 0) return;
    const headers = flow.headerLength + (tcp ? tcpHeaderLength(arena, upper) : UDP_HEADER);
    const payload = flow.totalLength - headers;
    if (payload <= 0 || (tcp && headers < flow.headerLength + TCP_HEADER)) return;
    this.#open++;
    group.first = at;
    group.last = at;
    group.inner = inner;
    group.family = flow.family;
    group.protocol = flow.protocol;
    group.upperAt = flow.headerLength;
    group.headers = headers;
    group.size = payload;
    group.octets = payload;
    group.packets = 1;
    group.sequence = tcp ? (readU32(arena, upper + TcpField.SEQUENCE) + payload) >>> 0 : 0;
    group.flags = tcp ? readU8(arena, upper + TcpField.FLAGS) : 0;
    group.sa = words[at + Word.SA]!;
    group.trafficClass = words[at + Word.TOS]!;
    if (tcp && (group.flags & TcpFlag.PSH) !== 0) this.#close(group);
  }

  /** Adds the packet to the group it continues; false when it does not. */
  #joins(group: Group, at: number, flow: Flow): boolean {
    const { family, protocol, totalLength } = flow;
    if (family !== group.family || protocol !== group.protocol) return false;
    const inner = this.#batch.words[at + Word.OFFSET]!;
    if (!this.#continues(group, inner, totalLength)) return false;
    this.#join(group, at, inner, totalLength - group.headers);
    return true;
  }

  #join(group: Group, at: number, inner: number, payload: number): void {
    const { arena, words } = this.#batch;
    words[group.last + Word.NEXT] = ((at - group.last) / WORDS) | 0;
    words[at + Word.DROP] = DROP_JOINED;
    words[at + Word.OFFSET] = inner + group.headers;
    words[at + Word.LENGTH] = payload;
    group.last = at;
    group.octets += payload;
    group.packets++;
    let ends = payload < group.size || group.packets === MOST_PACKETS;
    if (group.protocol === IpProtocol.TCP) {
      group.sequence = (group.sequence + payload) >>> 0;
      group.flags = readU8(arena, inner + group.upperAt + TcpField.FLAGS);
      ends ||= (group.flags & TcpFlag.PSH) !== 0;
    }
    if (ends) this.#close(group);
  }

  /** `isSoundPacket` of one with the headers of the group's first packet, which was found sound. */
  #isSound(
    group: Group,
    inner: number,
    end: number,
    bodySum: number,
    totalLength: number,
  ): boolean {
    const { arena } = this.#batch;
    const { family, protocol, inner: head } = group;
    if (protocol === IpProtocol.UDP || family === 6) {
      return isSoundWhole(arena, inner, end, bodySum, family, protocol, totalLength);
    }
    // Only these three words of the header differ, so it is right if they make the same sum.
    const { TOTAL_LENGTH, IDENTIFICATION, HEADER_CHECKSUM } = Ipv4Field;
    const view = this.#view;
    const before =
      view.getUint16(head + TOTAL_LENGTH) +
      view.getUint16(head + IDENTIFICATION) +
      view.getUint16(head + HEADER_CHECKSUM);
    const now =
      totalLength +
      view.getUint16(inner + IDENTIFICATION) +
      view.getUint16(inner + HEADER_CHECKSUM);
    if ((before - now) % 0xffff !== 0) return false;
    const { SOURCE, DESTINATION } = Ipv4Field;
    const addresses =
      view.getUint16(inner + SOURCE) +
      view.getUint16(inner + SOURCE + 2) +
      view.getUint16(inner + DESTINATION) +
      view.getUint16(inner + DESTINATION + 2);
    const behind = sumBehind(arena, inner, totalLength, end);
    // The header sums up to nothing: what is in front of the addresses takes them away.
    const sum = bodySum + addresses + (0xffff - behind) + protocol;
    return foldSum(sum + totalLength - IPV4_HEADER) === 0xffff;
  }

  /** The same flow with the same headers, but for what grows from packet to packet. */
  #continues(group: Group, inner: number, totalLength: number): boolean {
    const { family, protocol, upperAt, inner: head } = group;
    const payload = totalLength - group.headers;
    if (payload <= 0 || payload > group.size || group.octets + payload > MOST_OCTETS) return false;
    const view = this.#view;
    if (!sameNetwork(view, head, inner, family, group.packets)) return false;
    const [one, other] = [head + upperAt, inner + upperAt];
    // Both ports.
    if (view.getInt32(one) !== view.getInt32(other)) return false;
    if (protocol === IpProtocol.UDP) return view.getUint16(other + UdpField.CHECKSUM) !== 0;
    const { SEQUENCE, ACKNOWLEDGMENT, DATA_OFFSET, CHECKSUM } = TcpField;
    if (view.getUint32(other + SEQUENCE) !== group.sequence) return false;
    if (view.getInt32(one + ACKNOWLEDGMENT) !== view.getInt32(other + ACKNOWLEDGMENT)) return false;
    // Octets of the header, flags and window in one word.
    const word = view.getInt32(other + DATA_OFFSET);
    if (((word ^ view.getInt32(one + DATA_OFFSET)) & ~PUSH_IN_WORD) !== 0) return false;
    if (!isPlainData((word >>> 16) & 0xff)) return false;
    const behind = CHECKSUM + 2;
    if (view.getUint16(one + behind) !== view.getUint16(other + behind)) return false;
    for (let at = TCP_HEADER; at < group.headers - upperAt; at += 4) {
      if (view.getInt32(one + at) !== view.getInt32(other + at)) return false;
    }
    return true;
  }

  /** The first packet's headers speak for all of them. */
  #close(group: Group): void {
    const { arena } = this.#batch;
    const { inner, upperAt, protocol, family } = group;
    this.#open--;
    group.first = -1;
    if (group.packets === 1) return;
    const length = group.headers + group.octets;
    const upper = inner + upperAt;
    const upperLength = length - upperAt;
    const udp = protocol === IpProtocol.UDP;
    if (family === 4) setIpv4TotalLength(arena, inner, length);
    else writeU16(arena, inner + Ipv6Field.PAYLOAD_LENGTH, length - IPV6_HEADER);
    if (udp) writeU16(arena, upper + UdpField.LENGTH, upperLength);
    else writeU8(arena, upper + TcpField.FLAGS, group.flags);
    const addresses = inner + (family === 4 ? Ipv4Field.SOURCE : Ipv6Field.SOURCE);
    const width = family === 4 ? 4 : 16;
    const sumOffset = udp ? UdpField.CHECKSUM : TcpField.CHECKSUM;
    const pseudo = sumPseudoHeader(arena, addresses, width, protocol, upperLength);
    writeU16(arena, upper + sumOffset, pseudo);
    writeVnetSegments(
      arena,
      inner - VNET_HEADER_OCTETS,
      udp ? Segmentation.UDP : family === 4 ? Segmentation.TCP_IPV4 : Segmentation.TCP_IPV6,
      group.headers,
      group.size,
      upperAt,
      sumOffset,
    );
  }
}

/** RFC 9293 §3.1: data and nothing that has a meaning at one place of the stream. */
function isPlainData(flags: number): boolean {
  const { FIN, SYN, RST, URG, CWR, ACK } = TcpFlag;
  return (flags & (FIN | SYN | RST | URG | CWR | ACK)) === ACK;
}

/** The headers of the network layer, whose packets count up or are never fragmented. */
function sameNetwork(
  view: DataView,
  head: number,
  other: number,
  family: number,
  distance: number,
): boolean {
  if (family === 6) {
    const { PAYLOAD_LENGTH, NEXT_HEADER } = Ipv6Field;
    if (view.getInt32(head) !== view.getInt32(other)) return false;
    if (view.getUint16(head + NEXT_HEADER) !== view.getUint16(other + NEXT_HEADER)) return false;
    for (let at = PAYLOAD_LENGTH + 4; at < IPV6_HEADER; at += 4) {
      if (view.getInt32(head + at) !== view.getInt32(other + at)) return false;
    }
    return true;
  }
  const { IDENTIFICATION, FLAGS_FRAGMENT_OFFSET, SOURCE, DESTINATION } = Ipv4Field;
  // Version, length of the header and class; what fragments, hop limit and protocol; addresses.
  const middle = view.getInt32(head + FLAGS_FRAGMENT_OFFSET);
  if (
    view.getUint16(head) !== view.getUint16(other) ||
    middle !== view.getInt32(other + FLAGS_FRAGMENT_OFFSET) ||
    view.getInt32(head + SOURCE) !== view.getInt32(other + SOURCE) ||
    view.getInt32(head + DESTINATION) !== view.getInt32(other + DESTINATION)
  ) {
    return false;
  }
  // RFC 6864 §4.1: the identification means nothing where nothing is fragmented.
  if ((middle & DF_IN_WORD) !== 0) return true;
  const next = view.getUint16(head + IDENTIFICATION) + distance;
  return view.getUint16(other + IDENTIFICATION) === (next & 0xffff);
}

function setIpv4TotalLength(arena: Uint8Array, at: number, length: number): void {
  const before = readU16(arena, at + Ipv4Field.TOTAL_LENGTH);
  const sum = readU16(arena, at + Ipv4Field.HEADER_CHECKSUM);
  writeU16(arena, at + Ipv4Field.TOTAL_LENGTH, length);
  writeU16(arena, at + Ipv4Field.HEADER_CHECKSUM, updateChecksum(sum, before, length));
}

/** Where the flow's group is; flows that share a place take turns. */
function slotOf({ source, destination, sourcePort, destinationPort, family }: Flow): number {
  const word = family === 4 ? 0 : 3;
  const mixed = source[word]! ^ Math.imul(destination[word]!, 0x9e37_79b1);
  const ports = Math.imul((sourcePort << 16) ^ destinationPort, 0x85eb_ca6b);
  const hash = mixed ^ ports;
  return ((hash >>> 16) ^ (hash >>> 7)) & (GROUPS - 1);
}

function emptyGroup(): Group {
  return {
    first: -1,
    last: -1,
    inner: 0,
    family: 4,
    protocol: 0,
    upperAt: 0,
    headers: 0,
    size: 0,
    octets: 0,
    packets: 0,
    sequence: 0,
    flags: 0,
    sa: -1,
    trafficClass: 0,
  };
}
