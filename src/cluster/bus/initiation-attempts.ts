/**
 * An initiation that is repeated until it is answered: the same octets a few times, for a slow answer, then new
 * ones, under the other key of the ring where there is one, for a peer that knows only that.
 */
import { after, type Instant } from '../../wire/instant.ts';
import type { Initiation } from './handshake.ts';

export class InitiationAttempts {
  readonly #draft: (row: number) => Initiation;
  #initiation: Initiation;
  #row = 0;
  #tries = 0;
  #at: Instant;

  /** `draft` makes the initiation for a row of tries. The first one is to be sent now. */
  constructor(draft: (row: number) => Initiation, now: Instant) {
    this.#draft = draft;
    this.#initiation = draft(0);
    this.#at = after(now, FIRST_RETRY_MILLISECONDS);
  }

  get initiation(): Initiation {
    return this.#initiation;
  }

  /** When it is to be sent again. */
  get at(): Instant {
    return this.#at;
  }

  /** Nobody had the time to answer yet. */
  get isFresh(): boolean {
    return this.#tries === 0;
  }

  /** What to send again, if it is time. */
  repeat(now: Instant): Uint8Array | undefined {
    if (now < this.#at) return undefined;
    this.#tries++;
    if (this.#tries % TRIES_PER_ROW === 0) this.#initiation = this.#draft(++this.#row);
    this.#at = after(now, retryMilliseconds(this.#tries));
    return this.#initiation.datagram;
  }

  /** The peer gave a challenge: the same, made anew. */
  challenged(now: Instant): Uint8Array {
    this.#initiation = this.#draft(this.#row);
    this.#tries = 0;
    this.#at = after(now, FIRST_RETRY_MILLISECONDS);
    return this.#initiation.datagram;
  }

  /** Another handshake is going on: this one waits, in case that comes to nothing. */
  rest(now: Instant): void {
    this.#at = after(now, LAST_RETRY_MILLISECONDS);
  }
}

/** Between one try and the next. */
export function retryMilliseconds(tries: number): number {
  return Math.min(FIRST_RETRY_MILLISECONDS * 2 ** tries, LAST_RETRY_MILLISECONDS);
}

const FIRST_RETRY_MILLISECONDS = 50;
const LAST_RETRY_MILLISECONDS = 1000;
const TRIES_PER_ROW = 5;
