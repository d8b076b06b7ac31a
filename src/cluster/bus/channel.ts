/**
 * What two incarnations of two nodes say to one another: two reliable lanes, messages that overtake, and those that
 * nobody repeats.
 *
 * `fill` packs what is to be sent into plaintexts of one datagram each: acknowledgements, then messages that
 * overtake, then the urgent lane, then the bulk lane as far as its window goes, then what is expendable. A snapshot on
 * the bulk lane never delays a record on the urgent one. Knows neither keys nor paths.
 */
import { earliest, type Instant } from '../../wire/instant.ts';
import { concatOctets } from '../../wire/octets.ts';
import type { BusCounter } from './bus-counters.ts';
import { MAX_PLAINTEXT_OCTETS } from './datagram.ts';
import { ExpendableReceiver } from './expendable-receiver.ts';
import { ExpendableSender, MAX_EXPENDABLE_OCTETS } from './expendable-sender.ts';
import {
  decodeFrames,
  encodeOvertaking,
  type Frame,
  LANES,
  Lane,
  OVERTAKING_OVERHEAD,
} from './frame.ts';
import { LaneReceiver } from './lane-receiver.ts';
import { type LaneLimits, LaneSender } from './lane-sender.ts';
import { type BusMessage, MAX_MESSAGE_OCTETS } from './message.ts';
import { RoundTrip } from './round-trip.ts';

/** How a message travels; what is expendable is lost where it does not get through at once. */
export type Delivery = 'urgent' | 'bulk' | 'overtaking' | 'expendable';

export type ChannelEvent<Tag> =
  | { readonly kind: 'message'; readonly message: BusMessage; readonly delivery: Delivery }
  | { readonly kind: 'acknowledged'; readonly tag: Tag };

/** One datagram's plaintext. What is sent for the first time and is bulk or expendable goes over one path, all else over every one. */
export interface Payload {
  readonly plaintext: Uint8Array;
  readonly everyPath: boolean;
}

/** The longest body of an overtaking message: it is not cut. */
export const MAX_OVERTAKING_OCTETS = MAX_PLAINTEXT_OCTETS - OVERTAKING_OVERHEAD;

export class Channel<Tag> {
  readonly #roundTrip = new RoundTrip();
  readonly #senders: readonly LaneSender<Tag>[];
  readonly #receivers: readonly LaneReceiver[];
  readonly #expendable = { sender: new ExpendableSender(), receiver: new ExpendableReceiver() };
  readonly #count: (name: BusCounter) => void;
  #overtaking: Uint8Array[] = [];

  constructor(count: (name: BusCounter) => void, limits: Partial<Record<Lane, LaneLimits>> = {}) {
    this.#count = count;
    this.#senders = LANES.map(
      (lane) => new LaneSender<Tag>(lane, limits[lane] ?? LIMITS[lane], this.#roundTrip),
    );
    this.#receivers = LANES.map((lane) => new LaneReceiver(lane, CREDIT[lane]));
  }

