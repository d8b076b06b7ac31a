/**
 * Outbound sequence numbers that are told to others before they are used (RFC 4303 §3.3.3: never repeat
 * one, never go back).
 *
 * A sender may use numbers up to a limit that enough other nodes have acknowledged; whoever takes over
 * begins behind the highest limit that was asked for. Both halves are told: the high half of an extended
 * number is never inferred. Holds no clock; numbers are safe integers here, as this runs once for
 * hundreds of packets.
 */

/** What is told: 24 octets on the wire. */
export interface SequenceReservation {
  /** SPI of the outbound SA. */
  readonly spi: number;
  readonly high: number;
  readonly low: number;
}

const HALF = 0x1_0000_0000;

/** The least and the most that is asked for at once. */
const LEAST = 256;
const MOST = 2 ** 20;
/** How much of a second's packets one reservation is good for. */
const SHARE = 0.5;

export class ReservedSequence {
  readonly #spi: number;
  readonly #last: number;
  readonly #least: number;
  #asked: number;
  #allowed: number;
  #isSolo = false;

  /** `reserved` is the highest number that anybody may have used; the first here is the next one. */
  constructor(spi: number, esn: boolean, reserved = 0, least = LEAST) {
    this.#spi = spi;
    this.#least = least;
    // RFC 4303 §3.3.3: without ESN the counter ends at 2^32-1. Two reservations stay free before it.
    this.#last = esn ? Number.MAX_SAFE_INTEGER : HALF - 1;
    this.#asked = reserved;
    this.#allowed = reserved;
  }

  /** The highest number that may be sent. */
  get allowed(): number {
    return this.#allowed;
  }

  /** The highest number that was asked for: where a successor begins. */
  get asked(): number {
    return this.#asked;
  }

  /** It went beyond what others acknowledged: a successor must make the SA anew. */
  get isSolo(): boolean {
    return this.#isSolo;
  }

  /**
   * What to tell the others, when less than half of a reservation is left; undefined while there is enough
   * or an answer is awaited. `rate` is packets in a second.
   */
  extend(sent: number, rate: number): SequenceReservation | undefined {
    const size = Math.min(Math.max(Math.ceil(rate * SHARE), this.#least), MOST);
    if (this.#asked - sent >= size / 2 || this.#asked > this.#allowed) return undefined;
    if (this.#asked >= this.#last) return undefined;
    this.#asked = Math.min(Math.max(this.#asked, sent) + size, this.#last);
    return this.#reservation();
  }

  /** Enough others have this reservation. */
  acknowledged({ high, low }: SequenceReservation): void {
    const limit = high * HALF + low;
    if (limit > this.#allowed && limit <= this.#asked) this.#allowed = limit;
    if (this.#allowed === this.#asked) this.#isSolo = false;
  }

  /** Nobody is there to acknowledge, and the policy is to go on. */
  goSolo(): void {
    if (this.#allowed === this.#asked) return;
    this.#allowed = this.#asked;
    this.#isSolo = true;
  }

  /** Where the SA is to be replaced, as so little of it is left: RFC 4303 §3.3.3 lets no counter go round. */
  isNearlyUsed(sent: number): boolean {
    return sent >= this.#last - 2 * MOST;
  }

  #reservation(): SequenceReservation {
    const low = this.#asked % HALF;
    return { spi: this.#spi, high: (this.#asked - low) / HALF, low };
  }
}
