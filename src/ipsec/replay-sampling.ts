/**
 * How far the replay window of a node that only samples an SA's packets may be behind its owner's, and what
 * that means when it takes over (RFC 4303 §3.4.3, RFC 6027 §3.4).
 *
 * Packets are sampled by the low bits of their sequence number, which the kernel's filter can do, too; only
 * those whose ICV is right move the window, so that nobody gains by choosing a number.
 */
import type { Instant } from '../wire/instant.ts';
import { numbersBetween, type SequenceHalves } from './sequence-number.ts';

/** Of `every` numbers, a power of two, the one with this remainder. `every` 0: no packet comes by. */
export interface Sampling {
  readonly every: number;
  readonly residue: number;
}

/** How often owners tell where their windows are. */
export const DIGEST_MS = 100;

/**
 * What a successor makes of a window it followed: everything up to its edge counts as seen; or everything up
 * to a number that the owner's edge cannot have passed, at the price of packets that never arrived. A node
 * that gave an SA up and that nobody took it from goes on with the window as it is.
 */
export type TakeOverWindow = 'bounded' | 'strict' | 'unchanged';

/** Packets a second below which each is sampled, and above which fewer are than of others. */
const SLOW = 64;
const FAST = 100_000;
const EVERY = 64;
const EVERY_FAST = 256;
/** Every how many numbers may be sampled. */
const MOST_EVERY = 65_536;
/** How far a strict successor goes where nothing is known of an SA: a window of any peer. */
const LEAD_UNKNOWN = 65_536;

/** Every how many packets a node samples of an SA that is so fast: slow ones each, fast ones few. */
export function samplingEvery(perMillisecond: number): number {
  const perSecond = perMillisecond * 1000;
  if (perSecond < SLOW) return 1;
  return perSecond > FAST ? EVERY_FAST : EVERY;
}

/** The bits of a number that are compared with the residue. */
export function samplingMask({ every, residue }: Sampling): number {
  const isPower = Number.isInteger(every) && every > 0 && (every & (every - 1)) === 0;
  const isNone = every === 0 && residue === 0;
  if (isNone || (isPower && every <= MOST_EVERY && residue >= 0 && residue < every))
    return every - 1;
  throw new RangeError(`samples of each ${every} packets with remainder ${residue}`);
}

/**
 * How many packets that the owner accepted may be accepted once more after a take-over, each once, unless
 * samples were lost; `rate` in packets a millisecond.
 */
export function replayExposure({ every }: Sampling, rate: number, window: TakeOverWindow): number {
  if (window !== 'bounded') return 0;
  const told = Math.ceil(rate * DIGEST_MS);
  return every === 0 ? told : Math.min(every - 1, told);
}

/** By how many numbers the window of a strict successor begins ahead of what it saw; `rate` as above. */
export function strictLead({ every }: Sampling, rate: number): number {
  // One sample may be lost, or one digest.
  const told = Number.isFinite(rate) ? Math.ceil(rate * DIGEST_MS * 2) : LEAD_UNKNOWN;
  return every > 0 ? Math.min(every * 2, told) : told;
}

/** How fast the numbers of an SA go on at most, as far as its edge shows. */
export class EdgeRate {
  #since: Instant;
  #from: SequenceHalves;
  #perMillisecond = Number.POSITIVE_INFINITY;

  constructor(edge: SequenceHalves, now: Instant) {
    this.#from = edge;
    this.#since = now;
  }

  /**
   * Packets a millisecond, as far as is known by then. Of an SA that is followed and of which nobody said
   * anything the window does not move: it is taken for a slow one. Infinite as long as nothing is known.
   */
  at(now: Instant): number {
    if (Number.isFinite(this.#perMillisecond)) return Math.max(this.#perMillisecond, SLOW / 1000);
    return now - this.#since < 2 * DIGEST_MS ? this.#perMillisecond : SLOW / 1000;
  }

  /** The edge is at this number. */
  note(high: number, low: number, now: Instant): void {
    const elapsed = now - this.#since;
    if (elapsed < DIGEST_MS) return;
    const edge = { high, low };
    const rate = Math.max(0, numbersBetween(this.#from, edge)) / elapsed;
    const before = Number.isFinite(this.#perMillisecond) ? this.#perMillisecond : 0;
    // What was fast a moment ago may be so again.
    this.#perMillisecond = Math.max(rate, before / 2);
    this.#from = edge;
    this.#since = now;
  }
}
