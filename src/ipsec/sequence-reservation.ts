/**
 * Outbound sequence numbers of an SA that another node may have to go on with (RFC 4303 §2.2, §3.3.3): only
 * those are used that others acknowledged ahead, so that a successor who begins behind them repeats none.
 *
 * More are asked for when less than half a batch is left; a batch is what half a second takes. Where nobody
 * is there to acknowledge, the SA is `solo` and goes on without. Holds no clock.
 */
import type { Instant } from '../wire/instant.ts';
import {
  laterNumber,
  numberAfter,
  numbersBetween,
  type SequenceHalves,
} from './sequence-number.ts';

/** Bounds of a batch. */
export const LEAST_BATCH = 256;
export const LARGEST_BATCH = 1 << 20;
/**
 * The furthest a successor may be ahead of what the peer saw: with ESN a receiver infers the high half
 * from its window and goes wrong by half of 2^32 and more (RFC 4303 Appendix A2).
 */
export const LARGEST_JUMP = 2 ** 30;

const BATCH_MS = 500;
/** A rate over less than this says nothing. */
const LEAST_MS = 1;
/** What a solo SA takes at a time. */
const SOLO_STEP = LARGEST_BATCH;
/** The high half, or without ESN the number, from where on three of four are used. */
const SOFT = 0xc000_0000;

export interface ReservationStart {
  /** The last number that may have been used. */
  readonly used: SequenceHalves;
  /** The last number that others acknowledged. */
  readonly reserved: SequenceHalves;
  readonly solo: boolean;
}

export class SequenceReservation {
  readonly #esn: boolean;
  readonly #last: SequenceHalves;
  #reserved: SequenceHalves;
  #solo: boolean;
  #batch = LEAST_BATCH;
  #asked = false;
  #ended = false;
  /** A grant came that the SA was past. */
  #late = false;
  #wanted: SequenceHalves | undefined;
  /** Where the rate was measured last. */
  #since: Instant;
  #from: SequenceHalves;

  constructor(esn: boolean, start: ReservationStart, now: Instant) {
    this.#esn = esn;
    this.#last = { high: esn ? 0xffff_ffff : 0, low: 0xffff_ffff };
    this.#reserved = start.reserved;
    this.#solo = start.solo;
    this.#since = now;
    this.#from = start.used;
  }

  /** The last number that others acknowledged. */
  get reserved(): SequenceHalves {
    return this.#reserved;
  }

  /** Nobody acknowledges what it uses. */
  get solo(): boolean {
    return this.#solo;
  }

  /** Numbers of one request. */
  get batch(): number {
    return this.#batch;
  }

  /** No number is left, nor ever to be had. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Three quarters of all numbers are used, or more; what is reserved counts as used. */
  nearlyUsed(used: SequenceHalves): boolean {
    const { high, low } = laterNumber(this.#reserved, used);
    return (this.#esn ? high : low) >= SOFT;
  }

  /** Up to which number the last `renew` wants to be acknowledged. */
  get wanted(): SequenceHalves | undefined {
    return this.#wanted;
  }

  /** How many numbers behind `used` may be used before it is asked again. */
  renew(used: SequenceHalves, now: Instant): number {
    this.#wanted = undefined;
    if (this.#solo) return this.#renewAlone(used, now);
    const left = Math.max(0, numbersBetween(used, this.#reserved));
    const half = Math.ceil(this.#batch / 2);
    if (left >= half) return left - half + 1;
    if (!this.#asked) this.#ask(used, now);
    this.#ended = left === 0 && !this.#asked;
    return left;
  }

  /** Numbers up to this one were acknowledged; `used` is the last that was used. */
  grant(to: SequenceHalves, used: SequenceHalves): void {
    const most = numberAfter(used, LARGEST_JUMP);
    const granted = numbersBetween(to, most) < 0 ? most : to;
    this.#reserved = laterNumber(this.#reserved, granted);
    this.#asked = false;
    this.#late = this.#solo;
    if (numbersBetween(used, this.#reserved) > 0) this.#solo = false;
  }

  /** Nobody is there to acknowledge; ends with a grant ahead of what is used. */
  goAlone(): void {
    this.#solo = true;
    this.#asked = false;
  }

  #renewAlone(used: SequenceHalves, now: Instant): number {
    // Somebody acknowledges again, but what was asked for is used by now.
    if (this.#late) this.#ask(used, now);
    this.#late = false;
    const left = Math.min(SOLO_STEP, Math.max(0, numbersBetween(used, this.#ceiling())));
    this.#ended = left === 0;
    return left;
  }

  #ask(used: SequenceHalves, now: Instant): void {
    const elapsed = Math.max(LEAST_MS, now - this.#since);
    const rate = Math.max(0, numbersBetween(this.#from, used)) / elapsed;
    this.#batch = Math.min(LARGEST_BATCH, Math.max(LEAST_BATCH, Math.ceil(rate * BATCH_MS)));
    this.#since = now;
    this.#from = { high: used.high, low: used.low };
    const further = numberAfter(laterNumber(this.#reserved, used), this.#batch);
    const ceiling = this.#ceiling();
    const wanted = numbersBetween(further, ceiling) < 0 ? ceiling : further;
    if (numbersBetween(this.#reserved, wanted) <= 0) return;
    this.#wanted = wanted;
    this.#asked = true;
  }

  /** RFC 4303 §3.3.3: the counter must not cycle; a successor's first batch fits below the end, too. */
  #ceiling(): SequenceHalves {
    const { high, low } = this.#last;
    return { high, low: low + 1 - 2 * this.#batch };
  }
}
