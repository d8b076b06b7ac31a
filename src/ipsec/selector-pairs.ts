/**
 * Traffic selectors compiled for the packet path: every pair of a local and a remote selector
 * becomes one row of a typed array (RFC 4301 §4.4.1.1).
 *
 * Matching allocates nothing. A row comes or goes by moving those behind it: a table of thousands
 * changes without being compiled anew. `selectorMatchesFlow` is the plain version of the same rule.
 */
import { addressToWords, type Flow, OPAQUE } from '../wire/flow.ts';
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

export class SelectorPairs {
  #rows: Uint32Array;
  #length = 0;

  constructor(pairs: readonly (readonly [local: TrafficSelector, remote: TrafficSelector])[]) {
    this.#rows = new Uint32Array(pairs.length * ROW);
    for (const [local, remote] of pairs) this.insert(this.#length, local, remote);
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

  get length(): number {
    return this.#length;
  }

  /** Puts a pair in front of the one at `index`. Pairs of different families match nothing. */
  insert(index: number, local: TrafficSelector, remote: TrafficSelector): void {
    const at = index * ROW;
    const end = this.#length * ROW;
    if (end === this.#rows.length) {
      const grown = new Uint32Array(Math.max(1, this.#length * 2) * ROW);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows.copyWithin(at + ROW, at, end);
    const { family } = local.range.first;
    // Rows that can match no packet have family 0.
    this.#rows[at + FAMILY] = family === remote.range.first.family ? family : 0;
    writeEnd(this.#rows, at + LOCAL, local);
    writeEnd(this.#rows, at + REMOTE, remote);
    this.#length++;
  }

  remove(index: number): void {
    this.#rows.copyWithin(index * ROW, (index + 1) * ROW, this.#length * ROW);
    this.#length--;
  }

  /** The first pair that a packet from us fits, or -1. */
  findOutbound(flow: Flow): number {
    for (let index = 0; index < this.#length; index++) {
      const at = index * ROW;
      if (
        this.#rows[at + FAMILY] === flow.family &&
        endMatches(
          this.#rows,
          at + REMOTE,
          flow.destination,
          flow.protocol,
          flow.destinationPort,
        ) &&
        endMatches(this.#rows, at + LOCAL, flow.source, flow.protocol, flow.sourcePort)
      ) {
        return index;
      }
    }
    return -1;
  }

  /** Does a packet from the peer fit a pair? Source is then the remote end. */
  matchesInbound(flow: Flow): boolean {
    for (let index = 0; index < this.#length; index++) {
      const at = index * ROW;
      if (
        this.#rows[at + FAMILY] === flow.family &&
        endMatches(this.#rows, at + REMOTE, flow.source, flow.protocol, flow.sourcePort) &&
        endMatches(this.#rows, at + LOCAL, flow.destination, flow.protocol, flow.destinationPort)
      ) {
        return true;
      }
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
