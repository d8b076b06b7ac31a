/**
 * UDP header in place (RFC 768).
 */
import { readU16, writeU16 } from './field.ts';

/** Offsets of the fields. */
export const UdpField = { SOURCE_PORT: 0, DESTINATION_PORT: 2, LENGTH: 4, CHECKSUM: 6 } as const;

export const UDP_HEADER = 8;

export function udpSourcePort(octets: Uint8Array, at: number): number {
  return readU16(octets, at + UdpField.SOURCE_PORT);
}

export function udpDestinationPort(octets: Uint8Array, at: number): number {
  return readU16(octets, at + UdpField.DESTINATION_PORT);
}

/** Header and data. */
export function udpLength(octets: Uint8Array, at: number): number {
  return readU16(octets, at + UdpField.LENGTH);
}

/** 0 = the sender made none (IPv4 only). */
export function udpChecksum(octets: Uint8Array, at: number): number {
  return readU16(octets, at + UdpField.CHECKSUM);
}

/** Writes 8 octets; `length` counts the header. */
export function writeUdpHeader(
  octets: Uint8Array,
  at: number,
  sourcePort: number,
  destinationPort: number,
  length: number,
): void {
  writeU16(octets, at + UdpField.SOURCE_PORT, sourcePort);
  writeU16(octets, at + UdpField.DESTINATION_PORT, destinationPort);
  writeU16(octets, at + UdpField.LENGTH, length);
  // RFC 3948 §2.1: UDP-encapsulated ESP is sent with a zero checksum over IPv4.
  writeU16(octets, at + UdpField.CHECKSUM, 0);
}
