/**
 * Teaches the kernel which queue of the TUN device the packets of a flow are to be read from.
 *
 * Linux remembers by which queue a packet of a flow was last written, and gives the answers to that one
 * (tun.c, automatic queue selection). What flows both ways finds the worker of its SA by that alone. A
 * flow that nothing answers would be read by any worker, and handed over packet by packet: so the one
 * it belongs to writes a packet of it, the head without the rest, which the kernel learns from and then
 * discards (it counts it as truncated).
 *
 * Only what was handed over is looked at; allocates nothing per packet.
 */
import { readU32 } from '../wire/field.ts';
import type { Instant } from '../wire/instant.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  IPV4_HEADER,
  Ipv4Field,
  ipVersion,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4MoreFragments,
  ipv4Protocol,
} from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, ipv6NextHeader } from '../wire/ipv6.ts';
import { type Batch, createBatch, HEADROOM, VNET_HEADER_OCTETS, WORDS, Word } from './batch.ts';

/** Lessons of one batch. */
const LESSONS = 8;
const SLOT_OCTETS = 256;
/** Of a transport header: the ports and what makes it whole enough to be looked at. */
const TRANSPORT_OCTETS = 8;
/** Flows told apart, about; and how long none of those that look alike is taught again. */
const BUCKETS = 1024;
const PAUSE_MS = 200;

export class FlowLessons {
  /** Rows to write to the device. */
  readonly batch: Batch = createBatch(LESSONS, SLOT_OCTETS);
  readonly #taught = new Float64Array(BUCKETS);
  #count = 0;

  /** How many rows there are. */
  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  /** The packets in the first rows of what was read belong here. */
  learn(reads: Batch, rows: number, now: Instant): void {
    const { arena, words } = reads;
    for (let at = 0; at < rows * WORDS && this.#count < LESSONS; at += WORDS) {
      const offset = words[at + Word.OFFSET]!;
      const head = headOctets(arena, offset, words[at + Word.LENGTH]!);
      if (head === 0 || !this.#isDue(arena, offset, head, now)) continue;
      const row = this.#count++ * WORDS;
      const to = HEADROOM + (row / WORDS) * SLOT_OCTETS;
      this.batch.arena.fill(0, to - VNET_HEADER_OCTETS, to);
      for (let index = 0; index < head; index++) {
        this.batch.arena[to + index] = arena[offset + index]!;
      }
      this.batch.words[row + Word.OFFSET] = to;
      this.batch.words[row + Word.LENGTH] = head;
      this.batch.words[row + Word.DROP] = 0;
    }
  }

  /** By addresses and ports. */
  #isDue(arena: Uint8Array, offset: number, head: number, now: Instant): boolean {
    let mixed = readU32(arena, offset + head - TRANSPORT_OCTETS);
    const isIpv4 = ipVersion(arena, offset) === 4;
    const source = isIpv4 ? Ipv4Field.SOURCE : Ipv6Field.SOURCE;
    const end = isIpv4 ? IPV4_HEADER : IPV6_HEADER;
    for (let at = offset + source; at < offset + end; at += 4) {
      mixed = Math.imul(mixed ^ readU32(arena, at), 0x9e3779b1);
    }
    const bucket = (mixed ^ (mixed >>> 15)) & (BUCKETS - 1);
    if (now - this.#taught[bucket]! < PAUSE_MS) return false;
    this.#taught[bucket] = now;
    return true;
  }
}

/** Headers up to the ports; 0 where there are none, or nothing behind them that could be missing. */
function headOctets(arena: Uint8Array, offset: number, length: number): number {
  if (length < IPV4_HEADER) return 0;
  const isIpv4 = ipVersion(arena, offset) === 4;
  const header = isIpv4 ? ipv4HeaderLength(arena, offset) : IPV6_HEADER;
  const head = header + TRANSPORT_OCTETS;
  if (length <= head) return 0;
  // A fragment has no ports, or stands for those that have none.
  if (isIpv4 && (ipv4MoreFragments(arena, offset) || ipv4FragmentOffset(arena, offset) > 0))
    return 0;
  const protocol = isIpv4 ? ipv4Protocol(arena, offset) : ipv6NextHeader(arena, offset);
  return protocol === IpProtocol.TCP || protocol === IpProtocol.UDP ? head : 0;
}
