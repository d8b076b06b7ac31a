/**
 * Ethernet frames of the packets a cluster node meets, and how they get onto a wire: ESP bare and in
 * UDP, IKE, anything else; made with the header writers of `wire/`, sent by a Python program.
 */
import type { Network } from '../../lab/namespaces.ts';
import { complement, sumOctets, sumPseudoHeader } from '../../src/wire/checksum.ts';
import { writeU16, writeU32 } from '../../src/wire/field.ts';
import { IPV4_HEADER, writeIpv4Header } from '../../src/wire/ipv4.ts';
import { IPV6_HEADER, writeIpv6Header } from '../../src/wire/ipv6.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { UDP_HEADER, writeUdpHeader } from '../../src/wire/udp.ts';

export interface IpEnds {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

export interface EthernetEnds {
  readonly from: string;
  readonly to: string;
}

/** An IP packet of either family around a payload. */
export function ipPacket(ends: IpEnds, protocol: number, payload: Uint8Array): Uint8Array {
  const four = ends.source.length === 4;
  const at = four ? IPV4_HEADER : IPV6_HEADER;
  const packet = new Uint8Array(at + payload.length);
  packet.set(payload, at);
  if (four) {
    writeIpv4Header(packet, 0, {
      typeOfService: 0,
      totalLength: packet.length,
      identification: 1,
      dontFragment: true,
      ttl: 64,
      protocol,
      ...ends,
    });
  } else {
    const payloadLength = payload.length;
    const header = { trafficClass: 0, payloadLength, nextHeader: protocol, hopLimit: 64 };
    writeIpv6Header(packet, 0, { ...header, ...ends });
  }
  return packet;
}

/** A UDP packet with a right checksum, as IPv6 demands one. */
export function udpPacket(
  ends: IpEnds,
  ports: { readonly from: number; readonly to: number },
  payload: Uint8Array,
): Uint8Array {
  const datagram = concatOctets(new Uint8Array(UDP_HEADER), payload);
  writeUdpHeader(datagram, 0, ports.from, ports.to, datagram.length);
  const packet = ipPacket(ends, 17, datagram);
  const { length } = ends.source;
  const [addresses, at] = length === 4 ? [12, IPV4_HEADER] : [8, IPV6_HEADER];
  const pseudo = sumPseudoHeader(packet, addresses, length, 17, datagram.length);
  const sum = complement(sumOctets(packet, at, datagram.length, pseudo));
  writeU16(packet, at + 6, sum === 0 ? 0xffff : sum);
  return packet;
}

/** SPI, sequence number and 24 octets that could be anything. */
export function espPayload(spi: number, sequence: number): Uint8Array {
  const payload = new Uint8Array(32);
  writeU32(payload, 0, spi);
  writeU32(payload, 4, sequence);
  return payload;
}

export interface IkeFields {
  readonly initiatorSpi: Uint8Array;
  readonly responderSpi: Uint8Array;
  readonly exchange: number;
  /** From the initiator of the IKE SA: the I flag. */
  readonly initiator: boolean;
}

/** The header of an IKE message (RFC 7296 §3.1) and nothing behind it. */
export function ikePayload(fields: IkeFields): Uint8Array {
  const { initiatorSpi, responderSpi, exchange, initiator } = fields;
  const rest = Uint8Array.of(46, 0x20, exchange, initiator ? 0x08 : 0x20, 0, 0, 0, 1, 0, 0, 0, 28);
  return concatOctets(initiatorSpi, responderSpi, rest);
}

/** What distinguishes IKE on port 4500 (RFC 3948 §2.2). */
export const NON_ESP_MARKER = new Uint8Array(4);

export function ethernetFrame({ from, to }: EthernetEnds, packet: Uint8Array): Uint8Array {
  const type = (packet[0] ?? 0) >> 4 === 4 ? '0800' : '86dd';
  return concatOctets(fromHex(to), fromHex(from), fromHex(type), packet);
}

/** Sends the frames by the device of a node. */
export async function sendFrames(
  network: Network,
  node: string,
  device: string,
  frames: readonly Uint8Array[],
): Promise<void> {
  const input = frames.map((frame) => `${toHex(frame)}\n`).join('');
  await network.exec(node, ['/usr/bin/python3', 'test/support/send-frames.py', device], { input });
}

/** The hardware address of a device, as `02:00:...`. */
export async function hardwareAddress(
  network: Network,
  node: string,
  device: string,
): Promise<string> {
  const { stdout } = await network.exec(node, ['cat', `/sys/class/net/${device}/address`]);
  return stdout.trim();
}
