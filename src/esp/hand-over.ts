/**
 * Packets that one worker has and another is to handle: the kernel chose by what it knows, the SA of
 * the packet is elsewhere (RFC 4301 §4.1: an SA has one sequence and one window, here one worker).
 *
 * Each pair of workers has a ring of its own in shared memory, with one writer and one reader. It is
 * bounded: what does not fit is a counted drop. Allocates a view per packet: this is the exception.
 */
import { type SharedCounters, WorkerCounter } from '../events/shared-counters.ts';
import { workerOfSpi } from '../ipsec/spi.ts';
import { type Batch, ORIGIN_OCTETS, WORDS, Word } from './batch.ts';

/** What a handed-over packet is: as it was received, or as it was read from the device. */
export const HandedOver = { NOTHING: 0, ARRIVAL: 1, READ: 2 } as const;

/** Octets of one ring: a few super-packets, or some hundred packets. */
const RING_OCTETS = 1 << 19;
/** Words in front of a ring: octets ever put in, octets ever taken out. */
const PUT = 0;
const TAKEN = 1;
const POSITIONS_OCTETS = 8;
/** Before each packet: octets of it, kind and traffic class; then its origin. */
const ENTRY_OCTETS = 8 + ORIGIN_OCTETS;
/** In place of the length: the next packet is at the start of the ring. */
const TURN_ROUND = -1;
/** A packet that no worker keeps is lost after so many of them had it. */
const MOST_HOPS = 4;

/** One way from a worker to another. */
export class HandOverRing {
  readonly #positions: Int32Array;
  readonly #octets: Uint8Array;
  readonly #view: DataView;

  constructor(memory: SharedArrayBuffer) {
    this.#positions = new Int32Array(memory, 0, 2);
    this.#octets = new Uint8Array(memory, POSITIONS_OCTETS);
    this.#view = new DataView(memory, POSITIONS_OCTETS);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(POSITIONS_OCTETS + RING_OCTETS);
  }

