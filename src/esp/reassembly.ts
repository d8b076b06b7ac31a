/**
 * Datagrams that the host cut before they came to an SA in transport mode, which carries whole ones
 * only (RFC 4303 §3.3.4), put together again (RFC 791 §3.2, RFC 8200 §4.5).
 *
 * Bounded: 32 datagrams at one time, each for 30 seconds; the oldest makes room. Their octets stand in
 * a part of the arena, which costs nothing until one comes. Allocates nothing per fragment.
 */
import { checksum } from '../wire/checksum.ts';
import { readU8, readU16, readU32, writeU8, writeU16 } from '../wire/field.ts';
import type { Flow } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  Ipv4Field,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4MoreFragments,
} from '../wire/ipv4.ts';
import { IPV6_HEADER, Ipv6Field, ipv6NextHeader } from '../wire/ipv6.ts';
import { VNET_HEADER_OCTETS } from './batch.ts';

/** Answers of `add` besides where a datagram begins. */
export const Reassembled = { WAITS: -1, REFUSED: -2 } as const;

const DATAGRAMS = 32;
/** In front of the octets behind the header: room for the header and that of the device. */
const FRONT = 128;
const MOST_OCTETS = 0xffff;
const SLOT = FRONT + MOST_OCTETS + 1;

/** Octets of the arena that datagrams are put together in. */
export const REASSEMBLY_OCTETS = DATAGRAMS * SLOT;

export class Reassembly {
  /** Octets of the datagram that was completed last. */
  length = 0;
  /** Fragments that were given up with their datagrams since somebody looked. */
  lost = 0;
  readonly #arena: Uint8Array;
  readonly #at: number;
  #rows = NO_ROWS;
  /** By row: a bit for each 8 octets that are here. */
  #units = new Uint32Array(0);
  /** The fragment that is looked at. */
  #offset = 0;
  #more = false;
  #payload = 0;
  #octets = 0;
  #identification = 0;

  /** The last `REASSEMBLY_OCTETS` of the arena are its own. */
  constructor(arena: Uint8Array) {
    this.#arena = arena;
    this.#at = arena.length - REASSEMBLY_OCTETS;
  }

  /** What was put together has left. */
  begin(): void {
    const rows = this.#rows;
    for (let row = 0; row < rows.length; row += ROW) {
      if (rows[row + STATE] === DONE) rows[row + STATE] = FREE;
    }
  }

