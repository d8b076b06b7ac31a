/**
 * What multicast routers say, for switches that look into IGMP and MLD (RFC 4541 §2.1.1): where it is heard,
 * frames for groups nobody joined are sent, and so are frames to the cluster's hardware address.
 *
 * The gentle ones name the port of a router and change nothing else: the advertisement of multicast router discovery (RFC
 * 4286) and a PIM hello (RFC 7761 §4.9.2). A general query (RFC 3376 §4.1, RFC 3810 §5.1) does so, too,
 * but whoever sends one may become the querier of the link.
 */
import { type IpAddress, ipAddress, parseAddress } from '../../wire/address.ts';
import { checksum, sumPseudoHeader } from '../../wire/checksum.ts';
import { writeU16 } from '../../wire/field.ts';
import { IpProtocol } from '../../wire/ip-protocol.ts';
import { IPV6_HEADER, Ipv6Field, writeIpv6Header } from '../../wire/ipv6.ts';
import { OctetWriter } from '../../wire/octets.ts';
import { encodeIcmpv6, ROUTER_ALERT } from './icmpv6.ts';

/** An IP packet and the group it is for. */
export interface GroupPacket {
  readonly group: IpAddress;
  readonly packet: Uint8Array;
}

/** A node's own addresses on the link: IPv4, and link-local IPv6. */
export interface OwnLinkAddresses {
  readonly ipv4?: IpAddress;
  readonly linkLocal?: IpAddress;
}

/** Says that a router of multicast is here, for as long as `HOLD_SECONDS`. */
export function routerPresence(own: OwnLinkAddresses): readonly GroupPacket[] {
  const { ipv4, linkLocal } = own;
  return [
    ...(ipv4 === undefined ? [] : [advertisementV4(ipv4), pimHelloV4(ipv4)]),
    ...(linkLocal === undefined ? [] : [advertisementV6(linkLocal), pimHelloV6(linkLocal)]),
  ];
}

/** Asks all hosts which groups they joined. */
export function generalQueries(own: OwnLinkAddresses): readonly GroupPacket[] {
  const { ipv4, linkLocal } = own;
  return [
    ...(ipv4 === undefined ? [] : [igmpQuery(ipv4)]),
    ...(linkLocal === undefined ? [] : [mldQuery(linkLocal)]),
  ];
}

/** For how long PIM neighbours may believe it; switches forget after 255 s at most. */
export const HOLD_SECONDS = 210;

/**
 * How long hosts may take to answer. A switch that has heard a query floods until then: a test must not be passed
 * in that time.
 */
const RESPONSE_MILLISECONDS = 100;

function igmpQuery(source: IpAddress): GroupPacket {
  // Type, response time of 100 ms, checksum, group 0.0.0.0, robustness 2, interval 125 s, no sources.
  const query = Uint8Array.of(0x11, RESPONSE_MILLISECONDS / 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0);
  return igmpPacket(source, ALL_SYSTEMS, query);
}

/** RFC 4286 §3.1: interval 20 s, query interval and robustness as in our queries. */
function advertisementV4(source: IpAddress): GroupPacket {
  return igmpPacket(source, ALL_SNOOPERS_V4, Uint8Array.of(0x30, 20, 0, 0, 0, 125, 0, 2));
}

function advertisementV6(source: IpAddress): GroupPacket {
  return icmpv6Packet(source, ALL_SNOOPERS_V6, 151, 20, Uint8Array.of(0, 125, 0, 2));
}

function mldQuery(source: IpAddress): GroupPacket {
  const body = new OctetWriter()
    .u16(RESPONSE_MILLISECONDS)
    .u16(0)
    .octets(new Uint8Array(16))
    .octets(Uint8Array.of(2, 125, 0, 0))
    .finish();
  return icmpv6Packet(source, ALL_NODES, 130, 0, body);
}

function icmpv6Packet(
  source: IpAddress,
  group: IpAddress,
  type: number,
  code: number,
  body: Uint8Array,
): GroupPacket {
  const message = { source, destination: group, hopLimit: 1, type, code, body };
  return { group, packet: encodeIcmpv6(message, ROUTER_ALERT) };
}

function igmpPacket(source: IpAddress, group: IpAddress, message: Uint8Array): GroupPacket {
  writeU16(message, 2, checksum(message, 0, message.length));
  return { group, packet: ipv4Packet(source, group, IpProtocol.IGMP, message, ROUTER_ALERT_V4) };
}

function pimHelloV4(source: IpAddress): GroupPacket {
  const message = pimHello();
  writeU16(message, 2, checksum(message, 0, message.length));
  return {
    group: ALL_PIM_ROUTERS_V4,
    packet: ipv4Packet(source, ALL_PIM_ROUTERS_V4, PIM, message, new Uint8Array(0)),
  };
}

function pimHelloV6(source: IpAddress): GroupPacket {
  const message = pimHello();
  const packet = new Uint8Array(IPV6_HEADER + message.length);
  writeIpv6Header(packet, 0, {
    trafficClass: 0xc0,
    payloadLength: message.length,
    nextHeader: PIM,
    hopLimit: 1,
    source: source.octets,
    destination: ALL_PIM_ROUTERS_V6.octets,
  });
  packet.set(message, IPV6_HEADER);
  // RFC 7761 §4.9: over IPv6 the pseudo-header takes part.
  const pseudo = sumPseudoHeader(packet, Ipv6Field.SOURCE, 16, PIM, message.length);
  writeU16(packet, IPV6_HEADER + 2, checksum(packet, IPV6_HEADER, message.length, pseudo));
  return { group: ALL_PIM_ROUTERS_V6, packet };
}

/**
 * Version 2, type 0; a hold time, and priority 0: whoever routes here stays the designated router
 * (RFC 7761 §4.3.1, §4.3.2).
 */
function pimHello(): Uint8Array {
  return new OctetWriter()
    .u32(0x2000_0000)
    .u16(1)
    .u16(2)
    .u16(HOLD_SECONDS)
    .u16(19)
    .u16(4)
    .u32(0)
    .finish();
}

/** One hop, precedence of the network's own control (RFC 7761 §4.9, RFC 3376 §4). */
function ipv4Packet(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  message: Uint8Array,
  options: Uint8Array,
): Uint8Array {
  const header = 20 + options.length;
  const packet = new OctetWriter()
    .u8(0x40 | (header / 4))
    .u8(0xc0)
    .u16(header + message.length)
    .u32(0)
    .u8(1)
    .u8(protocol)
    .u16(0)
    .octets(source.octets)
    .octets(destination.octets)
    .octets(options)
    .octets(message)
    .finish();
  writeU16(packet, 10, checksum(packet, 0, header));
  return packet;
}

function group(text: string): IpAddress {
  return parseAddress(text) ?? ipAddress(new Uint8Array(4));
}

const { PIM } = IpProtocol;
const ROUTER_ALERT_V4 = Uint8Array.of(0x94, 4, 0, 0);
const ALL_SYSTEMS = group('224.0.0.1');
const ALL_SNOOPERS_V4 = group('224.0.0.106');
const ALL_PIM_ROUTERS_V4 = group('224.0.0.13');
const ALL_NODES = group('ff02::1');
const ALL_SNOOPERS_V6 = group('ff02::6a');
const ALL_PIM_ROUTERS_V6 = group('ff02::d');
