/**
 * Packets that are here before their SA: a peer may send on a new Child SA as soon as its answer has
 * left, and packets overtake the message that the SA is made of (RFC 7296 §2.8).
 *
 * Only SPIs that we offered a peer are waited for, a bounded number of packets each; once the SA is
 * installed they go the usual way, checks and all.
 */
import type { Instant } from '../wire/instant.ts';
import { type Batch, ORIGIN_OCTETS, STATUS_OK, WORDS, Word } from './batch.ts';

/** SPIs waited for; of more, the oldest are given up. */
const MAX_SPIS = 1024;
/** What a peer in a hurry sends while a busy machine gets round to the answer. */
const MAX_PACKETS = 256;
/** Octets held for all SPIs together. */
const MAX_OCTETS = 512 * 1024;
/** What is older is not worth delivering. */
const MAX_AGE_MS = 1000;

interface HeldPacket {
  readonly octets: Uint8Array;
  readonly origin: Uint8Array;
  readonly trafficClass: number;
  readonly at: Instant;
}

export class ExpectedSpis {
  readonly #arrivals: Batch;
  readonly #discarded: (packets: number) => void;
  readonly #held = new Map<number, HeldPacket[]>();
  #octets = 0;

  /** `arrivals` have the origins of all packets; `discarded` hears of those that waited in vain. */
  constructor(arrivals: Batch, discarded: (packets: number) => void) {
    this.#arrivals = arrivals;
    this.#discarded = discarded;
  }

  /** How many SPIs are waited for: zero costs a packet nothing. */
  get size(): number {
    return this.#held.size;
  }

  expect(spi: number): void {
    if (this.#held.has(spi)) return;
    this.#held.set(spi, []);
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= MAX_SPIS) break;
      this.#forget(oldest);
    }
  }

  /**
   * Keeps the packet of the row that starts at word `at`, with the origin of its arrival; false where
   * nobody waits for its SPI.
   */
  hold(spi: number, batch: Batch, at: number, now: Instant): boolean {
    const packets = this.#held.get(spi);
    const { arena, words } = batch;
    const { origins } = this.#arrivals;
    const length = words[at + Word.LENGTH]!;
    if (packets === undefined || packets.length >= MAX_PACKETS) return false;
    if (this.#octets + length > MAX_OCTETS) return false;
    const offset = words[at + Word.OFFSET]!;
    const origin = words[at + Word.ORIGIN]! * ORIGIN_OCTETS;
    packets.push({
      octets: Uint8Array.from(arena.subarray(offset, offset + length)),
      origin: Uint8Array.from(origins.subarray(origin, origin + ORIGIN_OCTETS)),
      trafficClass: words[at + Word.TOS]!,
      at: now,
    });
    this.#octets += length;
    return true;
  }

  /**
   * The SA is there: puts what waits for it into the empty rows of the arrivals; answers how many, 0
   * when nothing is left.
   */
  release(spi: number, now: Instant): number {
    const batch = this.#arrivals;
    const packets = this.#held.get(spi) ?? [];
    const fresh = packets.findIndex(({ at }) => now - at <= MAX_AGE_MS);
    this.#discard(packets.splice(0, fresh < 0 ? packets.length : fresh));
    const ready = this.#take(packets.splice(0, batch.size));
    if (packets.length === 0) this.#held.delete(spi);
    for (const [row, { octets, origin, trafficClass }] of ready.entries()) {
      const at = row * WORDS;
      const offset = batch.words[at + Word.OFFSET]!;
      batch.arena.set(octets, offset);
      batch.origins.set(origin, row * ORIGIN_OCTETS);
      batch.words[at + Word.LENGTH] = octets.length;
      batch.words[at + Word.TOS] = trafficClass;
      batch.words[at + Word.STATUS] = STATUS_OK;
    }
    return ready.length;
  }

  #forget(spi: number): void {
    this.#discard(this.#held.get(spi) ?? []);
    this.#held.delete(spi);
  }

  #discard(packets: readonly HeldPacket[]): void {
    this.#discarded(this.#take(packets).length);
  }

  /** They are held no more. */
  #take(packets: readonly HeldPacket[]): readonly HeldPacket[] {
    for (const { octets } of packets) this.#octets -= octets.length;
    return packets;
  }
}
