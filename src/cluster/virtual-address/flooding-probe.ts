/**
 * The frame a node sends to the cluster's hardware address to learn whether the switch floods it to all members.
 *
 * It is a UDP datagram to the shared address, for switches judge by the IP header: a unicast address in a multicast
 * frame is what they may drop. Whoever hears it says so over the cluster's own, authenticated connection, and
 * names the nonce: that cannot be guessed, so a forged probe proves nothing.
 */
import { type IpAddress, ipAddress } from '../../wire/address.ts';
import { checksum, sumPseudoHeader } from '../../wire/checksum.ts';
import { writeU16 } from '../../wire/field.ts';
import { IpProtocol } from '../../wire/ip-protocol.ts';
import { IPV4_HEADER, writeIpv4Header } from '../../wire/ipv4.ts';
import { IPV6_HEADER, writeIpv6Header } from '../../wire/ipv6.ts';
import { concatOctets, equalOctets, OctetReader, OctetWriter } from '../../wire/octets.ts';
import { UDP_HEADER, writeUdpHeader } from '../../wire/udp.ts';

export interface FloodingProbe {
  /** Who sent it. */
  readonly node: number;
  /** Of this one test. */
  readonly nonce: Uint8Array;
  /** The shared address it was sent to. */
  readonly to: IpAddress;
}

export const PROBE_NONCE_OCTETS = 16;

/** Port "discard" (RFC 863): whoever else gets it is to throw it away. */
export const PROBE_PORT = 9;

/** The IP packet, from an address of the node's own. */
export function encodeProbe(probe: FloodingProbe, from: IpAddress): Uint8Array {
  const four = from.family === 4;
  const at = four ? IPV4_HEADER : IPV6_HEADER;
  const body = new OctetWriter().octets(MARK).u8(probe.node).octets(probe.nonce).finish();
  const length = UDP_HEADER + body.length;
  const packet = concatOctets(new Uint8Array(at + UDP_HEADER), body);
  writeUdpHeader(packet, at, PROBE_PORT, PROBE_PORT, length);
  const [source, destination] = [from.octets, probe.to.octets];
  if (four) {
    writeIpv4Header(packet, 0, {
      typeOfService: 0,
      totalLength: packet.length,
      identification: 0,
      dontFragment: true,
      ttl: 1,
      protocol: IpProtocol.UDP,
      source,
      destination,
    });
  } else {
    const header = { trafficClass: 0, payloadLength: length, nextHeader: IpProtocol.UDP };
    writeIpv6Header(packet, 0, { ...header, hopLimit: 1, source, destination });
  }
  const addressesAt = at - 2 * source.length;
  const pseudo = sumPseudoHeader(packet, addressesAt, source.length, IpProtocol.UDP, length);
  const sum = checksum(packet, at, length, pseudo);
  // RFC 768: zero would say that there is none.
  writeU16(packet, at + 6, sum === 0 ? 0xffff : sum);
  return packet;
}

/** Undefined where the IP packet is anything else; octets behind it are the padding of its frame. */
export function decodeProbe(packet: Uint8Array): FloodingProbe | undefined {
  const four = (packet[0] ?? 0) >> 4 === 4;
  const at = four ? IPV4_HEADER : IPV6_HEADER;
  const end = at + UDP_HEADER + MARK.length + 1 + PROBE_NONCE_OCTETS;
  if (packet.length < end || packet[four ? 9 : 6] !== IpProtocol.UDP) return undefined;
  const reader = new OctetReader(packet.subarray(at + 2, end));
  if (reader.u16('destination port') !== PROBE_PORT) return undefined;
  reader.skip(4, 'length and checksum');
  if (!equalOctets(reader.take(MARK.length, 'mark'), MARK)) return undefined;
  const addressLength = four ? 4 : 16;
  return {
    node: reader.u8('node'),
    nonce: reader.take(PROBE_NONCE_OCTETS, 'nonce'),
    to: ipAddress(packet.slice(at - addressLength, at)),
  };
}

const MARK = new TextEncoder().encode('tsgw cluster flooding probe 1\n');
