/**
 * Cutting a super-packet of the TUN device into the packets it stands for (TCP and UDP segmentation
 * offload): headers are written here, octets are copied and summed by the native layer.
 *
 * One packet at a time: `begin` looks at it, `writeHeaders` makes the headers of its segments in
 * order. A packet that is none is one segment, copied whole. Allocates nothing.
 */
import { complement, foldSum, updateChecksum } from '../wire/checksum.ts';
import { readU8, readU16, readU32, writeU8, writeU16, writeU32 } from '../wire/field.ts';
import type { Flow } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { Ipv4Field } from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field } from '../wire/ipv6.ts';
import { TCP_HEADER, TcpField, TcpFlag, tcpHeaderLength } from '../wire/tcp.ts';
import { UDP_HEADER, UdpField } from '../wire/udp.ts';
import {
  Segmentation,
  VnetFlag,
  vnetFlags,
  vnetSegmentation,
  vnetSegmentSize,
  vnetSumOffset,
  vnetSumStart,
} from '../wire/virtio-net.ts';
import { VNET_HEADER_OCTETS } from './batch.ts';

export class Segments {
  /** The packet that is cut, where it stands, and octets of it. */
  #source = 0;
  #length = 0;
  #family = 4;
  #protocol = 0;
  /** Octets before the upper-layer header, and of all headers; 0 = the packet goes as it is. */
  #upperAt = 0;
  #headers = 0;
  #size = 0;
  #next = 0;
  #count = 0;
  /** Where a checksum starts and stands, from the packet's start; -1 = none is to be made. */
  #sumStart = -1;
  #sumAt = -1;
  /** Of the first segment; those of the others follow from them. */
  #identification = 0;
  #headerChecksum = 0;
  #totalLength = 0;
  #sequence = 0;
  #flags = 0;
  #pseudoSum = 0;

  /** Segments that are still to be written. */
  get left(): number {
    return this.#count - this.#next;
  }

  /** Some of them were written. */
  get begun(): boolean {
    return this.#next > 0;
  }

  /** Octets of the next segment's inner packet. */
  get innerLength(): number {
    return this.#headers === 0 ? this.#length : this.#headers + this.payloadLength;
  }

  /** Octets of the largest segment's inner packet: that of the first. */
  get largest(): number {
    return this.#headers === 0 ? this.#length : this.#headers + Math.min(this.#size, this.#payload);
  }

  /** Octets that `writeHeaders` writes. */
  get headerLength(): number {
    return this.#headers;
  }

  /** What is copied behind the headers of the next segment. */
  get payloadAt(): number {
    return this.#source + this.#headers + this.#next * this.#size;
  }

