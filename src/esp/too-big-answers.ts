/**
 * The ICMP errors of one batch, collected as rows that go back into the TUN device.
 *
 * Bounded twice: by the rate of errors and by the rows of its batch. What does not fit is not
 * answered; the packet itself was counted where it was dropped.
 */
import type { Flow } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import { type Batch, createBatch, emptyRows, HEADROOM, WORDS, Word } from './batch.ts';
import { ErrorRate, TOO_BIG_OCTETS, writeTooBig } from './icmp-too-big.ts';

const ROWS = 16;

export class TooBigAnswers {
  readonly batch: Batch = createBatch(ROWS, HEADROOM + TOO_BIG_OCTETS);
  readonly #rate = new ErrorRate();
  #count = 0;

  /** Rows filled since the last `clear`. */
  get count(): number {
    return this.#count;
  }

  /** Answers the packet at `inner` of `batch`, if that may be done now. */
  add(batch: Batch, inner: number, flow: Flow, innerMtu: number, now: Instant): void {
    if (this.#count === this.batch.size || !this.#rate.take(now)) return;
    const at = this.#count * WORDS;
    const start = this.batch.words[at + Word.OFFSET]!;
    const length = writeTooBig(
      batch.arena.subarray(inner, inner + flow.totalLength),
      // RFC 8200 §5: no sender of IPv6 is told to go below 1280 octets.
      flow.family === 6 ? Math.max(innerMtu, IPV6_MINIMUM_MTU) : innerMtu,
      this.batch.arena.subarray(start, start + TOO_BIG_OCTETS),
    );
    if (length === 0) return;
    this.batch.words[at + Word.LENGTH] = length;
    this.#count++;
  }

  /** Empties the rows that were written. */
  clear(): void {
    emptyRows(this.batch, this.#count);
    this.#count = 0;
  }
}

const IPV6_MINIMUM_MTU = 1280;
