/**
 * Selector pairs of many policies in the order of their rank, found by hashing (RFC 4301
 * §4.4.1): what `Spd` looks outbound packets up in.
 *
 * Pairs of one rank whose addresses share the same number of leading bits form a group, and a
 * group is a hash table over those bits. A look-up asks the groups in order of rank: it costs
 * as much as there are kinds of policies, not as many as there are policies. Hashing only says
 * where to look; whether a pair fits is the rule of `SelectorRows`. A look-up allocates nothing.
 */
import type { IpAddress } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { SelectorRows } from './selector-pairs.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** No row. */
const NONE = -1;

/** A hash table of rows; those of one bucket are linked, the newest first. */
interface Group {
  readonly rank: number;
  readonly family: 4 | 6;
  /** Leading bits that count at either end. */
  readonly localBits: number;
  readonly remoteBits: number;
  heads: Int32Array;
  size: number;
}

/** What a row stands for. */
interface Place {
  readonly group: Group;
  readonly hash: number;
}

export class PolicyIndex {
  readonly #selectors = new SelectorRows(16);
  /** By row; undefined where the row is free. */
  readonly #places: (Place | undefined)[] = [];
  readonly #free: number[] = [];
  /** Lower priorities first. */
  #groups: readonly Group[] = [];
  /** By row: the next row of its bucket, and how late it came. */
  #next = new Int32Array(16);
  #arrivals = new Float64Array(16);
  #lastArrival = 0;

  /** Answers the number of the new row. Of equal rank the newest is found first. */
  insert(local: TrafficSelector, remote: TrafficSelector, rank: number): number {
    const row = this.#free.pop() ?? this.#places.length;
    if (row >= this.#next.length) this.#grow();
    this.#selectors.write(row, local, remote);
    this.#arrivals[row] = ++this.#lastArrival;
    const group = this.#groupOf(local, remote, rank);
    const hash = this.#hashOfRow(group, row);
    this.#places[row] = { group, hash };
    if (group.size >= group.heads.length) this.#widen(group);
    const bucket = hash & (group.heads.length - 1);
    this.#next[row] = group.heads[bucket] ?? NONE;
    group.heads[bucket] = row;
    group.size++;
    return row;
  }

  remove(row: number): void {
    const place = this.#places[row];
    if (place === undefined) throw new RangeError(`no policy in row ${row}`);
    const { group, hash } = place;
    const bucket = hash & (group.heads.length - 1);
    const after = this.#next[row] ?? NONE;
    let before = group.heads[bucket] ?? NONE;
    if (before === row) group.heads[bucket] = after;
    else {
      while (this.#next[before] !== row) before = this.#next[before] ?? NONE;
      this.#next[before] = after;
    }
    this.#places[row] = undefined;
    this.#free.push(row);
    group.size--;
    if (group.size === 0) this.#groups = this.#groups.filter((one) => one !== group);
  }

  /** The row that an outbound packet fits, or -1: of the lowest rank, there the newest. */
  find(flow: Flow): number {
    let found = NONE;
    let rank = 0;
    for (let at = 0; at < this.#groups.length; at++) {
      const group = this.#groups[at]!;
      if (found !== NONE && group.rank > rank) break;
      if (group.family !== flow.family) continue;
      const row = this.#findIn(group, flow);
      if (row === NONE) continue;
      if (found !== NONE && this.#arrivals[row]! < this.#arrivals[found]!) continue;
      found = row;
      rank = group.rank;
    }
    return found;
  }

  #findIn(group: Group, flow: Flow): number {
    const words = group.family === 4 ? 1 : 4;
    let hash = mixWords(0, flow.source, 0, group.localBits, words);
    hash = mixWords(hash, flow.destination, 0, group.remoteBits, words);
    let row = group.heads[finish(hash) & (group.heads.length - 1)]!;
    while (row !== NONE && !this.#selectors.matchesOutbound(row, flow)) row = this.#next[row]!;
    return row;
  }

  /** Hash of a row's own leading bits; what a packet that fits it has, too. */
  #hashOfRow({ family, localBits, remoteBits }: Group, row: number): number {
    const words = family === 4 ? 1 : 4;
    const { words: own, localAt, remoteAt } = this.#selectors.firstAddresses(row);
    const hash = mixWords(0, own, localAt, localBits, words);
    return finish(mixWords(hash, own, remoteAt, remoteBits, words));
  }

  #groupOf(local: TrafficSelector, remote: TrafficSelector, rank: number): Group {
    const { family } = local.range.first;
    // Ends of two families fit no packet, and neither does a range that runs backwards.
    const sameFamily = family === remote.range.first.family;
    const localBits = sameFamily ? commonBits(local.range.first, local.range.last) : 0;
    const remoteBits = sameFamily ? commonBits(remote.range.first, remote.range.last) : 0;
    const known = this.#groups.find(
      (one) =>
        one.rank === rank &&
        one.family === family &&
        one.localBits === localBits &&
        one.remoteBits === remoteBits,
    );
    if (known !== undefined) return known;
    const heads = new Int32Array(8).fill(NONE);
    const group = { rank, family, localBits, remoteBits, heads, size: 0 };
    const at = this.#groups.findIndex((one) => one.rank > rank);
    this.#groups = this.#groups.toSpliced(at === -1 ? this.#groups.length : at, 0, group);
    return group;
  }

  /** Twice the buckets; each keeps the order of its rows. */
  #widen(group: Group): void {
    const old = group.heads;
    group.heads = new Int32Array(old.length * 2).fill(NONE);
    const tails = new Int32Array(group.heads.length).fill(NONE);
    for (let row of old) {
      while (row !== NONE) {
        const after = this.#next[row] ?? NONE;
        const bucket = (this.#places[row]?.hash ?? 0) & (group.heads.length - 1);
        const tail = tails[bucket] ?? NONE;
        if (tail === NONE) group.heads[bucket] = row;
        else this.#next[tail] = row;
        this.#next[row] = NONE;
        tails[bucket] = row;
        row = after;
      }
    }
  }

  #grow(): void {
    const next = new Int32Array(this.#next.length * 2);
    const arrivals = new Float64Array(next.length);
    next.set(this.#next);
    arrivals.set(this.#arrivals);
    this.#next = next;
    this.#arrivals = arrivals;
  }
}

/** Leading bits that two addresses of one family share. */
export function commonBits(a: IpAddress, b: IpAddress): number {
  for (let at = 0; at < a.octets.length; at++) {
    const difference = (a.octets[at] ?? 0) ^ (b.octets[at] ?? 0);
    if (difference !== 0) return at * 8 + Math.clz32(difference) - 24;
  }
  return a.octets.length * 8;
}

/** Takes the leading `bits` of an address in `count` words into a hash. */
function mixWords(
  hash: number,
  words: Uint32Array,
  at: number,
  bits: number,
  count: number,
): number {
  let mixed = hash;
  for (let word = 0; word < count; word++) {
    const left = bits - word * 32;
    const mask = left >= 32 ? -1 : left <= 0 ? 0 : -1 << (32 - left);
    mixed = Math.imul(mixed ^ (words[at + word]! & mask), 0x9e37_79b1);
    mixed ^= mixed >>> 15;
  }
  return mixed;
}

function finish(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
