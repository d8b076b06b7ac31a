/**
 * The receiving half of a lane: puts pieces in order, messages together, and says what it has.
 *
 * Memory is bounded by the credit given (pieces beyond it are dropped and counted) and by the length of one
 * message. Each message is delivered once and in order; only then does `next` pass it.
 */
import { after, type Instant } from '../../wire/instant.ts';
import { concatOctets } from '../../wire/octets.ts';
import type { BusCounter } from './bus-counters.ts';
import { encodeAcknowledgement, type Lane, MAX_RANGES, type Piece } from './frame.ts';
import { type BusMessage, MAX_MESSAGE_OCTETS } from './message.ts';
import { ANSWER_DELAY } from './round-trip.ts';

interface Assembly {
  readonly type: number;
  readonly length: number;
  readonly parts: Uint8Array[];
  received: number;
}

export class LaneReceiver {
  readonly #lane: Lane;
  /** Pieces that may wait for one before them. */
  readonly #credit: number;
  readonly #pieces = new Map<number, Piece>();
  #assembly: Assembly | undefined;
  #next = 0;
  #answerAt: Instant | undefined;
  #sinceAnswer = 0;

  constructor(lane: Lane, credit: number) {
    this.#lane = lane;
    this.#credit = credit;
  }

  /** Messages that are whole and in order by it, and what of it was not taken. */
  receive(
    piece: Piece,
    now: Instant,
  ): { readonly messages: readonly BusMessage[]; readonly refused: readonly BusCounter[] } {
    const { number } = piece;
    if (number < this.#next || this.#pieces.has(number)) {
      this.#answerAt = now;
      return { messages: [], refused: ['repeated-piece'] };
    }
    if (number >= this.#next + this.#credit) return { messages: [], refused: ['beyond-credit'] };
    this.#pieces.set(number, piece);
    const messages: BusMessage[] = [];
    const refused: BusCounter[] = [];
    for (;;) {
      const next = this.#pieces.get(this.#next);
      if (!next) break;
      this.#pieces.delete(this.#next);
      this.#next++;
      const message = this.#assemble(next);
      if (typeof message === 'string') refused.push(message);
      else if (message) messages.push(message);
    }
    this.#answer(now);
    return { messages, refused };
  }

  /** Pieces and octets that wait. */
  get waiting(): { readonly pieces: number; readonly octets: number } {
    let octets = this.#assembly?.received ?? 0;
    for (const piece of this.#pieces.values()) octets += piece.octets.length;
    return { pieces: this.#pieces.size, octets };
  }

  nextDeadline(): Instant | undefined {
    return this.#answerAt;
  }

  /** The acknowledgement that is due, once. */
  answer(now: Instant): Uint8Array | undefined {
    if (this.#answerAt === undefined || now < this.#answerAt) return undefined;
    this.#answerAt = undefined;
    this.#sinceAnswer = 0;
    return encodeAcknowledgement({
      lane: this.#lane,
      next: this.#next,
      limit: this.#next + this.#credit,
      ranges: this.#ranges(),
    });
  }

  #answer(now: Instant): void {
    this.#sinceAnswer++;
    const atOnce =
      this.#lane === 0 || this.#pieces.size > 0 || this.#sinceAnswer >= PIECES_PER_ANSWER;
    if (atOnce) this.#answerAt = now;
    else this.#answerAt ??= after(now, ANSWER_DELAY);
  }

  #ranges(): readonly { readonly first: number; readonly length: number }[] {
    if (this.#pieces.size === 0) return [];
    const numbers = [...this.#pieces.keys()].sort((one, other) => one - other);
    const ranges: { first: number; length: number }[] = [];
    for (const number of numbers) {
      const last = ranges.at(-1);
      if (last && number === last.first + last.length) last.length++;
      else if (ranges.length === MAX_RANGES) break;
      else ranges.push({ first: number, length: 1 });
    }
    return ranges;
  }

  /** The message that the piece completes, or why what it belongs to is not delivered. */
  #assemble(piece: Piece): BusMessage | BusCounter | undefined {
    const broken = this.#assembly !== undefined && piece.opens !== undefined;
    if (piece.opens) {
      const { type, length } = piece.opens;
      this.#assembly = undefined;
      if (length > MAX_MESSAGE_OCTETS) return 'oversized-message';
      this.#assembly = { type, length, parts: [], received: 0 };
    }
    const assembly = this.#assembly;
    // Pieces of a message that was refused at its first one.
    if (!assembly) return undefined;
    assembly.parts.push(piece.octets);
    assembly.received += piece.octets.length;
    const wrong = piece.isLast
      ? assembly.received !== assembly.length
      : assembly.received >= assembly.length;
    if (wrong) {
      this.#assembly = undefined;
      return 'malformed-frame';
    }
    if (!piece.isLast) return broken ? 'malformed-frame' : undefined;
    this.#assembly = undefined;
    const [only] = assembly.parts;
    const body = assembly.parts.length === 1 && only ? only : concatOctets(...assembly.parts);
    return { type: assembly.type, body };
  }
}

/** Acknowledgements of bulk messages are put together. */
const PIECES_PER_ANSWER = 8;
