/**
 * Packets that wait, in the order they came: at a trap for the SA they asked for, at an SA of a cluster for
 * sequence numbers that another node acknowledges.
 *
 * Bounded in number and octets; memory is there only while packets are. Not the packet path of an
 * SA: a handful of packets in its life.
 */
import { BATCH_SIZE, type Batch, emptyRows, VNET_HEADER_OCTETS, WORDS, Word } from './batch.ts';

/** No more than go into one batch when they are released. */
export const HELD_PACKETS = BATCH_SIZE;
export const HELD_OCTETS = 96 * 1024;

export class HeldPackets {
  readonly #packets: Uint8Array[] = [];
  #octets = 0;

  get count(): number {
    return this.#packets.length;
  }

  /** Keeps a copy of the packet at `inner` with the device's header; false when there is no room. */
  add(arena: Uint8Array, inner: number, length: number): boolean {
    if (this.#packets.length === HELD_PACKETS) return false;
    if (this.#octets + length > HELD_OCTETS) return false;
    this.#packets.push(arena.slice(inner - VNET_HEADER_OCTETS, inner + length));
    this.#octets += length;
    return true;
  }

  /** Moves all of them into the first rows of an empty batch; answers how many rows that are. */
  moveInto(batch: Batch): number {
    const packets = this.#take();
    emptyRows(batch, packets.length);
    for (const [row, packet] of packets.entries()) {
      const at = row * WORDS;
      batch.arena.set(packet, batch.words[at + Word.OFFSET]! - VNET_HEADER_OCTETS);
      batch.words[at + Word.LENGTH] = packet.length - VNET_HEADER_OCTETS;
    }
    return packets.length;
  }

  /** Forgets them; answers how many they were. */
  drop(): number {
    return this.#take().length;
  }

  #take(): readonly Uint8Array[] {
    this.#octets = 0;
    return this.#packets.splice(0);
  }
}
