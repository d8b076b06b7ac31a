/**
 * The header that a TUN device puts in front of a packet when asked to (virtio 1.2 §5.1.6, the form
 * of linux/virtio_net.h): what the sender left to do, checksum and segmentation.
 *
 *   octet  0     flags                     octets 4-5  octets of payload in each segment
 *   octet  1     how to segment            octets 6-7  where the checksum's octets start
 *   octets 2-3   octets of all headers     octets 8-9  where in them the checksum stands
 *
 * Words are in the order of the machine, which is little endian wherever Node runs.
 */
import { readU8, writeU8 } from './field.ts';

export const VnetFlag = {
  /** The checksum is to be made; its field holds the sum of the pseudo-header. */
  NEEDS_CHECKSUM: 1,
  /** The checksum was looked at and is right. */
  DATA_VALID: 2,
} as const;

/** How a packet is cut into segments. */
export const Segmentation = { NONE: 0, TCP_IPV4: 1, TCP_IPV6: 4, UDP: 5 } as const;

/** Beside a TCP kind: CWR belongs to the first segment alone. */
const ECN = 0x80;

const FLAGS = 0;
const KIND = 1;
const HEADERS = 2;
const SIZE = 4;
const SUM_START = 6;
const SUM_OFFSET = 8;

export function vnetFlags(octets: Uint8Array, at: number): number {
  return readU8(octets, at + FLAGS);
}

/** One of `Segmentation`, or a number of a kind we never asked for. */
export function vnetSegmentation(octets: Uint8Array, at: number): number {
  return readU8(octets, at + KIND) & ~ECN;
}

export function vnetSegmentSize(octets: Uint8Array, at: number): number {
  return readLittle(octets, at + SIZE);
}

export function vnetSumStart(octets: Uint8Array, at: number): number {
  return readLittle(octets, at + SUM_START);
}

export function vnetSumOffset(octets: Uint8Array, at: number): number {
  return readLittle(octets, at + SUM_OFFSET);
}

/** A packet that is as it shall be. */
export function writeVnetPlain(octets: Uint8Array, at: number, flags: number): void {
  writeVnet(octets, at, flags, Segmentation.NONE, 0, 0, 0, 0);
}

/** A super-packet: the receiver segments it, or takes it whole. */
export function writeVnetSegments(
  octets: Uint8Array,
  at: number,
  kind: number,
  headers: number,
  size: number,
  sumStart: number,
  sumOffset: number,
): void {
  writeVnet(octets, at, VnetFlag.NEEDS_CHECKSUM, kind, headers, size, sumStart, sumOffset);
}

function writeVnet(
  octets: Uint8Array,
  at: number,
  flags: number,
  kind: number,
  headers: number,
  size: number,
  sumStart: number,
  sumOffset: number,
): void {
  writeU8(octets, at + FLAGS, flags);
  writeU8(octets, at + KIND, kind);
  writeLittle(octets, at + HEADERS, headers);
  writeLittle(octets, at + SIZE, size);
  writeLittle(octets, at + SUM_START, sumStart);
  writeLittle(octets, at + SUM_OFFSET, sumOffset);
}

function readLittle(octets: Uint8Array, at: number): number {
  return readU8(octets, at) | (readU8(octets, at + 1) << 8);
}

function writeLittle(octets: Uint8Array, at: number, value: number): void {
  writeU8(octets, at, value);
  writeU8(octets, at + 1, value >>> 8);
}