  /** Takes a message to send, or says why not. */
  queue(message: BusMessage, delivery: Delivery, tag: Tag): 'queued' | 'full' | 'too-large' {
    if (delivery === 'overtaking') {
      if (message.body.length > MAX_OVERTAKING_OCTETS) return 'too-large';
      // What overtakes is replaced by what comes later: the oldest goes.
      if (this.#overtaking.length === MOST_OVERTAKING) {
        this.#overtaking.shift();
        this.#count('overtaken-dropped');
      }
      this.#overtaking.push(encodeOvertaking(message));
      return 'queued';
    }
    if (delivery === 'expendable') {
      if (message.body.length > MAX_EXPENDABLE_OCTETS) return 'too-large';
      if (this.#expendable.sender.queue(message)) return 'queued';
      this.#count('expendable-dropped');
      return 'full';
    }
    if (message.body.length > MAX_MESSAGE_OCTETS) return 'too-large';
    return this.#sender(laneOf(delivery)).queue({ message, tag }) ? 'queued' : 'full';
  }

  /** Takes in what an opened datagram carries. */
  receive(plaintext: Uint8Array, now: Instant): readonly ChannelEvent<Tag>[] {
    const { frames, unknown, malformed } = decodeFrames(plaintext);
    for (let number = 0; number < unknown; number++) this.#count('unknown-frame');
    if (malformed > 0) this.#count('malformed-frame');
    const events = frames.flatMap((frame) => this.#take(frame, now));
    const given = this.#expendable.receiver.takeIncomplete();
    for (let number = 0; number < given; number++) this.#count('expendable-incomplete');
    return events;
  }

  /** The next datagram's plaintext, or undefined where nothing is due. */
  fill(now: Instant): Payload | undefined {
    const frames: Uint8Array[] = [];
    let room = MAX_PLAINTEXT_OCTETS;
    let everyPath = false;
    const add = (frame: Uint8Array): void => {
      frames.push(frame);
      room -= frame.length;
    };
    for (const receiver of this.#receivers) {
      const answer = receiver.answer(now);
      if (answer) add(answer);
    }
    const seen = this.#expendable.receiver.answer(now);
    if (seen) add(seen);
    if (frames.length > 0) everyPath = true;
    while (this.#overtaking[0] && this.#overtaking[0].length <= room) {
      add(this.#overtaking[0]);
      this.#overtaking.shift();
      everyPath = true;
    }
    // One that does not fit is first in the next datagram; nothing slips past it.
    if (this.#overtaking.length === 0) {
      for (const lane of LANES) {
        const sender = this.#sender(lane);
        for (let next = sender.next(room, now); next; next = sender.next(room, now)) {
          add(next.frame);
          everyPath ||= lane === Lane.URGENT || next.repeated;
        }
      }
      const { sender } = this.#expendable;
      for (let next = sender.next(room, now); next; next = sender.next(room, now)) add(next);
    }
    return frames.length > 0 ? { plaintext: concatOctets(...frames), everyPath } : undefined;
  }

  /** At once where something can be sent now. */
  nextDeadline(now: Instant): Instant | undefined {
    if (this.#overtaking.length > 0) return now;
    const { sender, receiver } = this.#expendable;
    const ready = this.#senders.some((one) => one.isReady(now));
    if (ready || sender.isReady(now)) return now;
    const [urgent, bulk] = this.#senders;
    const [first, second] = this.#receivers;
    return earliest(
      urgent?.nextDeadline(),
      bulk?.nextDeadline(),
      first?.nextDeadline(),
      second?.nextDeadline(),
      sender.nextDeadline(),
      receiver.nextDeadline(now),
    );
  }

  /** Messages that nobody acknowledged, and nobody will. */
  abandon(): readonly Tag[] {
    this.#overtaking = [];
    this.#expendable.sender.abandon();
    return this.#senders.flatMap((sender) => sender.abandon());
  }

  /** Rows of what goes over one path since any of it came through. */
  get fruitless(): number {
    return this.#sender(Lane.BULK).fruitless + this.#expendable.sender.fruitless;
  }

  /** For metrics, and for tests of the bounds. */
  get load(): {
    readonly unacknowledged: number;
    readonly sendOctets: number;
    /** Those of them that wait in the bulk lane. */
    readonly bulkOctets: number;
    readonly receiveOctets: number;
    readonly roundTrip: number | undefined;
  } {
    const { sender, receiver } = this.#expendable;
    const sum = (numbers: readonly number[]): number => numbers.reduce((one, two) => one + two, 0);
    return {
      unacknowledged: sum(this.#senders.map(({ unacknowledged }) => unacknowledged)),
      sendOctets: sum(this.#senders.map(({ octets }) => octets)) + sender.octets,
      bulkOctets: this.#sender(Lane.BULK).octets,
      receiveOctets: sum(this.#receivers.map(({ waiting }) => waiting.octets)) + receiver.octets,
      roundTrip: this.#roundTrip.smoothed,
    };
  }

  #take(frame: Frame, now: Instant): readonly ChannelEvent<Tag>[] {
    switch (frame.kind) {
      case 'overtaking':
        return [{ kind: 'message', message: frame.message, delivery: 'overtaking' }];
      case 'acknowledgement': {
        const tags = this.#sender(frame.lane).acknowledge(frame, now);
        return tags.map((tag) => ({ kind: 'acknowledged', tag }));
      }
      case 'fragment': {
        const message = this.#expendable.receiver.receive(frame, now);
        return message ? [{ kind: 'message', message, delivery: 'expendable' }] : [];
      }
      case 'seen':
        this.#expendable.sender.seen(frame.next, now);
        return [];
      case 'piece': {
        const delivery = frame.lane === Lane.URGENT ? 'urgent' : 'bulk';
        const { messages, refused } = this.#receiver(frame.lane).receive(frame, now);
        for (const name of refused) this.#count(name);
        return messages.map((message) => ({ kind: 'message', message, delivery }));
      }
      default:
        return frame satisfies never;
    }
  }

  #sender(lane: Lane): LaneSender<Tag> {
    return at(this.#senders, lane);
  }

  #receiver(lane: Lane): LaneReceiver {
    return at(this.#receivers, lane);
  }
}

function laneOf(delivery: 'urgent' | 'bulk'): Lane {
  return delivery === 'urgent' ? Lane.URGENT : Lane.BULK;
}

function at<Thing>(things: readonly Thing[], lane: Lane): Thing {
  const thing = things[lane];
  if (thing === undefined) throw new RangeError(`lane ${lane}`);
  return thing;
}

const MOST_OVERTAKING = 64;
const LIMITS: Readonly<Record<Lane, LaneLimits>> = {
  [Lane.URGENT]: { messages: 4096, octets: 4 << 20 },
  [Lane.BULK]: { messages: 16_384, octets: 8 << 20 },
};
const CREDIT: Readonly<Record<Lane, number>> = { [Lane.URGENT]: 1024, [Lane.BULK]: 512 };
