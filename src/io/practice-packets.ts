/**
 * What the packet loop practises with: packets as a TUN device gives them, small ones alone and large ones
 * to be cut, one way and the other.
 */
import { VNET_HEADER_OCTETS } from '../esp/batch.ts';
import { checksum, sumPseudoHeader } from '../wire/checksum.ts';
import { writeU16, writeU32 } from '../wire/field.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field, writeIpv4Header } from '../wire/ipv4.ts';
import { TCP_HEADER, TcpField, TcpFlag } from '../wire/tcp.ts';
import { UDP_HEADER, UdpField, writeUdpHeader } from '../wire/udp.ts';
import { Segmentation, writeVnetPlain, writeVnetSegments } from '../wire/virtio-net.ts';

/** Hosts and gateways at once. */
export const HERE = Uint8Array.of(192, 0, 2, 1);
export const THERE = Uint8Array.of(192, 0, 2, 2);

export const NATT_PORT = 4500;
/** Of what goes from HERE to THERE, and back. */
export const SPI_THERE = 0x1002;
export const SPI_HERE = 0x1001;

export interface PracticePackets {
  readonly small: readonly Uint8Array[];
  readonly large: readonly Uint8Array[];
}

const MSS = 1300;
const SEGMENTS = 40;
const SMALL_OCTETS = 64;

/** With the header of the device in front where there are super-packets. */
export function practicePackets(offload: { readonly udp: boolean } | undefined): PracticePackets {
  const front = offload === undefined ? 0 : VNET_HEADER_OCTETS;
  const ways = [
    [HERE, THERE],
    [THERE, HERE],
  ] as const;
  const tcp = (way: readonly [Uint8Array, Uint8Array], octets: number, segments: boolean) =>
    tcpPacket(front, way, octets, segments);
  return {
    small: ways.flatMap((way) => [
      icmpEcho(front, way),
      udpPacket(front, way, SMALL_OCTETS),
      tcp(way, 0, false),
    ]),
    large: ways.flatMap((way) => [
      tcp(way, MSS, false),
      ...(front === 0 ? [] : [tcp(way, MSS * SEGMENTS, true)]),
    ]),
  };
}

type Way = readonly [source: Uint8Array, destination: Uint8Array];

function icmpEcho(front: number, way: Way): Uint8Array {
  const packet = ipPacket(front, way, IpProtocol.ICMP, ICMP_ECHO_OCTETS);
  const at = front + IPV4_HEADER;
  packet[at] = ICMP_ECHO_REQUEST;
  writeU16(packet, at + 2, checksum(packet, at, ICMP_ECHO_OCTETS));
  return packet;
}

function udpPacket(front: number, way: Way, octets: number): Uint8Array {
  const length = UDP_HEADER + octets;
  const packet = ipPacket(front, way, IpProtocol.UDP, length);
  writeUdpHeader(packet, front + IPV4_HEADER, 2000, 2001, length);
  writeU16(packet, front + IPV4_HEADER + UdpField.CHECKSUM, 0);
  return packet;
}

/** Of `octets` of payload, to be cut into segments or not. */
function tcpPacket(front: number, way: Way, octets: number, segments: boolean): Uint8Array {
  const length = TCP_HEADER + octets;
  const packet = ipPacket(front, way, IpProtocol.TCP, length);
  const at = front + IPV4_HEADER;
  writeU16(packet, at + TcpField.SOURCE_PORT, 3000);
  writeU16(packet, at + TcpField.DESTINATION_PORT, 3001);
  writeU32(packet, at + TcpField.SEQUENCE, 1);
  writeU32(packet, at + TcpField.ACKNOWLEDGMENT, 1);
  packet[at + TcpField.DATA_OFFSET] = (TCP_HEADER / 4) << 4;
  packet[at + TcpField.FLAGS] = TcpFlag.ACK;
  const { CHECKSUM } = TcpField;
  const pseudo = sumPseudoHeader(packet, front + Ipv4Field.SOURCE, 4, IpProtocol.TCP, length);
  writeU16(packet, at + CHECKSUM, segments ? pseudo : checksum(packet, at, length, pseudo));
  if (!segments) return packet;
  const headers = IPV4_HEADER + TCP_HEADER;
  writeVnetSegments(packet, 0, Segmentation.TCP_IPV4, headers, MSS, IPV4_HEADER, CHECKSUM);
  return packet;
}

function ipPacket(front: number, way: Way, protocol: number, length: number): Uint8Array {
  const [source, destination] = way;
  const packet = new Uint8Array(front + IPV4_HEADER + length);
  if (front > 0) writeVnetPlain(packet, 0, 0);
  writeIpv4Header(packet, front, {
    ...{ typeOfService: 0, totalLength: IPV4_HEADER + length, identification: 1 },
    ...{ dontFragment: true, ttl: 64, protocol, source, destination },
  });
  return packet;
}

const ICMP_ECHO_REQUEST = 8;
const ICMP_ECHO_OCTETS = 64;
