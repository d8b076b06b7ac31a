/**
 * Outer packets as a capture shows them: the headers that the sockets of the machine took off or will
 * put on, made anew around an ESP packet (RFC 4303 §3.1.2, RFC 3948 §2.1).
 *
 * What a socket does not tell (identification, TTL, options) is made up: 0, 64 and none.
 */
import { checksum, sumOctets, sumPseudoHeader } from '../wire/checksum.ts';
import { writeU16 } from '../wire/field.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER, writeIpv4Header } from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, writeIpv6Header } from '../wire/ipv6.ts';
import { UDP_HEADER, UdpField, writeUdpHeader } from '../wire/udp.ts';

export interface OuterPacket {
  readonly family: number;
  /** 4 or 16 octets each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Undefined = IP protocol 50. */
  readonly ports: { readonly source: number; readonly destination: number } | undefined;
  /** TOS or traffic class. */
  readonly trafficClass: number;
  readonly dontFragment: boolean;
  readonly payload: Uint8Array;
}

/** A packet and the octets it has; not all of them need to be there. */
export interface KeptOctets {
  readonly octets: Uint8Array;
  readonly length: number;
}

/** The packet in memory of its own, headers and no more than `most` octets of what they carry. */
export function outerPacket(outer: OuterPacket, most: number): KeptOctets {
  const header = outer.family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const udp = outer.ports === undefined ? 0 : UDP_HEADER;
  const upper = udp + outer.payload.length;
  const kept = outer.payload.subarray(0, most);
  const packet = new Uint8Array(header + udp + kept.length);
  packet.set(kept, header + udp);
  const length = header + upper;
  const protocol = outer.ports === undefined ? IpProtocol.ESP : IpProtocol.UDP;
  writeIpHeader(packet, outer, protocol, upper);
  if (outer.ports === undefined) return { octets: packet, length };
  writeUdpHeader(packet, header, outer.ports.source, outer.ports.destination, upper);
  if (outer.family === 6) {
    // RFC 8200 §8.1: over IPv6 zero is no checksum.
    const pseudo = sumPseudoHeader(packet, Ipv6Field.SOURCE, 16, protocol, upper);
    const before = sumOctets(packet, header, UDP_HEADER, pseudo);
    const sum = checksum(outer.payload, 0, outer.payload.length, before);
    writeU16(packet, header + UdpField.CHECKSUM, sum === 0 ? 0xffff : sum);
  }
  return { octets: packet, length };
}

function writeIpHeader(
  packet: Uint8Array,
  outer: OuterPacket,
  protocol: number,
  upper: number,
): void {
  const { source, destination, trafficClass, dontFragment } = outer;
  if (outer.family === 4) {
    writeIpv4Header(packet, 0, {
      typeOfService: trafficClass,
      totalLength: IPV4_HEADER + upper,
      identification: 0,
      dontFragment,
      ttl: HOPS,
      protocol,
      source,
      destination,
    });
    return;
  }
  writeIpv6Header(packet, 0, {
    trafficClass,
    payloadLength: upper,
    nextHeader: protocol,
    hopLimit: HOPS,
    source,
    destination,
  });
}

const HOPS = 64;
