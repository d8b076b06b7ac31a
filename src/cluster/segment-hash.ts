/**
 * Which segment a number belongs to, by the hash that the kernel's packet filter computes, too: what nft
 * writes as `jhash KEY mod COUNT seed SEED`.
 *
 * `jhash` is Bob Jenkins' lookup3 over the octets of the key as they are on the wire, read as
 * little-endian words: the kernel reads them in the order of its machine, and the machines we run on are
 * little-endian. `mod` is not a remainder: the hash is scaled into the range. The hash carries no secret,
 * but a seed that nobody outside knows makes it hard to aim at a segment (see `sourceSeed`).
 */
import { computeMac } from '../crypto/mac.ts';
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { IpAddress } from '../wire/address.ts';

/** The two numbers all nodes of a cluster and their filters agree on. */
export interface SegmentHash {
  /** A power of two, 256 if nothing else is said. */
  readonly count: number;
  /** 32 bits. */
  readonly seed: number;
}

export const DEFAULT_SEGMENTS = 256;

/** More would not fit the messages between nodes, nor a filter that is quick to replace. */
export const MOST_SEGMENTS = 4096;

/** Throws `RangeError` where the numbers are none that nodes can agree on. */
export function segmentHash(count: number, seed: number): SegmentHash {
  if (count < 1 || count > MOST_SEGMENTS || !Number.isInteger(Math.log2(count))) {
    throw new RangeError(`${count} segments: not a power of two from 1 to ${MOST_SEGMENTS}`);
  }
  if (seed !== seed >>> 0) throw new RangeError(`segment seed ${seed}: not a number of 32 bits`);
  return { count, seed };
}

/** Segment of an ESP SPI: the 4 octets that begin an ESP packet (RFC 4303 §2.1). Allocates nothing. */
export function segmentOfSpi(spi: number, { count, seed }: SegmentHash): number {
  const initial = (INITIAL + 4 + seed) | 0;
  return scaled(finalMix((initial + swapped(spi)) | 0, initial, initial), count);
}

/** Segment of an IKE SPI, given as its 8 octets (RFC 7296 §3.1). */
export function segmentOfIkeSpi(spi: Uint8Array, hash: SegmentHash): number {
  if (spi.length !== 8) throw new RangeError(`an IKE SPI of ${spi.length} octets`);
  return scaled(jhash(spi, hash.seed), hash.count);
}

/** Segment of an address, as octets of the IP header; ports take no part. */
export function segmentOfAddress(address: IpAddress, { count, seed }: SegmentHash): number {
  return scaled(jhash(address.octets, seed), count);
}

/**
 * The seed for what is shared out by the address it comes from: requests of strangers, which carry no
 * SPI of ours. It is made of the cluster's secret, so that strangers cannot choose addresses that
 * all fall to one node.
 */
export function sourceSeed(secret: SecretBytes): number {
  const mac = computeMac('hmac-sha256', secret.reveal(), SOURCE_SEED_LABEL);
  return new DataView(mac.buffer, mac.byteOffset).getUint32(0);
}

/** lookup3 of a key of any length; unsigned 32 bits. */
export function jhash(key: Uint8Array, seed: number): number {
  let a = (INITIAL + key.length + seed) | 0;
  let b = a;
  let c = a;
  let at = 0;
  for (; key.length - at > 12; at += 12) {
    a = (a + wordAt(key, at)) | 0;
    b = (b + wordAt(key, at + 4)) | 0;
    c = (c + wordAt(key, at + 8)) | 0;
    a = (a - c) ^ rotated(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotated(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotated(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotated(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotated(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotated(b, 4);
    b = (b + a) | 0;
  }
  if (key.length === at) return c >>> 0;
  return finalMix(
    (a + wordAt(key, at)) | 0,
    (b + wordAt(key, at + 4)) | 0,
    (c + wordAt(key, at + 8)) | 0,
  );
}

/** A hash of 32 bits into 0 .. count-1, as the kernel's reciprocal_scale has it. */
export function scaled(hash: number, count: number): number {
  return Math.floor((hash * count) / 0x1_0000_0000);
}

function finalMix(first: number, second: number, third: number): number {
  let a = first;
  let b = second;
  let c = third;
  c = ((c ^ b) - rotated(b, 14)) | 0;
  a = ((a ^ c) - rotated(c, 11)) | 0;
  b = ((b ^ a) - rotated(a, 25)) | 0;
  c = ((c ^ b) - rotated(b, 16)) | 0;
  a = ((a ^ c) - rotated(c, 4)) | 0;
  b = ((b ^ a) - rotated(a, 14)) | 0;
  c = ((c ^ b) - rotated(b, 24)) | 0;
  return c >>> 0;
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** Octets beyond the end count as zero. */
function wordAt(octets: Uint8Array, at: number): number {
  const low = (octets[at] ?? 0) | ((octets[at + 1] ?? 0) << 8);
  return low | ((octets[at + 2] ?? 0) << 16) | ((octets[at + 3] ?? 0) << 24);
}

function swapped(word: number): number {
  const outer = (word << 24) | (word >>> 24);
  return outer | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00);
}

const INITIAL = 0xdeadbeef;
const SOURCE_SEED_LABEL = new TextEncoder().encode('tsgw cluster: segment of a source address');
