/**
 * What the packet loop practises with: packets as a TUN device gives them, small ones alone and large ones
 * to be cut, of both families, one way and the other, and some that nothing is for.
 */
import { VNET_HEADER_OCTETS } from '../esp/batch.ts';
import { parseAddress } from '../wire/address.ts';
import { checksum, sumPseudoHeader } from '../wire/checksum.ts';
import { writeU16, writeU32 } from '../wire/field.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER, Ipv4Field, writeIpv4Header } from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, writeIpv6Header } from '../wire/ipv6.ts';
import { TCP_HEADER, TcpField, TcpFlag } from '../wire/tcp.ts';
import { UDP_HEADER, UdpField, writeUdpHeader } from '../wire/udp.ts';
import { Segmentation, writeVnetPlain, writeVnetSegments } from '../wire/virtio-net.ts';

/** The gateways. */
export const HERE = Uint8Array.of(192, 0, 2, 1);
export const THERE = Uint8Array.of(192, 0, 2, 2);
export const NATT_PORT = 4500;
/** SPIs that the gateway of this name receives with: those with a bit more are THERE's. */
export const SPI_HERE = 0xc000_1001;
export const SPI_THERE = 0xc000_1002;

export interface PracticePackets {
  readonly small: readonly Uint8Array[];
  readonly large: readonly Uint8Array[];
  /** How many of the small ones no policy is for. */
  readonly unwanted: number;
  /** Datagrams that are not ESP, or of no SA. */
  readonly strangers: readonly Uint8Array[];
}

const MSS = 1300;
const SEGMENTS = 40;
const SMALL_OCTETS = 64;

/** Source and destination. */
type Way = readonly [Uint8Array, Uint8Array];

/** With the header of the device in front where there are super-packets. */
export function practicePackets(offload: { readonly udp: boolean } | undefined): PracticePackets {
  const front = offload === undefined ? 0 : VNET_HEADER_OCTETS;
  const ways = [
    ...bothWays('10.1.0.10', '10.2.0.10'),
    ...bothWays('2001:db8:1::a', '2001:db8:2::a'),
  ];
  const narrow = bothWays('10.3.0.1', '10.4.0.7');
  const nowhere = bothWays('10.1.0.10', '10.9.0.10').slice(0, 1);
  return {
    small: [
      ...ways.flatMap((way) => [
        icmpEcho(front, way),
        udpPacket(front, way, SMALL_OCTETS),
        tcpPacket(front, way, 0),
        tcpPacket(front, way, 10, TcpFlag.ACK | TcpFlag.PSH),
      ]),
      ...[...narrow, ...nowhere].map((way) => udpPacket(front, way, SMALL_OCTETS)),
    ],
    large: ways.flatMap((way) => [
      tcpPacket(front, way, MSS),
      ...(front === 0 ? [] : [superPacket(front, way)]),
    ]),
    unwanted: nowhere.length,
    strangers: [new Uint8Array(32), Uint8Array.of(0xff), new Uint8Array(64).fill(7)],
  };
}

function bothWays(one: string, other: string): readonly Way[] {
  const [here, there] = [octetsOf(one), octetsOf(other)];
  return [
    [here, there],
    [there, here],
  ];
}

function octetsOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  return address.octets;
}

function icmpEcho(front: number, way: Way): Uint8Array {
  const isIpv4 = way[0].length === 4;
  const protocol = isIpv4 ? IpProtocol.ICMP : IpProtocol.IPV6_ICMP;
  const { packet, at, pseudo } = ipPacket(front, way, protocol, ICMP_ECHO_OCTETS);
  packet[at] = isIpv4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
  writeU16(packet, at + 2, checksum(packet, at, ICMP_ECHO_OCTETS, isIpv4 ? 0 : pseudo));
  return packet;
}

function udpPacket(front: number, way: Way, octets: number): Uint8Array {
  const length = UDP_HEADER + octets;
  const { packet, at, pseudo } = ipPacket(front, way, IpProtocol.UDP, length);
  // The port that selectors name is the western host's.
  writeUdpHeader(packet, at, 2000, 2001, length);
  writeU16(packet, at + UdpField.CHECKSUM, 0);
  writeU16(packet, at + UdpField.CHECKSUM, checksum(packet, at, length, pseudo));
  return packet;
}

function tcpPacket(
  front: number,
  way: Way,
  octets: number,
  flags: number = TcpFlag.ACK,
): Uint8Array {
  const { packet, at, pseudo, length } = tcpHeader(front, way, octets, flags);
  writeU16(packet, at + TcpField.CHECKSUM, checksum(packet, at, length, pseudo));
  return packet;
}

/** To be cut, and its checksums made. */
function superPacket(front: number, way: Way): Uint8Array {
  const { packet, at, pseudo } = tcpHeader(front, way, MSS * SEGMENTS, TcpFlag.ACK);
  writeU16(packet, at + TcpField.CHECKSUM, pseudo);
  const kind = way[0].length === 4 ? Segmentation.TCP_IPV4 : Segmentation.TCP_IPV6;
  const header = at - front;
  writeVnetSegments(packet, 0, kind, header + TCP_HEADER, MSS, header, TcpField.CHECKSUM);
  return packet;
}

function tcpHeader(front: number, way: Way, octets: number, flags: number) {
  const length = TCP_HEADER + octets;
  const { packet, at, pseudo } = ipPacket(front, way, IpProtocol.TCP, length);
  writeU16(packet, at + TcpField.SOURCE_PORT, 3000);
  writeU16(packet, at + TcpField.DESTINATION_PORT, 3001);
  writeU32(packet, at + TcpField.SEQUENCE, 1);
  writeU32(packet, at + TcpField.ACKNOWLEDGMENT, 1);
  packet[at + TcpField.DATA_OFFSET] = (TCP_HEADER / 4) << 4;
  packet[at + TcpField.FLAGS] = flags;
  return { packet, at, pseudo, length };
}

/** `at`: the first octet behind the IP header; `pseudo`: the sum of the pseudo-header. */
function ipPacket(front: number, way: Way, protocol: number, length: number) {
  const [source, destination] = way;
  const isIpv4 = source.length === 4;
  const at = front + (isIpv4 ? IPV4_HEADER : IPV6_HEADER);
  const packet = new Uint8Array(at + length);
  if (front > 0) writeVnetPlain(packet, 0, 0);
  if (isIpv4) {
    writeIpv4Header(packet, front, {
      ...{ typeOfService: 0, totalLength: IPV4_HEADER + length, identification: 1 },
      ...{ dontFragment: true, ttl: 64, protocol, source, destination },
    });
  } else {
    writeIpv6Header(packet, front, {
      ...{ trafficClass: 0, payloadLength: length, nextHeader: protocol, hopLimit: 64 },
      ...{ source, destination },
    });
  }
  const addresses = front + (isIpv4 ? Ipv4Field.SOURCE : Ipv6Field.SOURCE);
  const pseudo = sumPseudoHeader(packet, addresses, source.length, protocol, length);
  return { packet, at, pseudo };
}

const ICMP_ECHO_REQUEST = 8;
const ICMPV6_ECHO_REQUEST = 128;
const ICMP_ECHO_OCTETS = 64;
