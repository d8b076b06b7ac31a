/**
 * When an unanswered request is sent again, and when its peer counts as dead (RFC 7296 §2.4).
 *
 * Exponential back-off; with the defaults the repeats come after 4, 11, 24, 47 and 89 seconds and
 * the peer is given up after 165.
 */
import { after, type Instant } from '../wire/instant.ts';
import type { IkeSettings } from './settings.ts';

export class Retransmission {
  readonly #settings: IkeSettings;
  #attempts = 0;
  #nextAt: Instant;

  constructor(settings: IkeSettings, now: Instant) {
    this.#settings = settings;
    this.#nextAt = after(now, this.#interval());
  }

  /** Repeats made so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** When to repeat or give up. */
  get nextAt(): Instant {
    return this.#nextAt;
  }

  /** At `nextAt`: `repeat` schedules the next one, `give-up` ends it. */
  expire(now: Instant): 'repeat' | 'give-up' {
    if (this.#attempts >= this.#settings.retransmitTries) return 'give-up';
    this.#attempts++;
    this.#nextAt = after(now, this.#interval());
    return 'repeat';
  }

  #interval(): number {
    const { retransmitTimeoutSeconds, retransmitBase } = this.#settings;
    return retransmitTimeoutSeconds * 1000 * retransmitBase ** this.#attempts;
  }
}
