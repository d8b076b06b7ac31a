/**
 * Whole IPv6 packets of ICMPv6 as neighbours and multicast routers exchange them (RFC 4443 §2).
 */
import { type IpAddress, ipAddress } from '../../wire/address.ts';
import { checksum, sumPseudoHeader } from '../../wire/checksum.ts';
import { writeU16 } from '../../wire/field.ts';
import { IpProtocol } from '../../wire/ip-protocol.ts';
import { IPV6_HEADER, Ipv6Field, writeIpv6Header } from '../../wire/ipv6.ts';
import { OctetReader } from '../../wire/octets.ts';

export interface Icmpv6Packet {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly hopLimit: number;
  readonly type: number;
  readonly code: number;
  /** What is behind the checksum. */
  readonly body: Uint8Array;
}

/** Hop-by-hop options: a router alert (RFC 2711) and padding, so that routers look at the packet. */
export const ROUTER_ALERT = Uint8Array.of(IpProtocol.IPV6_ICMP, 0, 5, 2, 0, 0, 1, 0);

/** Undefined where the packet is not ICMPv6 right behind its IPv6 header. */
export function decodeIcmpv6(octets: Uint8Array): Icmpv6Packet | undefined {
  const reader = new OctetReader(octets);
  const version = reader.u32('version') >>> 28;
  if (version !== 6) reader.fail(`IPv${version} in an IPv6 frame`);
  const length = reader.u16('payload length');
  const protocol = reader.u8('next header');
  const hopLimit = reader.u8('hop limit');
  const source = ipAddress(reader.take(16, 'source'));
  const destination = ipAddress(reader.take(16, 'destination'));
  const message = reader.within(length, 'payload');
  if (protocol !== IpProtocol.IPV6_ICMP) return undefined;
  const pseudo = sumPseudoHeader(octets, Ipv6Field.SOURCE, 16, IpProtocol.IPV6_ICMP, length);
  const type = message.u8('type');
  const code = message.u8('code');
  message.skip(2, 'checksum');
  if (checksum(octets, IPV6_HEADER, length, pseudo) !== 0) message.fail('ICMPv6 checksum');
  return { source, destination, hopLimit, type, code, body: message.rest() };
}

/** `options` is a hop-by-hop header in front of the message. */
export function encodeIcmpv6(packet: Icmpv6Packet, options = NO_OPTIONS): Uint8Array {
  const { source, destination, hopLimit, type, code, body } = packet;
  const length = 4 + body.length;
  const at = IPV6_HEADER + options.length;
  const octets = new Uint8Array(at + length);
  writeIpv6Header(octets, 0, {
    trafficClass: 0,
    payloadLength: options.length + length,
    nextHeader: options.length > 0 ? IpProtocol.HOPOPT : IpProtocol.IPV6_ICMP,
    hopLimit,
    source: source.octets,
    destination: destination.octets,
  });
  octets.set(options, IPV6_HEADER);
  octets.set([type, code, 0, 0], at);
  octets.set(body, at + 4);
  const pseudo = sumPseudoHeader(octets, Ipv6Field.SOURCE, 16, IpProtocol.IPV6_ICMP, length);
  writeU16(octets, at + 2, checksum(octets, at, length, pseudo));
  return octets;
}

const NO_OPTIONS = new Uint8Array(0);
