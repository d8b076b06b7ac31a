/**
 * The highest rate at which next to nothing is lost, in a bounded number of tries.
 *
 * Bisection of the logarithm: each try halves the ratio of the lowest rate that lost too much to the
 * highest that did not. A rate counts as what was really sent, for a sender may not keep up.
 */

export interface Try {
  /** Packets a second that were sent. */
  readonly sentPerSecond: number;
  /** Of those sent, how many did not arrive: from 0 to 1. */
  readonly loss: number;
}

export class LossSearch<T extends Try> {
  readonly #mostLoss: number;
  #tries: number;
  #low: number;
  #high: number;
  #best: T | undefined;

  /** `most` packets a second are not exceeded; below a 64th of it nothing is looked for. */
  constructor(options: {
    readonly most: number;
    readonly mostLoss: number;
    readonly tries: number;
  }) {
    this.#mostLoss = options.mostLoss;
    this.#tries = options.tries;
    this.#high = options.most;
    this.#low = options.most / RANGE;
  }

  /** The rate to try now; undefined once the tries are used up. */
  next(): number | undefined {
    if (this.#tries <= 0) return undefined;
    return Math.sqrt(this.#low * this.#high);
  }

  /** What came of the rate that `next` answered. */
  tell(rate: number, result: T): void {
    this.#tries -= 1;
    if (result.loss > this.#mostLoss) {
      this.#high = rate;
      return;
    }
    this.#low = rate;
    if (this.#best === undefined || result.sentPerSecond > this.#best.sentPerSecond) {
      this.#best = result;
    }
  }

  /** The try with the highest rate that lost little enough. */
  get best(): T | undefined {
    return this.#best;
  }
}

const RANGE = 64;
