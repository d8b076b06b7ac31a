/**
 * The segment an IKE SA or a Child SA belongs to in a strongSwan HA cluster: Bob Jenkins' hash of the
 * address of the peer, and of the SPI for ESP, as the kernel's CLUSTERIP once computed it.
 *
 * Three kernels computed three hashes; both nodes must use the same. Not the hash of our own cluster:
 * that one is over SPIs alone and spares IPv6, whose addresses all count as zero here.
 */
import type { IpAddress } from '../../wire/address.ts';

/** Which kernel's hash: before Linux 2.6.37, before 4.1, and since. */
export type HaHashVariant = 'lookup2' | 'lookup3' | 'lookup3-4.1';

export interface HaSegmenting {
  readonly variant: HaHashVariant;
  /** 1 to 16. */
  readonly count: number;
}

/** What charon computes on the kernels there are. */
export const CURRENT_HASH: HaHashVariant = 'lookup3-4.1';

/** The segment, from 1, of an IKE SA by the address of its peer. */
export function haSegment(segmenting: HaSegmenting, peer: IpAddress): number {
  return segmentOf(segmenting, haHash(segmenting.variant, addressWord(peer), 0));
}

/** The segment, from 1, of packets of ESP: destination and SPI. */
export function haSpiSegment(segmenting: HaSegmenting, destination: IpAddress, spi: number) {
  return segmentOf(segmenting, haHash(segmenting.variant, addressWord(destination), spi));
}

/** `jhash_2words(a, b, 0)`; of one word where `b` is zero. */
export function haHash(variant: HaHashVariant, a: number, b: number): number {
  if (variant === 'lookup2') return mixLookup2(a + GOLDEN_RATIO, b + GOLDEN_RATIO);
  // Linux 4.1 began to count the octets in.
  const length = variant === 'lookup3' ? 0 : b === 0 ? 4 : 8;
  const initial = INITIAL_VALUE + length;
  return finalLookup3(a + initial, b + initial, variant === 'lookup3' ? 0 : initial);
}

function segmentOf({ count }: HaSegmenting, hash: number): number {
  // As the kernel scales: the upper half of hash times count.
  return Math.floor((hash * count) / 0x1_0000_0000) + 1;
}

/** The address as a number of the host; every IPv6 address is zero to charon. */
function addressWord(address: IpAddress): number {
  if (address.family === 6) return 0;
  return address.octets.reduce((word, octet) => (word << 8) | octet, 0) >>> 0;
}

function finalLookup3(first: number, second: number, third: number): number {
  let [a, b, c] = [first | 0, second | 0, third | 0];
  c = (c ^ b) - rotated(b, 14);
  a = (a ^ c) - rotated(c, 11);
  b = (b ^ a) - rotated(a, 25);
  c = (c ^ b) - rotated(b, 16);
  a = (a ^ c) - rotated(c, 4);
  b = (b ^ a) - rotated(a, 14);
  c = (c ^ b) - rotated(b, 24);
  return c >>> 0;
}

function mixLookup2(first: number, second: number): number {
  let [a, b, c] = [first | 0, second | 0, 0];
  for (const [right, left, last] of LOOKUP2_SHIFTS) {
    a = (a - b - c) ^ (c >>> right);
    b = (b - c - a) ^ (a << left);
    c = (c - a - b) ^ (b >>> last);
  }
  return c >>> 0;
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

const INITIAL_VALUE = 0xdeadbeef;
const GOLDEN_RATIO = 0x9e3779b9;
const LOOKUP2_SHIFTS = [
  [13, 8, 13],
  [12, 16, 5],
  [3, 10, 15],
] as const;
