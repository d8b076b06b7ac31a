/**
 * The sending half of messages that are worth nothing late: packets on their way to another node. Nothing is sent twice.
 *
 * What waits is bounded, and what does not fit is dropped there and then. Only so many fragments are on their way until
 * the peer says that it has seen them, so that one that does not keep up hears heartbeats all the same: they never stand
 * behind more than that in its socket. A peer that says nothing has lost them.
 */
import { after, type Instant } from '../../wire/instant.ts';
import { encodeFragment, FIRST_FRAGMENT_OVERHEAD, FRAGMENT_OVERHEAD } from './frame.ts';
import type { BusMessage } from './message.ts';

/** The longest body: the largest packet there is, and what is said about it. */
export const MAX_EXPENDABLE_OCTETS = 66_048;

export class ExpendableSender {
  /** Not yet sent; the first one from `#offset` on. */
  readonly #waiting: BusMessage[] = [];
  #offset = 0;
  #place = 0;
  #octets = 0;
  #number = 0;
  /** The peer has seen all below. */
  #seen = 0;
  /** Since when fragments are on their way of which the peer said nothing. */
  #unseenSince: Instant | undefined;
  #fruitless = 0;

  /** Whether there was room for the message. */
  queue(message: BusMessage): boolean {
    const octets = this.#octets + message.body.length;
    if (this.#waiting.length >= MOST_MESSAGES || octets > MOST_OCTETS) return false;
    this.#octets = octets;
    this.#waiting.push(message);
    return true;
  }

  /** Octets that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** Rows of fragments that were lost since the peer saw any: a sign that a path is gone. */
  get fruitless(): number {
    return this.#fruitless;
  }

  /** Whether `next` would give a frame, if there were room for it. */
  isReady(now: Instant): boolean {
    this.#expire(now);
    return this.#waiting.length > 0 && this.#number - this.#seen < MOST_UNSEEN;
  }

  nextDeadline(): Instant | undefined {
    return this.#unseenSince && after(this.#unseenSince, PATIENCE);
  }

  /** The next frame that fits into `room` octets. */
  next(room: number, now: Instant): Uint8Array | undefined {
    const message = this.#waiting[0];
    if (!message || !this.isReady(now)) return undefined;
    const isFirst = this.#place === 0;
    const space = room - (isFirst ? FIRST_FRAGMENT_OVERHEAD : FRAGMENT_OVERHEAD);
    const left = message.body.length - this.#offset;
    if (space < left && space < SMALLEST_FRAGMENT) return undefined;
    const end = Math.min(this.#offset + space, message.body.length);
    const isLast = end === message.body.length;
    const frame = encodeFragment({
      number: this.#number,
      place: this.#place,
      type: isFirst ? message.type : undefined,
      isLast,
      octets: message.body.subarray(this.#offset, end),
    });
    this.#number++;
    this.#unseenSince ??= now;
    this.#place = isLast ? 0 : this.#place + 1;
    this.#offset = isLast ? 0 : end;
    if (isLast) {
      this.#waiting.shift();
      this.#octets -= message.body.length;
    }
    return frame;
  }

  /** The peer has seen all fragments below this number that it will see. */
  seen(next: number, now: Instant): void {
    // What was never sent cannot be seen, whatever the peer says.
    if (next <= this.#seen || next > this.#number) return;
    this.#seen = next;
    this.#fruitless = 0;
    this.#unseenSince = next === this.#number ? undefined : now;
  }

  /** The peer that was is gone. */
  abandon(): void {
    this.#waiting.length = 0;
    this.#octets = 0;
    this.#unseenSince = undefined;
  }

  #expire(now: Instant): void {
    const due = this.nextDeadline();
    if (due === undefined || now < due) return;
    this.#seen = this.#number;
    this.#unseenSince = undefined;
    this.#fruitless++;
  }
}

/** What a socket's owner has waiting for a moment: some dozen milliseconds of full-sized packets. */
const MOST_MESSAGES = 1024;
const MOST_OCTETS = 1 << 20;
/** Fragments on their way: with several peers that send at once, a part of what a socket holds. */
const MOST_UNSEEN = 256;
/** Milliseconds: a peer says at once what it sees, unless it is put aside. */
const PATIENCE = 50;
/** Where less of a message would fit, it waits for the next datagram. */
const SMALLEST_FRAGMENT = 64;
