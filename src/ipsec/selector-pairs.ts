/**
 * Traffic selectors compiled for the packet path: every pair of a local and a remote selector
 * becomes one row of a typed array (RFC 4301 §4.4.1.1).
 *
 * Matching allocates nothing. `selectorMatchesFlow` is the plain version of the same rule.
 */
import { addressToWords, type Flow, OPAQUE } from '../wire/flow.ts';
import { smallWords } from '../wire/small-words.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** Columns of a row; addresses are four words as flows hold them. */
const FAMILY = 0;
const LOCAL = 1;
const REMOTE = 12;
const ROW = 23;
/** Columns of one end, from LOCAL or REMOTE on. */
const FIRST = 0;
const LAST = 4;
const PROTOCOL = 8;
const START_PORT = 9;
const END_PORT = 10;

/** Pairs in rows that their owner numbers; the room grows with the highest number. */
export class SelectorRows {
  #rows: Uint32Array;

  constructor(length: number) {
    this.#rows = smallWords(length * ROW);
  }

  /** A pair of different address families matches nothing. */
  write(row: number, local: TrafficSelector, remote: TrafficSelector): void {
    const at = row * ROW;
    if (at + ROW > this.#rows.length) this.#grow(row + 1);
    const { family } = local.range.first;
    // Rows that can match no packet have family 0.
    this.#rows[at + FAMILY] = family === remote.range.first.family ? family : 0;
    writeEnd(this.#rows, at + LOCAL, local);
    writeEnd(this.#rows, at + REMOTE, remote);
  }

  /** Does a packet from us fit the row? */
  matchesOutbound(row: number, flow: Flow): boolean {
    const at = row * ROW;
    return (
      this.#rows[at + FAMILY] === flow.family &&
      endMatches(this.#rows, at + REMOTE, flow.destination, flow.protocol, flow.destinationPort) &&
      endMatches(this.#rows, at + LOCAL, flow.source, flow.protocol, flow.sourcePort)
    );
  }

  /** Does a packet from the peer fit the row? Source is then the remote end. */
  matchesInbound(row: number, flow: Flow): boolean {
    const at = row * ROW;
    return (
      this.#rows[at + FAMILY] === flow.family &&
      endMatches(this.#rows, at + REMOTE, flow.source, flow.protocol, flow.sourcePort) &&
      endMatches(this.#rows, at + LOCAL, flow.destination, flow.protocol, flow.destinationPort)
    );
  }

  /** Where the first address of either end stands, four words each. */
  firstAddresses(row: number): {
    readonly words: Uint32Array;
    readonly localAt: number;
    readonly remoteAt: number;
  } {
    const at = row * ROW + FIRST;
    return { words: this.#rows, localAt: at + LOCAL, remoteAt: at + REMOTE };
  }

  #grow(length: number): void {
    const rows = new Uint32Array(Math.max(length * ROW, this.#rows.length * 2));
    rows.set(this.#rows);
    this.#rows = rows;
  }
}

/** The pairs of one SA. */
export class SelectorPairs {
  readonly #rows: SelectorRows;
  readonly length: number;

  constructor(pairs: readonly (readonly [local: TrafficSelector, remote: TrafficSelector])[]) {
    this.length = pairs.length;
    this.#rows = new SelectorRows(pairs.length);
    for (const [row, [local, remote]] of pairs.entries()) this.#rows.write(row, local, remote);
  }

  /** All pairs of an SA. */
  static of(
    localTs: readonly TrafficSelector[],
    remoteTs: readonly TrafficSelector[],
  ): SelectorPairs {
    return new SelectorPairs(
      localTs.flatMap((local) => remoteTs.map((remote) => [local, remote] as const)),
    );
  }

  /** Does a packet from the peer fit a pair? Source is then the remote end. */
  matchesInbound(flow: Flow): boolean {
    for (let row = 0; row < this.length; row++) {
      if (this.#rows.matchesInbound(row, flow)) return true;
    }
    return false;
  }
}

function writeEnd(rows: Uint32Array, at: number, selector: TrafficSelector): void {
  addressToWords(selector.range.first, rows, at + FIRST);
  addressToWords(selector.range.last, rows, at + LAST);
  rows[at + PROTOCOL] = selector.protocol;
  rows[at + START_PORT] = selector.startPort;
  rows[at + END_PORT] = selector.endPort;
}

function endMatches(
  rows: Uint32Array,
  at: number,
  address: Uint32Array,
  protocol: number,
  port: number,
): boolean {
  const wanted = rows[at + PROTOCOL];
  return (
    (wanted === 0 || wanted === protocol) &&
    compareWords(address, rows, at + FIRST) >= 0 &&
    compareWords(address, rows, at + LAST) <= 0 &&
    portMatches(rows[at + START_PORT] ?? 0, rows[at + END_PORT] ?? 0, port)
  );
}

/** An IPv4 address differs in its first word or not at all: the others are zero. */
function compareWords(address: Uint32Array, rows: Uint32Array, at: number): number {
  for (let word = 0; word < 4; word++) {
    const one = address[word] ?? 0;
    const other = rows[at + word] ?? 0;
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}

/** ANY fits also what cannot be seen; OPAQUE (start 65535, end 0) fits nothing else. */
function portMatches(start: number, end: number, port: number): boolean {
  if (start === 0 && end === 0xffff) return true;
  if (port === OPAQUE) return start === 0xffff && end === 0;
  return start <= port && port <= end;
}