  /** Copies `length` octets in, and the origin at `originAt`; false when there is no room. */
  put(
    kind: number,
    trafficClass: number,
    packet: { readonly arena: Uint8Array; readonly offset: number; readonly length: number },
    origin: { readonly origins: Uint8Array; readonly at: number },
  ): boolean {
    const put = Atomics.load(this.#positions, PUT);
    const used = (put - Atomics.load(this.#positions, TAKEN)) >>> 0;
    const needed = entryOctets(packet.length);
    const at = put & (RING_OCTETS - 1);
    const skipped = at + needed > RING_OCTETS ? RING_OCTETS - at : 0;
    if (used + skipped + needed > RING_OCTETS) return false;
    if (skipped > 0) this.#view.setInt32(at, TURN_ROUND);
    const start = skipped > 0 ? 0 : at;
    this.#view.setInt32(start, packet.length);
    this.#view.setUint8(start + 4, kind);
    this.#view.setUint8(start + 5, trafficClass);
    this.#octets.set(origin.origins.subarray(origin.at, origin.at + ORIGIN_OCTETS), start + 8);
    const { arena, offset, length } = packet;
    this.#octets.set(arena.subarray(offset, offset + length), start + ENTRY_OCTETS);
    Atomics.store(this.#positions, PUT, put + skipped + needed);
    return true;
  }

  /** What the next packet is, HandedOver.NOTHING when there is none. */
  get kind(): number {
    const at = this.#next();
    return at < 0 ? HandedOver.NOTHING : this.#view.getUint8(at + 4);
  }

  /**
   * Moves packets of one kind into empty rows, `front` octets of each in front of where its row
   * starts; answers how many.
   */
  takeInto(batch: Batch, kind: number, front: number): number {
    let row = 0;
    for (; row < batch.size; row++) {
      const start = this.#next();
      if (start < 0 || this.#view.getUint8(start + 4) !== kind) break;
      const length = this.#view.getInt32(start);
      const from = start + ENTRY_OCTETS;
      const at = row * WORDS;
      batch.arena.set(
        this.#octets.subarray(from, from + length),
        batch.words[at + Word.OFFSET]! - front,
      );
      batch.origins.set(this.#octets.subarray(start + 8, from), row * ORIGIN_OCTETS);
      batch.words[at + Word.LENGTH] = length - front;
      batch.words[at + Word.TOS] = this.#view.getUint8(start + 5);
      Atomics.add(this.#positions, TAKEN, entryOctets(length));
    }
    return row;
  }

  /** Where the next packet starts, or -1. */
  #next(): number {
    for (;;) {
      const taken = Atomics.load(this.#positions, TAKEN);
      if (taken === Atomics.load(this.#positions, PUT)) return -1;
      const at = taken & (RING_OCTETS - 1);
      if (this.#view.getInt32(at) !== TURN_ROUND) return at;
      Atomics.add(this.#positions, TAKEN, RING_OCTETS - at);
    }
  }
}

function entryOctets(length: number): number {
  return (ENTRY_OCTETS + length + 7) & -8;
}

export interface HandOverParts {
  /** The number of this worker. */
  readonly worker: number;
  /** By worker: the ring to it and the ring from it; at its own number there is none. */
  readonly rings: readonly (RingPair | undefined)[];
  readonly counters: Pick<SharedCounters, 'work'>;
  /** Octets in front of what is read from the device. */
  readonly front: number;
  /** Something was put into the ring to that worker. */
  readonly wake: (worker: number) => void;
}

/** Both ways between two workers. */
export interface RingPair {
  readonly to: HandOverRing;
  readonly from: HandOverRing;
}

/** One worker's ends of the rings. */
export class HandOver {
  readonly #parts: HandOverParts;
  /** By worker: something waits that it was not told of. */
  readonly #untold: Uint8Array;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
    this.#untold = new Uint8Array(parts.rings.length);
  }

  /** Whether the SA of an inbound SPI would be another worker's. */
  concerns(spi: number): boolean {
    return workerOfSpi(spi, this.#parts.rings.length) !== this.#parts.worker;
  }

  /** Gives the ESP packet of a row, with its origin among the `arrivals`; false when that is full. */
  giveArrival(spi: number, batch: Batch, at: number, arrivals: Batch): boolean {
    const { words, arena } = batch;
    const packet = { arena, offset: words[at + Word.OFFSET]!, length: words[at + Word.LENGTH]! };
    const origin = { origins: arrivals.origins, at: words[at + Word.ORIGIN]! * ORIGIN_OCTETS };
    const worker = workerOfSpi(spi, this.#parts.rings.length);
    return this.#give(worker, HandedOver.ARRIVAL, words[at + Word.TOS]!, packet, origin);
  }

  /** Gives a packet as it was read; false when nobody takes it. */
  giveRead(worker: number, reads: Batch, at: number): boolean {
    const { words, arena, origins } = reads;
    const hops = words[at + Word.TOS]! + 1;
    if (hops > MOST_HOPS) return false;
    const { front } = this.#parts;
    const offset = words[at + Word.OFFSET]! - front;
    const packet = { arena, offset, length: words[at + Word.LENGTH]! + front };
    return this.#give(worker, HandedOver.READ, hops, packet, { origins, at: 0 });
  }

  /** Wakes those that were given something since the last time. */
  tell(): void {
    for (let worker = 0; worker < this.#untold.length; worker++) {
      if (this.#untold[worker] === 0) continue;
      this.#untold[worker] = 0;
      this.#parts.wake(worker);
    }
  }

  /**
   * Moves what one other worker gave into the empty rows of the batch for its kind, and has it
   * handled; answers whether there may be more.
   */
  take(
    batches: { readonly arrivals: Batch; readonly reads: Batch },
    taker: HandOverTaker,
  ): boolean {
    let more = false;
    for (const pair of this.#parts.rings) {
      const kind = pair?.from.kind ?? HandedOver.NOTHING;
      if (pair === undefined || kind === HandedOver.NOTHING) continue;
      const arrived = kind === HandedOver.ARRIVAL;
      const batch = arrived ? batches.arrivals : batches.reads;
      const count = pair.from.takeInto(batch, kind, arrived ? 0 : this.#parts.front);
      this.#parts.counters.work[WorkerCounter.TAKEN_OVER]! += count;
      if (arrived) taker.received(count);
      else taker.read(count);
      more = true;
    }
    return more;
  }

  #give(
    worker: number,
    kind: number,
    trafficClass: number,
    packet: { readonly arena: Uint8Array; readonly offset: number; readonly length: number },
    origin: { readonly origins: Uint8Array; readonly at: number },
  ): boolean {
    const ring = this.#parts.rings[worker]?.to;
    if (ring === undefined || !ring.put(kind, trafficClass, packet, origin)) return false;
    this.#untold[worker] = 1;
    this.#parts.counters.work[WorkerCounter.HANDED_OVER]!++;
    return true;
  }
}

/** Handles the first `count` rows of the batch. */
export interface HandOverTaker {
  readonly received: (count: number) => void;
  readonly read: (count: number) => void;
}
