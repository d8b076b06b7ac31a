/**
 * The Security Policy Database (RFC 4301 §4.4.1): what happens to a packet that wants out.
 *
 * Policies stand as rows in the order of look-up; a look-up walks the rows and allocates nothing,
 * and a change moves rows without touching the others. Inbound packets are held against the
 * selectors of their own SA instead (`SelectorPairs`), as §5.2 has it.
 */
import { type AddressRange, compareAddresses } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { SelectorPairs } from './selector-pairs.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** One policy. */
export interface SpdEntry {
  /** The caller's name for the entry, to remove it by. */
  readonly id: number;
  /** A `trap` stands for an SA that its traffic shall bring up. */
  readonly action: 'protect' | 'bypass' | 'discard' | 'trap';
  /** The caller's index of the SA that protects. */
  readonly sa?: number;
  /** The caller's index of the trap. */
  readonly trap?: number;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /** Lower is stronger; 0 = automatic, from `automaticPriority`. */
  readonly priority: number;
}

/** Answers of `lookup` that are no SA index; from TRAP downwards, TRAP - the index of a trap. */
export const Policy = { BYPASS: -1, DISCARD: -2, NONE: -3, TRAP: -4 } as const;

/** One row, as listings show it. */
export interface SpdRow {
  readonly entry: SpdEntry;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly priority: number;
}

export class Spd {
  readonly #rows: SpdRow[] = [];
  readonly #pairs = new SelectorPairs([]);
  #answers = new Int32Array(16);

  /** Adds or replaces an entry; among rows of equal priority the newest is found first. */
  insert(entry: SpdEntry): void {
    const answer = answerOf(entry);
    this.remove(entry.id);
    for (const row of rowsOf(entry).toReversed()) this.#insertRow(row, answer);
  }

  /** Answers whether the entry was there. */
  remove(id: number): boolean {
    const before = this.#rows.length;
    for (let index = before - 1; index >= 0; index--) {
      if (this.#rows[index]?.entry.id !== id) continue;
      this.#rows.splice(index, 1);
      this.#pairs.remove(index);
      this.#answers.copyWithin(index, index + 1);
    }
    return this.#rows.length < before;
  }

  /** The SA index that protects an outbound packet, or one of `Policy`. */
  lookup(flow: Flow): number {
    const row = this.#pairs.findOutbound(flow);
    return row === -1 ? Policy.NONE : (this.#answers[row] ?? Policy.NONE);
  }

  /** In the order of look-up. */
  rows(): readonly SpdRow[] {
    return this.#rows;
  }

  #insertRow(row: SpdRow, answer: number): void {
    const index = this.#placeOf(row);
    if (this.#rows.length === this.#answers.length) {
      const grown = new Int32Array(this.#answers.length * 2);
      grown.set(this.#answers);
      this.#answers = grown;
    }
    this.#rows.splice(index, 0, row);
    this.#pairs.insert(index, row.local, row.remote);
    this.#answers.copyWithin(index + 1, index);
    this.#answers[index] = answer;
  }

  /** In front of the first row that is not stronger. */
  #placeOf(row: SpdRow): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#rows[middle];
      if (other !== undefined && isStronger(other, row)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The priority of a row that has none configured: narrower selectors are stronger. The scale is
 * strongSwan's, so that configured numbers mean the same: bypasses, SAs, traps, discards.
 */
export function automaticPriority(
  action: SpdEntry['action'],
  local: TrafficSelector,
  remote: TrafficSelector,
): number {
  const addressBits = sharedBits(local.range) + sharedBits(remote.range);
  const protocol = local.protocol !== 0 || remote.protocol !== 0 ? 1 : 0;
  const portBits = portPrecision(local) + portPrecision(remote);
  return BASE_PRIORITY[action] - addressBits * 512 - protocol * 128 - portBits * 2;
}

const BASE_PRIORITY = {
  bypass: 200_000,
  protect: 400_000,
  trap: 600_000,
  discard: 800_000,
} as const;

/** An SA goes before the trap that brought it up, also where both have one configured priority. */
function isStronger(a: SpdRow, b: SpdRow): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  return a.entry.action !== 'trap' && b.entry.action === 'trap';
}

function rowsOf(entry: SpdEntry): readonly SpdRow[] {
  return entry.localTs.flatMap((local) =>
    entry.remoteTs.map((remote) => ({
      entry,
      local,
      remote,
      priority: entry.priority || automaticPriority(entry.action, local, remote),
    })),
  );
}

function answerOf({ id, action, sa, trap }: SpdEntry): number {
  if (action === 'bypass') return Policy.BYPASS;
  if (action === 'discard') return Policy.DISCARD;
  const index = action === 'trap' ? trap : sa;
  if (index === undefined) throw new Error(`SPD entry ${id}: ${action} by nothing`);
  return action === 'trap' ? Policy.TRAP - index : index;
}

/** Address bits that the size of a range leaves fixed: the prefix length where it is a prefix. */
function sharedBits(range: AddressRange): number {
  if (compareAddresses(range.first, range.last) > 0) return 0;
  const size = toInteger(range.last.octets) - toInteger(range.first.octets);
  return range.first.octets.length * 8 - (size === 0n ? 0 : size.toString(2).length);
}

function toInteger(octets: Uint8Array): bigint {
  return octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

function portPrecision({ startPort, endPort }: TrafficSelector): number {
  const size = endPort - startPort;
  return size <= 0 ? 16 : Math.max(0, Math.clz32(size) - 16);
}
