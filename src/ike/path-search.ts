/**
 * The search for the largest packet that a path carries whole (as RFC 8899 §5 searches, by halving).
 *
 * First the least, which every path carries and which shows how long answers take; then the most,
 * which most paths carry; then halves. Arithmetic only: who asks sends the packets.
 */

/** Packets of one search; halving needs no more than 11 between 576 and 1500. */
const MAX_PROBES = 20;
/** A size above the least counts once it was answered so often: chance may help one packet through. */
const CONFIRMED = 2;

export class PathSearch {
  /** The first size, which is the least. */
  #first = 0;
  /** The largest size that was answered, 0 before there is one, and how often it was. */
  #answered = 0;
  #times = 0;
  /** The smallest that was not. */
  #lost: number | undefined;
  readonly #least: number;
  readonly #most: number;
  #probes = 0;
  #losses = 0;

  constructor(least: number, most: number) {
    this.#least = Math.min(least, most);
    this.#most = most;
  }

  get probes(): number {
    return this.#probes;
  }

  get losses(): number {
    return this.#losses;
  }

  /** Octets of the largest packet that was answered; 0 = not even the least was. */
  get answered(): number {
    return this.#answered;
  }

  /** Octets of the smallest packet that was not; undefined = the most was answered. */
  get lost(): number | undefined {
    return this.#lost;
  }

  /**
   * Octets of the next packet; undefined when the search is over. `fitting` answers how long the longest
   * packet is that can be made with at most so many octets: ciphers pad to whole blocks.
   */
  next(fitting: (octets: number) => number): number | undefined {
    if (this.#probes >= MAX_PROBES) return undefined;
    if (this.#answered === 0) return this.#probes === 0 ? fitting(this.#least) : undefined;
    const below = this.#lost ?? this.#most + 1;
    const largest = fitting(below - 1);
    if (largest > this.#answered) {
      if (this.#lost === undefined) return largest;
      const middle = fitting(Math.floor((this.#answered + below) / 2));
      return middle > this.#answered ? middle : largest;
    }
    const doubtful = this.#times < CONFIRMED && this.#answered > this.#first;
    return doubtful ? this.#answered : undefined;
  }

  /** A packet of `octets` was answered, or it was not. */
  conclude(octets: number, answered: boolean): void {
    if (this.#probes++ === 0) this.#first = octets;
    if (answered) {
      this.#times = octets === this.#answered ? this.#times + 1 : 1;
      this.#answered = octets;
      return;
    }
    this.#losses++;
    this.#lost = octets;
    // It was answered before, by chance: what lies below is open again.
    if (octets <= this.#answered) this.#answered = octets > this.#first ? this.#first : 0;
  }
}
