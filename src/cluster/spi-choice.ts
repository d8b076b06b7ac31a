/**
 * SPIs that hash into a segment: random ones are drawn until one does (RFC 4303 §2.1, RFC 7296 §3.1).
 *
 * What is drawn stays uniform among the SPIs of the segment, so nothing about it can be foretold, and the
 * workers of a node, which are chosen by the SPI as well, have even shares of every segment.
 */
import type { RandomBytes } from '../crypto/random.ts';
import { isReservedSpi, type Spi, spi, workerOfSpi } from '../ipsec/spi.ts';
import { type SegmentHash, segmentOfIkeSpi, segmentOfSpi } from './segment-hash.ts';

/** What is asked of an SPI besides being random. */
export interface SpiWish<Value> {
  readonly hash: SegmentHash;
  readonly segment: number;
  readonly random: RandomBytes;
  /** Nobody here has it, and nobody is promised it. */
  readonly isFree: (value: Value) => boolean;
}

/** An inbound ESP SPI may be wanted for one of the workers, too. */
export interface EspSpiWish extends SpiWish<Spi> {
  readonly worker?: { readonly number: number; readonly of: number };
}

/**
 * An ESP SPI of the segment, none of the reserved ones (RFC 4303 §2.1). Undefined where none was found in
 * far more draws than are ever needed: then hardly any is free, or the randomness is none.
 */
export function chooseSpi(wish: EspSpiWish): Spi | undefined {
  const { hash, segment, worker, isFree } = wish;
  const draws = mostDraws(hash.count * (worker?.of ?? 1));
  let pool: DataView = NOTHING_DRAWN;
  for (let draw = 0; draw < draws; draw++) {
    const at = (draw * 4) % POOL_OCTETS;
    if (at === 0) pool = viewOf(wish.random(POOL_OCTETS));
    const candidate = pool.getUint32(at);
    if (segmentOfSpi(candidate, hash) !== segment || isReservedSpi(candidate)) continue;
    if (worker !== undefined && workerOfSpi(candidate, worker.of) !== worker.number) continue;
    if (isFree(spi(candidate))) return spi(candidate);
  }
  return undefined;
}

/** The 8 octets of an IKE SPI of the segment, never zero (RFC 7296 §3.1); undefined as above. */
export function chooseIkeSpi(wish: SpiWish<Uint8Array>): Uint8Array | undefined {
  const draws = mostDraws(wish.hash.count);
  let pool: Uint8Array = new Uint8Array(0);
  for (let draw = 0; draw < draws; draw++) {
    const at = (draw * 8) % POOL_OCTETS;
    if (at === 0) pool = wish.random(POOL_OCTETS);
    const candidate = pool.slice(at, at + 8);
    if (segmentOfIkeSpi(candidate, wish.hash) !== wish.segment) continue;
    // RFC 7296 §3.1: zero stands for an SPI that is not chosen yet.
    if (candidate.every((octet) => octet === 0)) continue;
    if (wish.isFree(candidate)) return candidate;
  }
  return undefined;
}

/** To need more has a probability of e^-64 while all are free. */
function mostDraws(expected: number): number {
  return 64 * expected;
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** Drawn at once: a call for each draw would cost more than the hashing. */
const POOL_OCTETS = 1024;
const NOTHING_DRAWN = new DataView(new ArrayBuffer(0));
