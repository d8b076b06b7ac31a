/**
 * A UDP datagram as the IP packets of a sender that fragments (RFC 791 §3.2, RFC 8200 §4.5, RFC 768):
 * for datagrams that must arrive over a path of which it is not known what it carries.
 */
import type { Endpoint } from './address.ts';
import { checksum, sumPseudoHeader } from './checksum.ts';
import { writeU8, writeU16, writeU32 } from './field.ts';
import { IpProtocol } from './ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field, writeIpv4Header } from './ipv4.ts';
import { IPV6_HEADER, writeIpv6Header } from './ipv6.ts';
import { concatOctets } from './octets.ts';
import { UDP_HEADER, UdpField, writeUdpHeader } from './udp.ts';

/** `identification` tells the fragments of one datagram from those of another. */
export function udpInFragments(
  from: Endpoint,
  to: Endpoint,
  data: Uint8Array,
  { identification, most }: { readonly identification: number; readonly most: number },
): readonly Uint8Array[] {
  const six = to.address.family === 6;
  const datagram = udpDatagram(from, to, data);
  const headers = six ? IPV6_HEADER + FRAGMENT_HEADER : IPV4_HEADER;
  const room = (most - headers) & ~7;
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < datagram.length; at += room) {
    const piece = datagram.subarray(at, at + room);
    const more = at + room < datagram.length;
    const fragment = { piece, at, more, identification };
    fragments.push(six ? ipv6Fragment(from, to, fragment) : ipv4Fragment(from, to, fragment));
  }
  return fragments;
}

interface Piece {
  readonly piece: Uint8Array;
  /** Where it stands in the datagram. */
  readonly at: number;
  readonly more: boolean;
  readonly identification: number;
}

function udpDatagram(from: Endpoint, to: Endpoint, data: Uint8Array): Uint8Array {
  const datagram = concatOctets(new Uint8Array(UDP_HEADER), data);
  writeUdpHeader(datagram, 0, from.port, to.port, datagram.length);
  const addresses = concatOctets(from.address.octets, to.address.octets);
  const width = from.address.octets.length;
  const pseudo = sumPseudoHeader(addresses, 0, width, IpProtocol.UDP, datagram.length);
  const sum = checksum(datagram, 0, datagram.length, pseudo);
  // RFC 768: a checksum of zero is sent as all ones.
  writeU16(datagram, UdpField.CHECKSUM, sum === 0 ? 0xffff : sum);
  return datagram;
}

function ipv4Fragment(from: Endpoint, to: Endpoint, one: Piece): Uint8Array {
  const header = new Uint8Array(IPV4_HEADER);
  writeIpv4Header(header, 0, {
    typeOfService: 0,
    totalLength: IPV4_HEADER + one.piece.length,
    identification: one.identification & 0xffff,
    dontFragment: false,
    ttl: HOPS,
    protocol: IpProtocol.UDP,
    source: from.address.octets,
    destination: to.address.octets,
  });
  writeU16(header, Ipv4Field.FLAGS_FRAGMENT_OFFSET, (one.more ? MORE_FRAGMENTS : 0) | (one.at / 8));
  writeU16(header, Ipv4Field.HEADER_CHECKSUM, 0);
  writeU16(header, Ipv4Field.HEADER_CHECKSUM, checksum(header, 0, IPV4_HEADER));
  return concatOctets(header, one.piece);
}

function ipv6Fragment(from: Endpoint, to: Endpoint, one: Piece): Uint8Array {
  const headers = new Uint8Array(IPV6_HEADER + FRAGMENT_HEADER);
  writeIpv6Header(headers, 0, {
    trafficClass: 0,
    payloadLength: FRAGMENT_HEADER + one.piece.length,
    nextHeader: IpProtocol.IPV6_FRAG,
    hopLimit: HOPS,
    source: from.address.octets,
    destination: to.address.octets,
  });
  writeU8(headers, IPV6_HEADER, IpProtocol.UDP);
  writeU16(headers, IPV6_HEADER + 2, one.at | (one.more ? 1 : 0));
  writeU32(headers, IPV6_HEADER + 4, one.identification >>> 0);
  return concatOctets(headers, one.piece);
}

/** RFC 8200 §4.5. */
const FRAGMENT_HEADER = 8;
const MORE_FRAGMENTS = 0x2000;
const HOPS = 64;
