/**
 * IPv4 header in place (RFC 791 §3.1).
 *
 * Views take the octets and the offset of the header and assume 20 octets are there; `readFlow`
 * is where lengths are checked. Setters keep the header checksum right (RFC 1624).
 */
import { checksum, updateChecksum } from './checksum.ts';
import { readU8, readU16, writeU8, writeU16 } from './field.ts';

/** Offsets of the fields. */
export const Ipv4Field = {
  VERSION_IHL: 0,
  TYPE_OF_SERVICE: 1,
  TOTAL_LENGTH: 2,
  IDENTIFICATION: 4,
  FLAGS_FRAGMENT_OFFSET: 6,
  TTL: 8,
  PROTOCOL: 9,
  HEADER_CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
} as const;

/** Octets of a header without options. */
export const IPV4_HEADER = 20;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;

export function ipVersion(octets: Uint8Array, at: number): number {
  return readU8(octets, at) >>> 4;
}

export function ipv4HeaderLength(octets: Uint8Array, at: number): number {
  return (readU8(octets, at) & 0x0f) * 4;
}

export function ipv4TypeOfService(octets: Uint8Array, at: number): number {
  return readU8(octets, at + Ipv4Field.TYPE_OF_SERVICE);
}

export function ipv4TotalLength(octets: Uint8Array, at: number): number {
  return readU16(octets, at + Ipv4Field.TOTAL_LENGTH);
}

export function ipv4DontFragment(octets: Uint8Array, at: number): boolean {
  return (readU16(octets, at + Ipv4Field.FLAGS_FRAGMENT_OFFSET) & DONT_FRAGMENT) !== 0;
}

export function ipv4MoreFragments(octets: Uint8Array, at: number): boolean {
  return (readU16(octets, at + Ipv4Field.FLAGS_FRAGMENT_OFFSET) & MORE_FRAGMENTS) !== 0;
}

export function ipv4Identification(octets: Uint8Array, at: number): number {
  return readU16(octets, at + Ipv4Field.IDENTIFICATION);
}

/** In units of 8 octets. */
export function ipv4FragmentOffset(octets: Uint8Array, at: number): number {
  return readU16(octets, at + Ipv4Field.FLAGS_FRAGMENT_OFFSET) & FRAGMENT_OFFSET;
}

export function ipv4Ttl(octets: Uint8Array, at: number): number {
  return readU8(octets, at + Ipv4Field.TTL);
}

export function ipv4Protocol(octets: Uint8Array, at: number): number {
  return readU8(octets, at + Ipv4Field.PROTOCOL);
}

export function ipv4ChecksumOk(octets: Uint8Array, at: number): boolean {
  return checksum(octets, at, ipv4HeaderLength(octets, at)) === 0;
}

export function setIpv4TypeOfService(octets: Uint8Array, at: number, value: number): void {
  setWord(octets, at, Ipv4Field.VERSION_IHL, (readU8(octets, at) << 8) | (value & 0xff));
}

export function setIpv4Ttl(octets: Uint8Array, at: number, value: number): void {
  setWord(octets, at, Ipv4Field.TTL, ((value & 0xff) << 8) | ipv4Protocol(octets, at));
}

/** What a header without options says; addresses are 4 octets. */
export interface Ipv4Header {
  readonly typeOfService: number;
  readonly totalLength: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Writes 20 octets with a correct checksum. */
export function writeIpv4Header(octets: Uint8Array, at: number, header: Ipv4Header): void {
  writeU8(octets, at, 0x45);
  writeU8(octets, at + Ipv4Field.TYPE_OF_SERVICE, header.typeOfService);
  writeU16(octets, at + Ipv4Field.TOTAL_LENGTH, header.totalLength);
  writeU16(octets, at + Ipv4Field.IDENTIFICATION, header.identification);
  writeU16(octets, at + Ipv4Field.FLAGS_FRAGMENT_OFFSET, header.dontFragment ? DONT_FRAGMENT : 0);
  writeU8(octets, at + Ipv4Field.TTL, header.ttl);
  writeU8(octets, at + Ipv4Field.PROTOCOL, header.protocol);
  writeU16(octets, at + Ipv4Field.HEADER_CHECKSUM, 0);
  octets.set(header.source, at + Ipv4Field.SOURCE);
  octets.set(header.destination, at + Ipv4Field.DESTINATION);
  writeU16(octets, at + Ipv4Field.HEADER_CHECKSUM, checksum(octets, at, IPV4_HEADER));
}

function setWord(octets: Uint8Array, at: number, field: number, value: number): void {
  const sumAt = at + Ipv4Field.HEADER_CHECKSUM;
  const old = readU16(octets, at + field);
  writeU16(octets, sumAt, updateChecksum(readU16(octets, sumAt), old, value));
  writeU16(octets, at + field, value);
}
