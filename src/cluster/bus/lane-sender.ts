/**
 * The sending half of a lane: numbered pieces, repeated until they are acknowledged.
 *
 * Bounded in messages and octets: `queue` answers false when full, and nothing is ever dropped silently.
 * A message counts as acknowledged when every piece was given to whom it is for on the other side, not when
 * it merely arrived there: what waits behind a gap would be lost with us.
 */
import type { Instant } from '../../wire/instant.ts';
import { MAX_DATAGRAM_OCTETS } from './datagram.ts';
import {
  type Acknowledgement,
  encodePiece,
  Lane,
  OPENING_OVERHEAD,
  PIECE_OVERHEAD,
} from './frame.ts';
import type { BusMessage } from './message.ts';
import type { RoundTrip } from './round-trip.ts';

export interface LaneLimits {
  /** Messages and octets that wait or are not acknowledged. */
  readonly messages: number;
  readonly octets: number;
}

/** A message with what its sender wants to be told it by. */
export interface TaggedMessage<Tag> {
  readonly message: BusMessage;
  readonly tag: Tag;
}

interface Flight {
  readonly number: number;
  readonly frame: Uint8Array;
  readonly firstSentAt: Instant;
  sentAt: Instant;
  tries: number;
}

export class LaneSender<Tag> {
  readonly #lane: Lane;
  readonly #limits: LaneLimits;
  readonly #roundTrip: RoundTrip;
  /** Not yet cut into pieces; the first one from `#offset` on. */
  #waiting: TaggedMessage<Tag>[] = [];
  #offset = 0;
  /** By number, which is also the order of insertion. */
  readonly #flights = new Map<number, Flight>();
  /** Wholly cut, not acknowledged: with the number of the last piece. */
  #cut: { readonly last: number; readonly octets: number; readonly tag: Tag }[] = [];
  #octets = 0;
  #number = 0;
  #limit = FIRST_LIMIT;
  #window = FIRST_WINDOW;
  #threshold = Number.POSITIVE_INFINITY;
  #lastLoss: Instant | undefined;
  #repeats: Flight[] = [];
  /** When the first flights go out again, if nothing is heard. */
  #repeatAt: Instant | undefined;
  /** Rows of repetitions since anything was heard: each waits twice as long as the one before. */
  #unheard = 0;
  /** Octets of frames on their way. */
  #flying = 0;
  /** Rows of losses since anything came through at the first try: a sign that a path is gone. */
  #fruitless = 0;

  constructor(lane: Lane, limits: LaneLimits, roundTrip: RoundTrip) {
    this.#lane = lane;
    this.#limits = limits;
    this.#roundTrip = roundTrip;
  }

  /** Whether there was room for the message. */
  queue(tagged: TaggedMessage<Tag>): boolean {
    const octets = tagged.message.body.length;
    const messages = this.#waiting.length + this.#cut.length;
    if (messages >= this.#limits.messages || this.#octets + octets > this.#limits.octets) {
      return false;
    }
    this.#octets += octets;
    this.#waiting.push(tagged);
    return true;
  }

  get unacknowledged(): number {
    return this.#waiting.length + this.#cut.length;
  }

  get octets(): number {
    return this.#octets;
  }

  get fruitless(): number {
    return this.#fruitless;
  }

  /** Whether `next` would give a frame, if there were room for it. */
  isReady(now: Instant): boolean {
    this.#expire(now);
    return this.#repeats.length > 0 || this.#mayCut();
  }

  nextDeadline(): Instant | undefined {
    return this.#repeatAt;
  }