  /**
   * Takes the fragment at `inner`, which `flow` was read from; answers where the datagram begins that
   * it completes, `length` octets of it, or one of `Reassembled`.
   */
  add(inner: number, flow: Flow, now: Instant): number {
    if (this.#rows.length === 0) this.#open();
    if (!this.#read(inner, flow)) return Reassembled.REFUSED;
    const row = this.#rowFor(flow, now | 0);
    if (row < 0) return Reassembled.REFUSED;
    if (!this.#take(row, inner, flow)) {
      this.#giveUp(row);
      return Reassembled.REFUSED;
    }
    const rows = this.#rows;
    rows[row + FRAGMENTS]!++;
    if (rows[row + RECEIVED] !== rows[row + TOTAL]) return Reassembled.WAITS;
    return this.#complete(row, flow.family);
  }

  /** Where the fragment stands in its datagram; false for one that no sender makes. */
  #read(inner: number, flow: Flow): boolean {
    const arena = this.#arena;
    let header = IPV6_HEADER + FRAGMENT_HEADER;
    if (flow.family === 4) {
      header = ipv4HeaderLength(arena, inner);
      this.#offset = ipv4FragmentOffset(arena, inner) * 8;
      this.#more = ipv4MoreFragments(arena, inner);
      this.#identification = readU16(arena, inner + Ipv4Field.IDENTIFICATION);
    } else {
      // Headers in front of the fragment header are for routers, and the SA does not carry them.
      if (ipv6NextHeader(arena, inner) !== IpProtocol.IPV6_FRAG) return false;
      const fragment = inner + IPV6_HEADER;
      this.#offset = readU16(arena, fragment + 2) & 0xfff8;
      this.#more = (readU16(arena, fragment + 2) & 1) === 1;
      this.#identification = readU32(arena, fragment + 4) | 0;
    }
    this.#payload = inner + header;
    this.#octets = flow.totalLength - header;
    const end = this.#offset + this.#octets;
    // RFC 791 §3.2: all fragments but the last are of whole units.
    return this.#octets > 0 && end <= MOST_OCTETS && (!this.#more || (this.#octets & 7) === 0);
  }

  /** Copies the fragment to its place; false where it contradicts those that are here. */
  #take(row: number, inner: number, flow: Flow): boolean {
    const arena = this.#arena;
    const rows = this.#rows;
    const end = this.#offset + this.#octets;
    const body = this.#bodyOf(row);
    if (!this.#more) {
      if (rows[row + TOTAL]! >= 0) return false;
      rows[row + TOTAL] = end;
    }
    if (end > rows[row + END]!) rows[row + END] = end;
    const total = rows[row + TOTAL]!;
    if (total >= 0 && rows[row + END]! > total) return false;
    // RFC 5722 §4, RFC 1858 §4: fragments that overlap are no datagram.
    if (!this.#mark(row, this.#offset >>> 3, (end + 7) >>> 3)) return false;
    arena.copyWithin(body + this.#offset, this.#payload, this.#payload + this.#octets);
    rows[row + RECEIVED]! += this.#octets;
    if (this.#offset !== 0) return true;
    const header = flow.family === 4 ? this.#payload - inner : IPV6_HEADER;
    arena.copyWithin(body - header, inner, inner + header);
    rows[row + HEADER] = header;
    if (flow.family === 6) rows[row + NEXT] = readU8(arena, inner + IPV6_HEADER);
    return true;
  }

  /** All of it is here: a header that says so. */
  #complete(row: number, family: number): number {
    const arena = this.#arena;
    const rows = this.#rows;
    const header = rows[row + HEADER]!;
    const start = this.#bodyOf(row) - header;
    this.length = header + rows[row + TOTAL]!;
    if (this.length > MOST_OCTETS) {
      this.#giveUp(row);
      return Reassembled.REFUSED;
    }
    rows[row + STATE] = DONE;
    arena.fill(0, start - VNET_HEADER_OCTETS, start);
    if (family === 6) {
      writeU16(arena, start + Ipv6Field.PAYLOAD_LENGTH, rows[row + TOTAL]!);
      writeU8(arena, start + Ipv6Field.NEXT_HEADER, rows[row + NEXT]!);
      return start;
    }
    writeU16(arena, start + Ipv4Field.TOTAL_LENGTH, this.length);
    writeU16(arena, start + Ipv4Field.FLAGS_FRAGMENT_OFFSET, 0);
    writeU16(arena, start + Ipv4Field.HEADER_CHECKSUM, 0);
    writeU16(arena, start + Ipv4Field.HEADER_CHECKSUM, checksum(arena, start, header));
    return start;
  }

  /** Marks 8 octets each from `first` up to `last`; false where one of them is here already. */
  #mark(row: number, first: number, last: number): boolean {
    const units = this.#units;
    const base = (row / ROW) * UNIT_WORDS;
    for (let unit = first; unit < last; unit++) {
      const word = base + (unit >>> 5);
      const bit = 1 << (unit & 31);
      if ((units[word]! & bit) !== 0) return false;
      units[word]! |= bit;
    }
    return true;
  }

  /** The row of the fragment's datagram, a new one if need be; -1 where all have just been completed. */
  #rowFor(flow: Flow, now: number): number {
    const rows = this.#rows;
    let free = -1;
    let oldest = -1;
    for (let row = 0; row < rows.length; row += ROW) {
      const filling = rows[row + STATE] === FILLING;
      const aged = filling && (now - rows[row + SINCE]!) >>> 0 > LIFE_MS;
      if (aged) this.#giveUp(row);
      if (rows[row + STATE] === FREE) free = row;
      else if (filling) {
        if (this.#isOf(row, flow)) return row;
        if (oldest < 0 || rows[row + SINCE]! - rows[oldest + SINCE]! < 0) oldest = row;
      }
    }
    if (free < 0 && oldest >= 0) this.#giveUp(oldest);
    const row = free < 0 ? oldest : free;
    if (row >= 0) this.#begin(row, flow, now);
    return row;
  }

  #begin(row: number, { family, protocol, source, destination }: Flow, now: number): void {
    const rows = this.#rows;
    rows[row + STATE] = FILLING;
    rows[row + SINCE] = now;
    rows[row + FAMILY] = family;
    rows[row + PROTOCOL] = protocol;
    rows[row + IDENTIFICATION] = this.#identification;
    for (let word = 0; word < 4; word++) {
      rows[row + SOURCE + word] = source[word]!;
      rows[row + DESTINATION + word] = destination[word]!;
    }
    rows[row + RECEIVED] = 0;
    rows[row + TOTAL] = -1;
    rows[row + END] = 0;
    rows[row + HEADER] = 0;
    rows[row + FRAGMENTS] = 0;
    const base = (row / ROW) * UNIT_WORDS;
    this.#units.fill(0, base, base + UNIT_WORDS);
  }

  /** RFC 791 §2.3: addresses, identification and protocol; RFC 8200 §4.5: without the protocol. */
  #isOf(row: number, { family, protocol, source, destination }: Flow): boolean {
    const rows = this.#rows;
    if (rows[row + FAMILY] !== family) return false;
    if (rows[row + IDENTIFICATION] !== this.#identification) return false;
    if (family === 4 && rows[row + PROTOCOL] !== protocol) return false;
    for (let word = 0; word < 4; word++) {
      if (rows[row + SOURCE + word] !== (source[word]! | 0)) return false;
      if (rows[row + DESTINATION + word] !== (destination[word]! | 0)) return false;
    }
    return true;
  }

  #giveUp(row: number): void {
    this.lost += this.#rows[row + FRAGMENTS]!;
    this.#rows[row + STATE] = FREE;
  }

  #bodyOf(row: number): number {
    return this.#at + (row / ROW) * SLOT + FRONT;
  }

  #open(): void {
    this.#rows = new Int32Array(DATAGRAMS * ROW);
    this.#units = new Uint32Array(DATAGRAMS * UNIT_WORDS);
  }
}

const NO_ROWS = new Int32Array(0);
/** RFC 791 §3.2 and RFC 8200 §4.5 give reassembly 15 and 60 seconds; hosts take 30. */
const LIFE_MS = 30_000;
/** RFC 8200 §4.5. */
const FRAGMENT_HEADER = 8;
/** Words of the bits of one datagram. */
const UNIT_WORDS = 256;

/** What a row is. */
const FREE = 0;
const FILLING = 1;
/** The datagram is on its way out of here. */
const DONE = 2;

/** Columns of a row. */
const STATE = 0;
const SINCE = 1;
const FAMILY = 2;
const PROTOCOL = 3;
const IDENTIFICATION = 4;
const SOURCE = 5;
const DESTINATION = 9;
/** Octets behind the header that are here, that there are (-1 = not known), and where the last end. */
const RECEIVED = 13;
const TOTAL = 14;
const END = 15;
/** Octets of the header; IPv6: what its first fragment continues. */
const HEADER = 16;
const NEXT = 17;
const FRAGMENTS = 18;
const ROW = 19;
