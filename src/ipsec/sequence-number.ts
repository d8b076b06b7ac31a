/**
 * Sequence numbers of one outbound SA (RFC 4303 §2.2.1, §3.3.3): two 32-bit halves, from 1 on.
 */

const LAST = 0xffff_ffff;
const HALF = 0x1_0000_0000;
/** The half that is used up last, from where on 15 of 16 numbers are: time for a successor. */
export const NEARLY_USED = 0xf000_0000;

/** A sequence number by its halves; without ESN the high one is 0. */
export interface SequenceHalves {
  readonly high: number;
  readonly low: number;
}

/** By how many numbers `to` is ahead of `from`; below 0 = behind it. Exact up to 2^53. */
export function numbersBetween(from: SequenceHalves, to: SequenceHalves): number {
  return (to.high - from.high) * HALF + (to.low - from.low);
}

/** The number `count` after this one, or the last one there is. */
export function numberAfter({ high, low }: SequenceHalves, count: number): SequenceHalves {
  const sum = low + count;
  const carried = high + Math.floor(sum / HALF);
  return carried > LAST ? { high: LAST, low: LAST } : { high: carried, low: sum % HALF };
}

/** The one that is further. */
export function laterNumber(one: SequenceHalves, other: SequenceHalves): SequenceHalves {
  return numbersBetween(one, other) > 0 ? other : one;
}

export class SequenceNumber implements SequenceHalves {
  readonly #esn: boolean;
  readonly #lastHigh: number;
  #high = 0;
  #low = 0;
  /** Up to where `advance` only counts, and the numbers that are allotted behind that. */
  #freeLow = LAST;
  #beyond = Number.POSITIVE_INFINITY;

  constructor(esn: boolean) {
    this.#esn = esn;
    this.#lastHigh = esn ? LAST : 0;
  }

  /** High half of the number in use; 0 without ESN. */
  get high(): number {
    return this.#high;
  }

  /** Low half of the number in use: the 32 bits that are sent. 0 before the first `advance`. */
  get low(): number {
    return this.#low;
  }

  /** Whether a sixteenth of the numbers is left, or less. */
  get nearlyUsed(): boolean {
    return (this.#esn ? this.#high : this.#low) >= NEARLY_USED;
  }

  /** Moves to the next number; answers false, and stays, when there is none. */
  advance(): boolean {
    if (this.#low < this.#freeLow) {
      this.#low++;
      return true;
    }
    return this.#carry();
  }

  /** Only `count` further numbers are to be had, until it is said again; before that all are. */
  allot(count: number): void {
    this.#freeLow = Math.min(LAST, this.#low + count);
    this.#beyond = count - (this.#freeLow - this.#low);
  }

  /** Continues after a number that another keeper of this SA has used; what was allotted is gone. */
  resumeAfter(high: number, low: number): void {
    this.#high = high;
    this.#low = low;
    if (this.#beyond !== Number.POSITIVE_INFINITY) this.allot(0);
  }

  #carry(): boolean {
    if (this.#low < LAST || this.#beyond === 0) return false;
    // RFC 4303 §3.3.3: the counter must not cycle while anti-replay may be in use.
    if (this.#high >= this.#lastHigh) return false;
    this.#high++;
    this.#low = 0;
    this.allot(this.#beyond - 1);
    return true;
  }
}
