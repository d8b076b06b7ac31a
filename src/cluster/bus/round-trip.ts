/**
 * How long a peer takes to answer, and from that how long to wait before octets go out again.
 *
 * Smoothed as RFC 6298 §2 has it, but between bounds that fit a link within one room: 5 to 20 ms for what is
 * urgent, so that a lost record is there again before anybody waits for it, doubled for each further try.
 */
import { after, type Instant } from '../../wire/instant.ts';

export class RoundTrip {
  #smoothed: number | undefined;
  #variation = 0;

  /** Milliseconds; undefined before the first answer. */
  get smoothed(): number | undefined {
    return this.#smoothed;
  }

  /** Milliseconds before the first repetition, at most `longest`. */
  wait(longest: number): number {
    if (this.#smoothed === undefined) return longest;
    const wanted = this.#smoothed + Math.max(4 * this.#variation, 1) + ANSWER_DELAY;
    return Math.min(Math.max(wanted, SHORTEST_WAIT), longest);
  }

  /** Only of what was sent once: of a repetition nobody knows which one was answered. */
  measured(milliseconds: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = milliseconds;
      this.#variation = milliseconds / 2;
      return;
    }
    const off = Math.abs(this.#smoothed - milliseconds);
    this.#variation += (off - this.#variation) / 4;
    this.#smoothed += (milliseconds - this.#smoothed) / 8;
  }

  /** When what was sent for the `tries`th time at `sentAt` goes out again. */
  repeatAt(sentAt: Instant, tries: number, longest: number): Instant {
    return after(sentAt, Math.min(this.wait(longest) * 2 ** (tries - 1), MOST_WAIT));
  }
}

const SHORTEST_WAIT = 5;
/** After many tries: the peer is gone or the path is cut. */
const MOST_WAIT = 200;
/** Milliseconds a receiver may hold an acknowledgement back. */
export const ANSWER_DELAY = 2;
