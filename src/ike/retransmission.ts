/**
 * When an unanswered request is sent again, and when its peer counts as dead (RFC 7296 §2.4).
 *
 * Exponential back-off; with the defaults the repeats come after 4, 11, 24, 47 and 89 seconds and
 * the peer is given up after 165. A request that is sent a few times soon, for reasons of its own, begins
 * with waits of its own, which do not count.
 */
import { after, type Instant } from '../wire/instant.ts';
import type { IkeSettings } from './settings.ts';

export class Retransmission {
  readonly #settings: IkeSettings;
  readonly #early: readonly number[];
  #attempts: number;
  #earlyAttempts = 0;
  #nextAt: Instant;

  /** `early`: waits before the first repeats, in milliseconds; `attempts`: repeats made before. */
  constructor(settings: IkeSettings, now: Instant, early: readonly number[] = [], attempts = 0) {
    this.#settings = settings;
    this.#early = early;
    this.#attempts = attempts;
    this.#nextAt = after(now, this.#interval());
  }

  /** Waits of the early repeats that are still to come. */
  get earlyLeft(): readonly number[] {
    return this.#early.slice(this.#earlyAttempts);
  }

  /** The next repeat will be an early one. */
  get hasEarly(): boolean {
    return this.#earlyAttempts < this.#early.length;
  }

  /** Other repeats made so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** When to repeat or give up. */
  get nextAt(): Instant {
    return this.#nextAt;
  }

  /** At `nextAt`: `early` and `repeat` schedule the next one, `give-up` ends it. */
  expire(now: Instant): 'early' | 'repeat' | 'give-up' {
    if (this.#earlyAttempts < this.#early.length) {
      this.#earlyAttempts++;
      this.#nextAt = after(now, this.#interval());
      return 'early';
    }
    if (this.#attempts >= this.#settings.retransmitTries) return 'give-up';
    this.#attempts++;
    this.#nextAt = after(now, this.#interval());
    return 'repeat';
  }

  #interval(): number {
    const early = this.#early[this.#earlyAttempts];
    if (early !== undefined) return early;
    const { retransmitTimeoutSeconds, retransmitBase } = this.#settings;
    return retransmitTimeoutSeconds * 1000 * retransmitBase ** this.#attempts;
  }
}
