/**
 * Super-packets as the TUN device gives them, and the packets they stand for, each built from nothing:
 * what segmentation and coalescing are compared with.
 */
import { checksum, sumPseudoHeader } from '../../src/wire/checksum.ts';
import { writeU16 } from '../../src/wire/field.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { Ipv4Field } from '../../src/wire/ipv4.ts';
import { Ipv6Field } from '../../src/wire/ipv6.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import { innerPacket, upperChecksum } from './inner-packets.ts';

export interface Stream {
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly payload: Uint8Array;
  readonly segment: number;
  readonly sequence?: number;
  readonly flags?: number;
  readonly options?: Uint8Array;
  readonly identification?: number;
  readonly sourcePort?: number;
  readonly acknowledgment?: number;
  readonly trafficClass?: number;
  readonly dontFragment?: boolean;
}

/** A packet with the header that stands in front of it. */
export interface DevicePacket {
  readonly octets: Uint8Array;
  readonly vnet: Uint8Array;
}

const ENDS = {
  4: ['10.1.0.10', '10.2.0.10'],
  6: ['2001:db8:1::10', '2001:db8:2::10'],
} as const;

/** All octets in one packet, its checksum left to whoever cuts it. */
export function superPacket(stream: Stream): DevicePacket {
  const octets = packetOf(stream, stream.payload, 0, stream.flags ?? TcpFlag.ACK);
  const network = stream.family === 4 ? 20 : 40;
  const tcp = stream.protocol === 'tcp';
  const sumAt = tcp ? 16 : 6;
  const sum = sumPseudoHeader(
    octets,
    stream.family === 4 ? Ipv4Field.SOURCE : Ipv6Field.SOURCE,
    stream.family === 4 ? 4 : 16,
    tcp ? IpProtocol.TCP : IpProtocol.UDP,
    octets.length - network,
  );
  writeU16(octets, network + sumAt, sum);
  const kind = tcp ? (stream.family === 4 ? 1 : 4) : 5;
  const headers = octets.length - stream.payload.length;
  return { octets, vnet: vnetHeader(1, kind, headers, stream.segment, network, sumAt) };
}

/** The packets on the wire. */
export function segmentsOf(stream: Stream): readonly Uint8Array[] {
  const { payload, segment, flags = TcpFlag.ACK } = stream;
  const count = Math.ceil(payload.length / segment);
  return Array.from({ length: count }, (_, index) => {
    const part = payload.slice(index * segment, (index + 1) * segment);
    let own = flags;
    if (index > 0) own &= ~TcpFlag.CWR;
    if (index < count - 1) own &= ~(TcpFlag.PSH | TcpFlag.FIN);
    return packetOf(stream, part, index, own);
  });
}

export function vnetHeader(
  flags: number,
  kind: number,
  headers: number,
  size: number,
  sumStart: number,
  sumOffset: number,
): Uint8Array {
  const header = new Uint8Array(10);
  const view = new DataView(header.buffer);
  view.setUint8(0, flags);
  view.setUint8(1, kind);
  view.setUint16(2, headers, true);
  view.setUint16(4, size, true);
  view.setUint16(6, sumStart, true);
  view.setUint16(8, sumOffset, true);
  return header;
}

function packetOf(stream: Stream, part: Uint8Array, index: number, flags: number): Uint8Array {
  const [source, destination] = ENDS[stream.family];
  const tcp = stream.protocol === 'tcp';
  const { options = new Uint8Array(0), trafficClass = 0, dontFragment = false } = stream;
  const upper = new Uint8Array((tcp ? 20 + options.length : 8) + part.length);
  const view = new DataView(upper.buffer);
  view.setUint16(0, stream.sourcePort ?? 40_000);
  view.setUint16(2, 80);
  if (tcp) {
    view.setUint32(4, ((stream.sequence ?? 0) + index * stream.segment) >>> 0);
    view.setUint32(8, stream.acknowledgment ?? 77);
    upper[12] = ((20 + options.length) / 4) << 4;
    upper[13] = flags;
    view.setUint16(14, 501);
    upper.set(options, 20);
  } else {
    view.setUint16(4, upper.length);
  }
  upper.set(part, upper.length - part.length);
  return innerPacket({
    ...{ source, destination, upper, trafficClass, dontFragment },
    protocol: tcp ? IpProtocol.TCP : IpProtocol.UDP,
    checksumAt: tcp ? 16 : 6,
    identification: ((stream.identification ?? 0x1234) + index) & 0xffff,
  });
}

/** The packets that what is written to the device stands for, each built from it anew. */
export function packetsOfWrite({ octets, vnet }: DevicePacket): readonly Uint8Array[] {
  const view = new DataView(vnet.buffer, vnet.byteOffset, vnet.length);
  if (view.getUint8(1) === 0) return [octets];
  const [headers, size] = [view.getUint16(2, true), view.getUint16(4, true)];
  const [upperAt, sumOffset] = [view.getUint16(6, true), view.getUint16(8, true)];
  const count = Math.ceil((octets.length - headers) / size);
  return Array.from({ length: count }, (_, index) => {
    const from = headers + index * size;
    const payload = octets.subarray(from, Math.min(from + size, octets.length));
    const packet = concatOctets(octets.subarray(0, headers), payload);
    numberPacket(packet, upperAt, index, size, index === count - 1);
    sumPacket(packet, upperAt, sumOffset);
    return packet;
  });
}

/** What counts up from packet to packet, and what only the last one says. */
function numberPacket(
  packet: Uint8Array,
  upperAt: number,
  index: number,
  size: number,
  last: boolean,
): void {
  const view = new DataView(packet.buffer);
  const six = packet[0]! >> 4 === 6;
  if (six) view.setUint16(Ipv6Field.PAYLOAD_LENGTH, packet.length - 40);
  else {
    const identification = view.getUint16(Ipv4Field.IDENTIFICATION) + index;
    view.setUint16(Ipv4Field.TOTAL_LENGTH, packet.length);
    view.setUint16(Ipv4Field.IDENTIFICATION, identification & 0xffff);
  }
  if (packet[six ? 6 : 9] === IpProtocol.UDP) {
    view.setUint16(upperAt + 4, packet.length - upperAt);
    return;
  }
  view.setUint32(upperAt + 4, (view.getUint32(upperAt + 4) + index * size) >>> 0);
  if (!last) packet[upperAt + 13]! &= ~(TcpFlag.PSH | TcpFlag.FIN);
}

function sumPacket(packet: Uint8Array, upperAt: number, sumOffset: number): void {
  const six = packet[0]! >> 4 === 6;
  const protocol = packet[six ? 6 : 9] ?? 0;
  packet.fill(0, upperAt + sumOffset, upperAt + sumOffset + 2);
  const sum = upperChecksum(packet, upperAt, protocol);
  writeU16(packet, upperAt + sumOffset, sum === 0 ? 0xffff : sum);
  if (six) return;
  packet.fill(0, Ipv4Field.HEADER_CHECKSUM, Ipv4Field.HEADER_CHECKSUM + 2);
  writeU16(packet, Ipv4Field.HEADER_CHECKSUM, checksum(packet, 0, upperAt));
}
