/**
 * Packets as hosts send them, for tests: IPv4 and IPv6 with UDP, TCP or ICMP inside, checksums
 * right.
 */
import { parseAddress } from '../../src/wire/address.ts';
import { checksum, sumPseudoHeader } from '../../src/wire/checksum.ts';
import { writeU16 } from '../../src/wire/field.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field, writeIpv4Header } from '../../src/wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, writeIpv6Header } from '../../src/wire/ipv6.ts';
import { concatOctets } from '../../src/wire/octets.ts';

export interface InnerPacket {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
  /** What follows the IP header, its checksum not yet right. */
  readonly upper: Uint8Array;
  /** Offset of the checksum in `upper`; -1 for none. */
  readonly checksumAt?: number;
  readonly trafficClass?: number;
  readonly dontFragment?: boolean;
  readonly hops?: number;
  readonly identification?: number;
}

export function octetsOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  return address.octets;
}

export function innerPacket(inner: InnerPacket): Uint8Array {
  const source = octetsOf(inner.source);
  const destination = octetsOf(inner.destination);
  const six = source.length === 16;
  const protocol = inner.protocol ?? IpProtocol.UDP;
  const header = new Uint8Array(six ? IPV6_HEADER : IPV4_HEADER);
  if (six) {
    writeIpv6Header(header, 0, {
      trafficClass: inner.trafficClass ?? 0,
      payloadLength: inner.upper.length,
      nextHeader: protocol,
      hopLimit: inner.hops ?? 64,
      source,
      destination,
    });
  } else {
    writeIpv4Header(header, 0, {
      typeOfService: inner.trafficClass ?? 0,
      totalLength: header.length + inner.upper.length,
      identification: inner.identification ?? 0x1234,
      dontFragment: inner.dontFragment ?? false,
      ttl: inner.hops ?? 64,
      protocol,
      source,
      destination,
    });
  }
  const packet = concatOctets(header, inner.upper);
  const sumAt = inner.checksumAt ?? -1;
  if (sumAt >= 0) {
    writeU16(packet, header.length + sumAt, 0);
    const sum = upperChecksum(packet, header.length, protocol);
    writeU16(packet, header.length + sumAt, sum === 0 ? 0xffff : sum);
  }
  return packet;
}

/** The upper-layer checksum over what is there: 0 when a correct one is in place. */
export function upperChecksum(packet: Uint8Array, at: number, protocol: number): number {
  const six = (packet[0] ?? 0) >>> 4 === 6;
  const length = packet.length - at;
  if (!six && protocol === IpProtocol.ICMP) return checksum(packet, at, length);
  const pseudo = sumPseudoHeader(
    packet,
    six ? Ipv6Field.SOURCE : Ipv4Field.SOURCE,
    six ? 16 : 4,
    protocol,
    length,
  );
  return checksum(packet, at, length, pseudo);
}

/** A UDP datagram of `data` octets. */
export function udpPacket(
  source: string,
  destination: string,
  data: number,
  more: Partial<InnerPacket> = {},
): Uint8Array {
  const upper = new Uint8Array(8 + data).map((_, index) => index);
  writeU16(upper, 0, 40_000);
  writeU16(upper, 2, 53);
  writeU16(upper, 4, upper.length);
  return innerPacket({ source, destination, upper, checksumAt: 6, ...more });
}

/** The packet in fragments whose payloads are of `octets` each, a multiple of 8. */
export function fragmentsOf(packet: Uint8Array, octets: number): readonly Uint8Array[] {
  const six = (packet[0] ?? 0) >>> 4 === 6;
  const header = six ? IPV6_HEADER : IPV4_HEADER;
  const fragments: Uint8Array[] = [];
  for (let at = header; at < packet.length; at += octets) {
    const payload = packet.slice(at, at + octets);
    const more = at + octets < packet.length;
    const offset = at - header;
    fragments.push(
      six
        ? ipv6Fragment(packet, offset, payload, more)
        : ipv4Fragment(packet, offset, payload, more),
    );
  }
  return fragments;
}

function ipv4Fragment(packet: Uint8Array, offset: number, payload: Uint8Array, more: boolean) {
  const fragment = concatOctets(packet.slice(0, IPV4_HEADER), payload);
  writeU16(fragment, Ipv4Field.TOTAL_LENGTH, fragment.length);
  writeU16(fragment, Ipv4Field.FLAGS_FRAGMENT_OFFSET, (more ? 0x2000 : 0) | (offset / 8));
  writeU16(fragment, Ipv4Field.HEADER_CHECKSUM, 0);
  writeU16(fragment, Ipv4Field.HEADER_CHECKSUM, checksum(fragment, 0, IPV4_HEADER));
  return fragment;
}

/** RFC 8200 §4.5; identification 0x0102_0304. */
function ipv6Fragment(packet: Uint8Array, offset: number, payload: Uint8Array, more: boolean) {
  const header = Uint8Array.of(packet[Ipv6Field.NEXT_HEADER] ?? 0, 0, 0, 0, 1, 2, 3, 4);
  writeU16(header, 2, offset | (more ? 1 : 0));
  const fragment = concatOctets(packet.slice(0, IPV6_HEADER), header, payload);
  writeU16(fragment, Ipv6Field.PAYLOAD_LENGTH, fragment.length - IPV6_HEADER);
  fragment[Ipv6Field.NEXT_HEADER] = IpProtocol.IPV6_FRAG;
  return fragment;
}

/** A TCP segment with the given options (a multiple of 4 octets). */
export function tcpPacket(
  source: string,
  destination: string,
  flags: number,
  options: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const upper = new Uint8Array(20 + options.length);
  writeU16(upper, 0, 40_000);
  writeU16(upper, 2, 80);
  upper[12] = ((20 + options.length) / 4) << 4;
  upper[13] = flags;
  upper.set(options, 20);
  return innerPacket({
    source,
    destination,
    upper,
    protocol: IpProtocol.TCP,
    checksumAt: 16,
  });
}

/** An ICMP or ICMPv6 message of the family of the addresses. */
export function icmpPacket(
  source: string,
  destination: string,
  type: number,
  code = 0,
): Uint8Array {
  const protocol = source.includes(':') ? IpProtocol.IPV6_ICMP : IpProtocol.ICMP;
  const upper = Uint8Array.of(type, code, 0, 0, 0, 1, 0, 1, 97, 98, 99, 100);
  return innerPacket({ source, destination, upper, protocol, checksumAt: 2 });
}
