/**
 * Capture files of UDP datagrams between two addresses, for checkers that read one.
 */
import { OctetWriter } from '../../src/wire/octets.ts';

export interface CapturedDatagram {
  /** Four octets each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** The same at both ends. */
  readonly port: number;
  readonly payload: Uint8Array;
}

const MAGIC = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_RAW = 101;
const IPV4_HEADER_OCTETS = 20;
const UDP_HEADER_OCTETS = 8;
const PROTOCOL_UDP = 17;
const TIME_TO_LIVE = 64;

/** Ethernet frames in a pcap file. */
export function framesFile(frames: readonly Uint8Array[]): Uint8Array {
  const writer = new OctetWriter();
  writer.u32(MAGIC).u16(2).u16(4).u32(0).u32(0).u32(0xffff).u32(LINKTYPE_ETHERNET);
  for (const [index, frame] of frames.entries()) {
    writer.u32(index).u32(0).u32(frame.length).u32(frame.length).octets(frame);
  }
  return writer.finish();
}

/** The datagrams in a pcap file of raw IPv4 packets; checksums are left out. */
export function pcapFile(datagrams: readonly CapturedDatagram[]): Uint8Array {
  const writer = new OctetWriter();
  writer.u32(MAGIC).u16(2).u16(4).u32(0).u32(0).u32(0xffff).u32(LINKTYPE_RAW);
  for (const [index, { source, destination, port, payload }] of datagrams.entries()) {
    const udpLength = UDP_HEADER_OCTETS + payload.length;
    const length = IPV4_HEADER_OCTETS + udpLength;
    writer.u32(index).u32(0).u32(length).u32(length);
    writer.u8(0x45).u8(0).u16(length).u32(0).u8(TIME_TO_LIVE).u8(PROTOCOL_UDP).u16(0);
    writer.octets(source).octets(destination);
    writer.u16(port).u16(port).u16(udpLength).u16(0).octets(payload);
  }
  return writer.finish();
}
