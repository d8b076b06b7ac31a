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
const MAX_PACKETS = 32;
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
  readonly #held = new Map<number, HeldPacket[]>();
  #octets = 0;

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

  /** Keeps the packet of the row that starts at word `at`; false where nobody waits for its SPI. */
  hold(spi: number, batch: Batch, at: number, now: Instant): boolean {
    const packets = this.#held.get(spi);
    const { arena, words, origins } = batch;
    const length = words[at + Word.LENGTH]!;
    if (packets === undefined || packets.length >= MAX_PACKETS) return false;
    if (this.#octets + length > MAX_OCTETS) return false;
    const offset = words[at + Word.OFFSET]!;
    const origin = (at / WORDS) * ORIGIN_OCTETS;
    packets.push({
      octets: Uint8Array.from(arena.subarray(offset, offset + length)),
      origin: Uint8Array.from(origins.subarray(origin, origin + ORIGIN_OCTETS)),
      trafficClass: words[at + Word.TOS]!,
      at: now,
    });
    this.#octets += length;
    return true;
  }

  /** The SA is there: puts what waits for it into the empty rows of the batch; answers how many. */
  release(spi: number, batch: Batch, now: Instant): number {
    const packets = this.#held.get(spi) ?? [];
    this.#forget(spi);
    const fresh = packets.filter(({ at }) => now - at <= MAX_AGE_MS);
    for (const [row, { octets, origin, trafficClass }] of fresh.entries()) {
      const at = row * WORDS;
      const offset = batch.words[at + Word.OFFSET]!;
      batch.arena.set(octets, offset);
      batch.origins.set(origin, row * ORIGIN_OCTETS);
      batch.words[at + Word.LENGTH] = octets.length;
      batch.words[at + Word.TOS] = trafficClass;
      batch.words[at + Word.STATUS] = STATUS_OK;
    }
    return fresh.length;
  }

  #forget(spi: number): void {
    for (const { octets } of this.#held.get(spi) ?? []) this.#octets -= octets.length;
    this.#held.delete(spi);
  }
}