  /** The next frame that fits into `room` octets; repetitions first. */
  next(
    room: number,
    now: Instant,
  ): { readonly frame: Uint8Array; readonly repeated: boolean } | undefined {
    this.#expire(now);
    const repeat = this.#repeats[0];
    if (repeat !== undefined) {
      if (repeat.frame.length > room) return undefined;
      this.#repeats.shift();
      repeat.sentAt = now;
      repeat.tries++;
      this.#await(now);
      return { frame: repeat.frame, repeated: true };
    }
    if (!this.#mayCut()) return undefined;
    const frame = this.#cutPiece(room, now);
    return frame && { frame, repeated: false };
  }

  /** Tags of the messages that are acknowledged by it, in order. */
  acknowledge(ack: Acknowledgement, now: Instant): readonly Tag[] {
    this.#limit = Math.max(this.#limit, ack.limit);
    const freed = this.#free(ack);
    if (freed.length > 0) {
      for (const { frame } of freed) this.#flying -= frame.length;
      this.#repeats = this.#repeats.filter(({ number }) => this.#flights.has(number));
      this.#grow(freed.reduce((sum, { frame }) => sum + frame.length, 0));
      this.#unheard = 0;
      this.#findLost(freed, now);
      this.#repeatAt = undefined;
      if (this.#flights.size > 0) this.#await(now);
    }
    const newest = freed.findLast(({ tries }) => tries === 1);
    if (newest) {
      this.#fruitless = 0;
      this.#roundTrip.measured(now - newest.sentAt);
    }
    return this.#acknowledged(ack.next);
  }

  /** Empties the lane: the peer that was is gone. */
  abandon(): readonly Tag[] {
    const tags = [...this.#cut.map(({ tag }) => tag), ...this.#waiting.map(({ tag }) => tag)];
    this.#waiting = [];
    this.#cut = [];
    this.#flights.clear();
    this.#flying = 0;
    this.#repeats = [];
    this.#octets = 0;
    this.#repeatAt = undefined;
    return tags;
  }

  #acknowledged(next: number): readonly Tag[] {
    // What was never sent cannot be acknowledged, whatever the peer says.
    const count = this.#cut.findIndex(({ last }) => last >= next);
    const done = this.#cut.splice(0, count < 0 ? this.#cut.length : count);
    for (const { octets } of done) this.#octets -= octets;
    return done.map(({ tag }) => tag);
  }

  #mayCut(): boolean {
    return this.#waiting.length > 0 && this.#number < this.#limit && this.#flying < this.#window;
  }

  #cutPiece(room: number, now: Instant): Uint8Array | undefined {
    const first = this.#waiting[0];
    if (!first) return undefined;
    const { type, body } = first.message;
    const overhead = PIECE_OVERHEAD + (this.#offset === 0 ? OPENING_OVERHEAD : 0);
    const left = body.length - this.#offset;
    const space = room - overhead;
    if (space < left && space < SMALLEST_PIECE) return undefined;
    const end = Math.min(this.#offset + space, body.length);
    const frame = encodePiece({
      lane: this.#lane,
      number: this.#number,
      opens: this.#offset === 0 ? { type, length: body.length } : undefined,
      isLast: end === body.length,
      octets: body.subarray(this.#offset, end),
    });
    const flight = { number: this.#number, frame, firstSentAt: now, sentAt: now, tries: 1 };
    this.#flights.set(flight.number, flight);
    this.#flying += frame.length;
    this.#await(now);
    this.#offset = end;
    if (end === body.length) {
      this.#waiting.shift();
      this.#offset = 0;
      this.#cut.push({ last: this.#number, octets: body.length, tag: first.tag });
    }
    this.#number++;
    return frame;
  }

  /** The flights that the acknowledgement names are over. */
  #free({ next, ranges }: Acknowledgement): readonly Flight[] {
    const freed: Flight[] = [];
    const free = (number: number): void => {
      const flight = this.#flights.get(number);
      if (!flight) return;
      this.#flights.delete(number);
      freed.push(flight);
    };
    for (const number of this.#flights.keys()) {
      if (number >= next) break;
      free(number);
    }
    for (const { first, length } of ranges) {
      for (let number = first; number < first + Math.min(length, MOST_RANGE); number++)
        free(number);
    }
    return freed;
  }

  /** What was sent some time before something that arrived will not arrive any more. */
  #findLost(freed: readonly Flight[], now: Instant): void {
    // Of one that went out twice nobody knows which arrived: perhaps the first, and late.
    const newest = Math.max(...freed.map(({ firstSentAt }) => firstSentAt));
    const patience = Math.max((this.#roundTrip.smoothed ?? 0) / 2, REORDERING);
    const repeating = new Set(this.#repeats);
    const lost: Flight[] = [];
    for (const flight of this.#flights.values()) {
      const isOverdue = flight.sentAt < newest && now - flight.sentAt > patience;
      if (isOverdue && !repeating.has(flight)) lost.push(flight);
    }
    this.#repeat(lost, now);
  }

  #await(now: Instant): void {
    this.#repeatAt ??= this.#roundTrip.repeatAt(now, this.#unheard + 1, LONGEST_WAITS[this.#lane]);
  }

  /** Nothing was heard for long: the first flights go out again, and ask for an answer. */
  #expire(now: Instant): void {
    if (this.#repeatAt === undefined || now < this.#repeatAt) return;
    this.#unheard++;
    this.#repeatAt = this.#roundTrip.repeatAt(now, this.#unheard + 1, LONGEST_WAITS[this.#lane]);
    const repeating = new Set(this.#repeats);
    const lost: Flight[] = [];
    for (const flight of this.#flights.values()) {
      if (lost.length === MOST_UNHEARD) break;
      if (!repeating.has(flight)) lost.push(flight);
    }
    this.#repeat(lost, now);
  }

  #repeat(lost: readonly Flight[], now: Instant): void {
    if (lost.length === 0) return;
    this.#repeats.push(...lost);
    if (lost.some(({ tries }) => tries === 1)) this.#fruitless++;
    this.#shrink(now);
  }

  #grow(freed: number): void {
    const step =
      this.#window < this.#threshold ? freed : (freed * MAX_DATAGRAM_OCTETS) / this.#window;
    this.#window = Math.min(this.#window + step, MOST_WINDOW);
  }

  /** Halves what may be on its way, once for each round trip. */
  #shrink(now: Instant): void {
    const pause = this.#roundTrip.smoothed ?? 0;
    if (this.#lastLoss !== undefined && now - this.#lastLoss < pause) return;
    this.#lastLoss = now;
    this.#threshold = Math.max(this.#window / 2, LEAST_WINDOW);
    this.#window = this.#threshold;
  }
}

/**
 * Milliseconds before the first repetition. Bulk is repeated by what acknowledgements show to be missing; a
 * receiver that is put aside for a while is not sent all of it twice.
 */
const LONGEST_WAITS: Readonly<Record<Lane, number>> = { [Lane.URGENT]: 20, [Lane.BULK]: 100 };
/** Pieces a receiver takes before it has said so. */
const FIRST_LIMIT = 512;
/** Octets on their way: what a socket holds whose owner is put aside for a moment. */
const FIRST_WINDOW = 128_000;
const LEAST_WINDOW = 128_000;
const MOST_WINDOW = 256_000;
/** Flights that go out again when nothing is heard: the answer says what else is missing. */
const MOST_UNHEARD = 16;
/** Milliseconds by which one datagram may pass another. */
const REORDERING = 2;
/** Where less of a message would fit, it waits for the next datagram. */
const SMALLEST_PIECE = 64;
/** A range is not believed beyond what can be on its way. */
const MOST_RANGE = 4096;
