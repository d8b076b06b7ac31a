/**
 * Sequence numbers of one outbound SA (RFC 4303 §2.2.1, §3.3.3): two 32-bit halves, from 1 on.
 */

const LAST = 0xffff_ffff;
/** The half that is used up last, from where on 15 of 16 numbers are: time for a successor. */
export const NEARLY_USED = 0xf000_0000;

export class SequenceNumber {
  readonly #esn: boolean;
  readonly #lastHigh: number;
  #high = 0;
  #low = 0;

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
    if (this.#low < LAST) {
      this.#low++;
      return true;
    }
    // RFC 4303 §3.3.3: the counter must not cycle while anti-replay may be in use.
    if (this.#high >= this.#lastHigh) return false;
    this.#high++;
    this.#low = 0;
    return true;
  }

  /** Continues after a number that another keeper of this SA has used. */
  resumeAfter(high: number, low: number): void {
    this.#high = high;
    this.#low = low;
  }
}
