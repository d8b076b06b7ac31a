/**
 * The receiving half of messages that nobody repeats: fragments are put together, in whatever order they come, and
 * a message of which one is missing is forgotten when others went by.
 *
 * Memory is bounded by the number of fragments that may be on their way, whatever a peer sends.
 */
import { after, type Instant } from '../../wire/instant.ts';
import { concatOctets } from '../../wire/octets.ts';
import { MAX_EXPENDABLE_OCTETS } from './expendable-sender.ts';
import { encodeSeen, type Fragment } from './frame.ts';
import type { BusMessage } from './message.ts';

interface Message {
  readonly parts: (Uint8Array | undefined)[];
  type: number | undefined;
  /** Fragments that came. */
  count: number;
  /** Of how many; unset before the last one came. */
  whole: number | undefined;
  octets: number;
}

export class ExpendableReceiver {
  /** By the number of the first fragment. */
  readonly #messages = new Map<number, Message>();
  /** One above the highest that came. */
  #next = 0;
  #said = 0;
  #sayAt: Instant | undefined;
  /** Messages that were given up. */
  #incomplete = 0;

  /** The message that is whole with this fragment. */
  receive(fragment: Fragment, now: Instant): BusMessage | undefined {
    const { number, place, type, isLast, octets } = fragment;
    // Of a row that was given up: a number far behind would begin a message that nobody ends.
    if (number < this.#next - MOST_BEHIND) return undefined;
    if (number >= this.#next) {
      this.#next = number + 1;
      this.#forget();
    }
    this.#sayAt ??= after(now, SAY_WITHIN);
    if (type !== undefined && isLast) return { type, body: octets };
    const first = number - place;
    const message = this.#messages.get(first) ?? this.#begin(first);
    if (message.parts[place] !== undefined) return undefined;
    message.parts[place] = octets;
    message.count++;
    message.octets += octets.length;
    message.type ??= type;
    if (isLast) message.whole = place + 1;
    if (message.octets <= MAX_EXPENDABLE_OCTETS) return this.#take(first, message);
    this.#giveUp(first);
    return undefined;
  }

  /** What to tell the sender, once that is due. */
  answer(now: Instant): Uint8Array | undefined {
    const isDue = this.#next - this.#said >= SAY_EVERY;
    if (this.#sayAt === undefined || (!isDue && now < this.#sayAt)) return undefined;
    this.#said = this.#next;
    this.#sayAt = undefined;
    return encodeSeen({ next: this.#next });
  }

  nextDeadline(now: Instant): Instant | undefined {
    return this.#next - this.#said >= SAY_EVERY ? now : this.#sayAt;
  }

  /** Messages given up since the last call. */
  takeIncomplete(): number {
    const count = this.#incomplete;
    this.#incomplete = 0;
    return count;
  }

  /** Octets of messages that are not whole. */
  get octets(): number {
    return [...this.#messages.values()].reduce((sum, { octets }) => sum + octets, 0);
  }

  #begin(first: number): Message {
    const [oldest] = this.#messages.keys();
    if (this.#messages.size === MOST_MESSAGES && oldest !== undefined) this.#giveUp(oldest);
    const message = { parts: [], type: undefined, count: 0, whole: undefined, octets: 0 };
    this.#messages.set(first, message);
    return message;
  }

  #take(first: number, { type, parts, count, whole }: Message): BusMessage | undefined {
    if (type === undefined || count !== whole) return undefined;
    this.#messages.delete(first);
    const present = parts.flatMap((part) => (part ? [part] : []));
    return present.length === whole ? { type, body: concatOctets(...present) } : undefined;
  }

  #forget(): void {
    for (const [first, { parts }] of this.#messages) {
      if (first + parts.length <= this.#next - MOST_BEHIND) this.#giveUp(first);
    }
  }

  #giveUp(first: number): void {
    this.#messages.delete(first);
    this.#incomplete++;
  }
}

/** Messages of which a part is missing. */
const MOST_MESSAGES = 64;

/** Fragments by which one may pass another: those of two paths, and a little time between them. */
const MOST_BEHIND = 512;
/** Fragments, and milliseconds, after which the sender is told. */
const SAY_EVERY = 32;
const SAY_WITHIN = 5;
