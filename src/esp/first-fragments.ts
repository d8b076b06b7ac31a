/**
 * What the first fragments of inner packets showed, so that the later ones are judged by the same
 * ports (RFC 4301 §7.3, §7.4: stateful fragment checking).
 *
 * Bounded: 1024 packets whose fragments are under way, each for 30 seconds; the oldest of four makes
 * room. The memory is taken with the first fragment that is noted, none is allocated after that.
 */
import { type Flow, OPAQUE } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';

export class FirstFragments {
  #rows = NO_ROWS;

  /** The packet of `flow` is a first fragment; `owner` tells apart what is noted for different SAs. */
  note(flow: Flow, owner: number, now: Instant): void {
    if (this.#rows.length === 0) this.#rows = new Int32Array(SETS * WAYS * ROW);
    const rows = this.#rows;
    const at = this.#roomFor(flow, owner, now | 0);
    rows[at + OWNER] = owner;
    rows[at + FAMILY] = flow.family;
    rows[at + IDENTIFICATION] = flow.identification;
    for (let word = 0; word < 4; word++) {
      rows[at + SOURCE + word] = flow.source[word]!;
      rows[at + DESTINATION + word] = flow.destination[word]!;
    }
    rows[at + PROTOCOL] = flow.protocol;
    rows[at + SOURCE_PORT] = flow.sourcePort;
    rows[at + DESTINATION_PORT] = flow.destinationPort;
    rows[at + EDGE] = flow.fragmentEdge;
    rows[at + SINCE] = now | 0;
  }

  /**
   * Gives the later fragment the protocol and ports of its first one; false, and `flow` as it was,
   * where that is not known or the two overlap.
   */
  recall(flow: Flow, owner: number, now: Instant): boolean {
    const rows = this.#rows;
    if (rows.length === 0) return false;
    const at = this.#find(flow, owner);
    if (at < 0 || ((now | 0) - rows[at + SINCE]!) >>> 0 > LIFE_MS) return false;
    // RFC 1858 §4: a fragment that reaches into the first may put other ports over those judged.
    if (flow.fragmentEdge < rows[at + EDGE]!) return false;
    flow.protocol = rows[at + PROTOCOL]!;
    flow.sourcePort = rows[at + SOURCE_PORT]!;
    flow.destinationPort = rows[at + DESTINATION_PORT]!;
    return true;
  }

  /** The row of the packet, or -1. */
  #find(flow: Flow, owner: number): number {
    const first = setOf(flow, owner);
    for (let at = first; at < first + WAYS * ROW; at += ROW) {
      if (isOf(this.#rows, at, flow, owner)) return at;
    }
    return -1;
  }

  /** The row of the packet, or else the one of its set that was noted longest ago. */
  #roomFor(flow: Flow, owner: number, now: number): number {
    const known = this.#find(flow, owner);
    if (known >= 0) return known;
    const rows = this.#rows;
    const first = setOf(flow, owner);
    let oldest = first;
    for (let at = first; at < first + WAYS * ROW; at += ROW) {
      if (rows[at + FAMILY] === 0) return at;
      if ((now - rows[at + SINCE]!) >>> 0 > (now - rows[oldest + SINCE]!) >>> 0) oldest = at;
    }
    return oldest;
  }
}

/** A later fragment shows its ports no more, as it was read. */
export function hidePorts(flow: Flow): void {
  flow.sourcePort = OPAQUE;
  flow.destinationPort = OPAQUE;
}

function isOf(rows: Int32Array, at: number, flow: Flow, owner: number): boolean {
  if (rows[at + FAMILY] !== flow.family || rows[at + OWNER] !== owner) return false;
  if (rows[at + IDENTIFICATION] !== (flow.identification | 0)) return false;
  // RFC 791 §2.3: the protocol is of the key; RFC 8200 §4.5: with IPv6 it is not.
  if (flow.family === 4 && rows[at + PROTOCOL] !== flow.protocol) return false;
  for (let word = 0; word < 4; word++) {
    if (rows[at + SOURCE + word] !== (flow.source[word]! | 0)) return false;
    if (rows[at + DESTINATION + word] !== (flow.destination[word]! | 0)) return false;
  }
  return true;
}

/** Where the rows begin that a packet may stand in. */
function setOf(flow: Flow, owner: number): number {
  let hash = Math.imul(flow.identification ^ owner, 0x9e37_79b1);
  for (let word = 0; word < 4; word++) {
    hash = Math.imul(hash ^ (hash >>> 15) ^ flow.source[word]!, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ flow.destination[word]!, 0xc2b2_ae35);
  }
  return ((hash ^ (hash >>> 16)) & (SETS - 1)) * WAYS * ROW;
}

const SETS = 256;
const WAYS = 4;
/** RFC 791 §3.2 and RFC 8200 §4.5 give reassembly 15 and 60 seconds; hosts take 30. */
const LIFE_MS = 30_000;

/** Columns of a row; one whose FAMILY is 0 is free. */
const FAMILY = 0;
const OWNER = 1;
const IDENTIFICATION = 2;
const PROTOCOL = 3;
const SOURCE = 4;
const DESTINATION = 8;
const SOURCE_PORT = 12;
const DESTINATION_PORT = 13;
const EDGE = 14;
const SINCE = 15;
const ROW = 16;

const NO_ROWS = new Int32Array(0);
