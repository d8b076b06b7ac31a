/**
 * Datagrams as they were received become rows of single packets: where the kernel merged datagrams of
 * one sender and size (udp(7), UDP_GRO), one arrival is many of them.
 *
 * A row names the arrival its origin stands at. Octets stay where they are; nothing is allocated.
 */
import { type Batch, WORDS, Word } from './batch.ts';

export class Arrivals {
  readonly #arrivals: Batch;
  readonly #rows: Batch;
  #count = 0;
  #next = 0;
  /** Octets of the next arrival that are in rows already. */
  #taken = 0;

  constructor(arrivals: Batch, rows: Batch) {
    this.#arrivals = arrivals;
    this.#rows = rows;
  }

  /** The first `count` arrivals wait. */
  begin(count: number): void {
    this.#count = count;
    this.#next = 0;
    this.#taken = 0;
  }

  /** Fills rows until nothing waits or none is free; answers how many. */
  fill(): number {
    let filled = 0;
    while (filled < this.#rows.size && this.#next < this.#count) this.#cut(filled++);
    return filled;
  }

  #cut(row: number): void {
    const from = this.#arrivals.words;
    const to = this.#rows.words;
    const arrival = this.#next * WORDS;
    const at = row * WORDS;
    const left = from[arrival + Word.LENGTH]! - this.#taken;
    const segment = from[arrival + Word.SEGMENT]!;
    const length = segment > 0 && segment < left ? segment : left;
    to[at + Word.OFFSET] = from[arrival + Word.OFFSET]! + this.#taken;
    to[at + Word.LENGTH] = length;
    to[at + Word.STATUS] = from[arrival + Word.STATUS]!;
    to[at + Word.TOS] = from[arrival + Word.TOS]!;
    to[at + Word.ORIGIN] = this.#next;
    to[at + Word.NEXT] = 0;
    this.#taken += length;
    if (length < left) return;
    this.#next++;
    this.#taken = 0;
  }
}