  get payloadLength(): number {
    if (this.#headers === 0) return this.#length;
    return Math.min(this.#size, this.#payload - this.#next * this.#size);
  }

  /** From the inner packet's start; -1 = the checksum stands already. */
  get sumStart(): number {
    return this.#sumStart;
  }

  get sumAt(): number {
    return this.#sumAt;
  }

  /** The packet's checksum is not made yet. */
  get unsummed(): boolean {
    return this.#sumStart >= 0;
  }

  get #payload(): number {
    return this.#length - this.#headers;
  }

  /** Looks at the packet `flow` was read from, and its vnet header; false when that makes no sense. */
  begin(arena: Uint8Array, source: number, flow: Flow): boolean {
    const vnet = source - VNET_HEADER_OCTETS;
    this.#source = source;
    this.#length = flow.totalLength;
    this.#headers = 0;
    this.#size = 0;
    this.#next = 0;
    this.#count = 1;
    this.#sumStart = -1;
    const kind = vnetSegmentation(arena, vnet);
    const needsSum = (vnetFlags(arena, vnet) & VnetFlag.NEEDS_CHECKSUM) !== 0;
    if (needsSum) {
      this.#sumStart = vnetSumStart(arena, vnet);
      this.#sumAt = this.#sumStart + vnetSumOffset(arena, vnet);
      if (this.#sumAt + 2 > this.#length) return false;
    }
    if (kind === Segmentation.NONE) return true;
    return needsSum && this.#beginSegments(arena, flow, kind, vnetSegmentSize(arena, vnet));
  }

  /** Nothing of the packet is to be written. */
  clear(): void {
    this.#next = this.#count;
  }

  /** Goes on without the next segment. */
  skip(): void {
    this.#next++;
  }

  /** Writes the headers of the next segment at `to`, and goes on to the one after it. */
  writeHeaders(arena: Uint8Array, to: number): void {
    const index = this.#next++;
    if (this.#headers === 0) return;
    arena.copyWithin(to, this.#source, this.#source + this.#headers);
    if (this.#count === 1) return;
    const payload = Math.min(this.#size, this.#payload - index * this.#size);
    const length = this.#headers + payload;
    const upperLength = length - this.#upperAt;
    if (this.#family === 4) this.#writeIpv4(arena, to, index, length);
    else writeU16(arena, to + Ipv6Field.PAYLOAD_LENGTH, length - IPV6_HEADER);
    const upper = to + this.#upperAt;
    if (this.#protocol === IpProtocol.UDP) writeU16(arena, upper + UdpField.LENGTH, upperLength);
    else this.#writeTcp(arena, upper, index);
    writeU16(arena, to + this.#sumAt, foldSum(this.#pseudoSum + upperLength));
  }

  /**
   * The next segment is like the one before it but for what counts up: as long, and neither the first
   * nor the last of the packet.
   */
  get repeats(): boolean {
    return this.#next > 1 && this.#next < this.#count - 1;
  }

  /** As `writeHeaders` where the segment `repeats`: those of the one before stand at `from`. */
  repeatHeaders(view: DataView, from: number, to: number): void {
    const index = this.#next++;
    for (let at = 0; at < this.#headers; at += 4) view.setInt32(to + at, view.getInt32(from + at));
    if (this.#family === 4) {
      const identification = (this.#identification + index) & 0xffff;
      const checksum = updateChecksum(
        view.getUint16(from + Ipv4Field.HEADER_CHECKSUM),
        view.getUint16(from + Ipv4Field.IDENTIFICATION),
        identification,
      );
      view.setUint16(to + Ipv4Field.IDENTIFICATION, identification);
      view.setUint16(to + Ipv4Field.HEADER_CHECKSUM, checksum);
    }
    if (this.#protocol === IpProtocol.UDP) return;
    view.setInt32(to + this.#upperAt + TcpField.SEQUENCE, this.#sequence + index * this.#size);
  }

  #beginSegments(arena: Uint8Array, flow: Flow, kind: number, size: number): boolean {
    const { family, headerLength, protocol } = flow;
    const upper = this.#source + headerLength;
    const udp = kind === Segmentation.UDP;
    if (!udp && kind !== Segmentation.TCP_IPV4 && kind !== Segmentation.TCP_IPV6) return false;
    if (protocol !== (udp ? IpProtocol.UDP : IpProtocol.TCP)) return false;
    const own = udp ? UDP_HEADER : tcpHeaderLength(arena, upper);
    if (!udp && own < TCP_HEADER) return false;
    const headers = headerLength + own;
    if (size === 0 || headers >= this.#length) return false;
    this.#sumStart = headerLength;
    this.#sumAt = headerLength + (udp ? UdpField.CHECKSUM : TcpField.CHECKSUM);
    this.#family = family;
    this.#protocol = protocol;
    this.#upperAt = headerLength;
    this.#headers = headers;
    this.#size = size;
    this.#count = Math.ceil(this.#payload / size);
    // The host's own sum, for it knows whom a routing header leads to (RFC 8200 §8.1); but for the length.
    const pseudo = readU16(arena, this.#source + this.#sumAt);
    this.#pseudoSum = foldSum(pseudo + complement(this.#length - headerLength));
    if (family === 4) {
      this.#identification = readU16(arena, this.#source + Ipv4Field.IDENTIFICATION);
      this.#headerChecksum = readU16(arena, this.#source + Ipv4Field.HEADER_CHECKSUM);
      this.#totalLength = readU16(arena, this.#source + Ipv4Field.TOTAL_LENGTH);
    }
    this.#sequence = readU32(arena, upper + TcpField.SEQUENCE);
    this.#flags = udp ? 0 : readU8(arena, upper + TcpField.FLAGS);
    return true;
  }

  #writeIpv4(arena: Uint8Array, to: number, index: number, length: number): void {
    const identification = (this.#identification + index) & 0xffff;
    const sum = updateChecksum(this.#headerChecksum, this.#totalLength, length);
    writeU16(arena, to + Ipv4Field.TOTAL_LENGTH, length);
    writeU16(arena, to + Ipv4Field.IDENTIFICATION, identification);
    writeU16(
      arena,
      to + Ipv4Field.HEADER_CHECKSUM,
      updateChecksum(sum, this.#identification, identification),
    );
  }

  /** RFC 3168 §6.1.2: CWR with the first segment; FIN and PSH with the last. */
  #writeTcp(arena: Uint8Array, upper: number, index: number): void {
    let flags = this.#flags;
    if (index > 0) flags &= ~TcpFlag.CWR;
    if (index < this.#count - 1) flags &= ~(TcpFlag.FIN | TcpFlag.PSH);
    writeU32(arena, upper + TcpField.SEQUENCE, (this.#sequence + index * this.#size) >>> 0);
    writeU8(arena, upper + TcpField.FLAGS, flags);
  }
}
