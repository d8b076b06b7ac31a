/**
 * When SAs send dummy packets (RFC 4303 §2.6), which hide how much traffic there is and when.
 *
 * The time between two is drawn anew each time, half to one and a half of the mean; what a busy loop
 * missed is made up for a little. Holds no clock; SAs that send none cost nothing.
 */
import type { RandomBytes } from '../crypto/random.ts';
import { writeU8, writeU16 } from '../wire/field.ts';
import { after, type Instant } from '../wire/instant.ts';
import { IPV4_HEADER, Ipv4Field } from '../wire/ipv4.ts';
import type { EspSa } from './esp-sa.ts';

/** An SA, and how many octets the inside of its dummy packet has. */
export interface DummyPacket {
  readonly sa: EspSa;
  readonly octets: number;
}

export class DummyTraffic {
  readonly #random: RandomBytes;
  readonly #dueAt = new Map<EspSa, Instant>();
  #next: Instant | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  add(sa: EspSa, now: Instant): void {
    if (sa.parameters.dummyPackets === 0) return;
    this.#dueAt.set(sa, after(now, this.#interval(sa)));
    this.#schedule();
  }

  remove(sa: EspSa): void {
    if (this.#dueAt.delete(sa)) this.#schedule();
  }

  nextDeadline(): Instant | undefined {
    return this.#next;
  }

  /** What is to be sent now, at most `most`; the rest is not made up for. */
  due(now: Instant, most: number): readonly DummyPacket[] {
    if (this.#next === undefined || now < this.#next) return [];
    const packets: DummyPacket[] = [];
    for (const [sa, at] of this.#dueAt) {
      let due = at;
      for (let burst = 0; due <= now && burst < MOST_MISSED; burst++) {
        // A move or a rekey: the SA that sends now has its own.
        if (sa.outbound === 'now' && packets.length < most) packets.push(this.#packet(sa));
        due = after(due, this.#interval(sa));
      }
      this.#dueAt.set(sa, due <= now ? after(now, this.#interval(sa)) : due);
    }
    this.#schedule();
    return packets;
  }

  // RFC 4303 §2.7: with TFC padding they are as long as all others; otherwise as any may be.
  #packet(sa: EspSa): DummyPacket {
    const { hosts, innerMtu: most, tfcOctets } = sa;
    // Outside of tunnels a packet's header is not inside, and a dummy packet has none.
    const innerMtu = most - (hosts?.headerLength ?? 0);
    const any = IPV4_HEADER + Math.floor(this.#chance() * (innerMtu + 1 - IPV4_HEADER));
    return { sa, octets: Math.max(IPV4_HEADER, tfcOctets > 0 ? tfcOctets : any) };
  }

  #interval({ parameters: { dummyPackets } }: EspSa): number {
    return (1000 / dummyPackets) * (0.5 + this.#chance());
  }

  /** From 0 up to 1. */
  #chance(): number {
    const [high = 0, low = 0] = this.#random(2);
    return (high * 256 + low) / 65_536;
  }

  #schedule(): void {
    this.#next = undefined;
    for (const at of this.#dueAt.values()) {
      if (this.#next === undefined || at < this.#next) this.#next = at;
    }
  }
}

/** Dummy packets of one SA at once. */
const MOST_MISSED = 16;

/**
 * RFC 4303 §2.6: what is inside means nothing to anyone. A header in front of zeros, of a packet with no
 * hop left, as there are receivers that read one before they look at Next Header (strongSwan).
 */
export function writeDummy(arena: Uint8Array, at: number, octets: number): void {
  arena.fill(0, at, at + octets);
  writeU8(arena, at + Ipv4Field.VERSION_IHL, 0x45);
  writeU16(arena, at + Ipv4Field.TOTAL_LENGTH, octets);
}
