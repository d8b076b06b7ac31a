/**
 * The Security Policy Database (RFC 4301 §4.4.1): what happens to a packet that wants out.
 *
 * What an insertion, a removal or a look-up costs does not grow with the number of policies, and a
 * look-up allocates nothing (`PolicyIndex`). Inbound packets are held against the selectors of their
 * own SA instead (`SelectorPairs`), as §5.2 has it.
 */
import { type AddressRange, compareAddresses } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { PolicyIndex } from './policy-index.ts';
import { namesPorts, type TrafficSelector } from './traffic-selector.ts';

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
  /** Instead of an SA: the caller's index of the worker that has it. */
  readonly worker?: number;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /** Lower is stronger; 0 = automatic, from `automaticPriority`. */
  readonly priority: number;
}

/**
 * Answers of `lookup` that are no SA index; from TRAP downwards, TRAP - the index of a trap; from
 * ELSEWHERE downwards, ELSEWHERE - the worker that has the SA.
 */
export const Policy = {
  BYPASS: -1,
  DISCARD: -2,
  NONE: -3,
  TRAP: -4,
  ELSEWHERE: -0x4000_0000,
} as const;

/** One row, as listings show it. */
export interface SpdRow {
  readonly entry: SpdEntry;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly priority: number;
}

/** An entry with the rows of the index it stands in. */
interface Stored {
  readonly entry: SpdEntry;
  readonly rows: readonly number[];
}

export class Spd {
  readonly #index = new PolicyIndex();
  /** By id, oldest first. */
  readonly #stored = new Map<number, Stored>();
  /** By row of the index: what `lookup` answers. */
  #answers = new Int32Array(16);
  /** Entries that name ports. */
  #withPorts = 0;

  /** Ports decide of some packets: fragments of one packet may meet different entries. */
  get namesPorts(): boolean {
    return this.#withPorts > 0;
  }

  /** Adds or replaces an entry; among rows of equal priority the newest is found first. */
  insert(entry: SpdEntry): void {
    const answer = answerOf(entry);
    this.remove(entry.id);
    const rows = rowsOf(entry).map((one) => {
      const row = this.#index.insert(one.local, one.remote, rankOf(one));
      if (row >= this.#answers.length) this.#grow();
      this.#answers[row] = answer;
      return row;
    });
    this.#stored.set(entry.id, { entry, rows });
    if (hasPorts(entry)) this.#withPorts++;
  }

  /** Answers whether the entry was there. */
  remove(id: number): boolean {
    const stored = this.#stored.get(id);
    if (stored === undefined) return false;
    for (const row of stored.rows) this.#index.remove(row);
    if (hasPorts(stored.entry)) this.#withPorts--;
    return this.#stored.delete(id);
  }

  /** The SA index that protects an outbound packet, or one of `Policy`. */
  lookup(flow: Flow): number {
    const row = this.#index.find(flow);
    return row === -1 ? Policy.NONE : (this.#answers[row] ?? Policy.NONE);
  }

  /** In the order of look-up. */
  rows(): readonly SpdRow[] {
    return rowsInOrder([...this.#stored.values()].map(({ entry }) => entry));
  }

  #grow(): void {
    const answers = new Int32Array(this.#answers.length * 2);
    answers.set(this.#answers);
    this.#answers = answers;
  }
}

/** The rows of entries in the order of look-up; the entries stand in the order they came. */
export function rowsInOrder(entries: readonly SpdEntry[]): readonly SpdRow[] {
  return entries
    .toReversed()
    .flatMap(rowsOf)
    .sort((a, b) => rankOf(a) - rankOf(b));
}

/** The priorities of an entry's rows: of the first one a look-up comes to, and of the last. */
export function entryPriorities(entry: Omit<SpdEntry, 'sa' | 'trap' | 'worker'>): {
  readonly strongest: number;
  readonly weakest: number;
} {
  const priorities = rowsOf(entry).map(({ priority }) => priority);
  return { strongest: Math.min(...priorities), weakest: Math.max(...priorities) };
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
function rankOf({ entry, priority }: SpdRow): number {
  return priority * 2 + (entry.action === 'trap' ? 1 : 0);
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

function hasPorts({ localTs, remoteTs }: SpdEntry): boolean {
  return localTs.some(namesPorts) || remoteTs.some(namesPorts);
}

function answerOf({ id, action, sa, trap, worker }: SpdEntry): number {
  if (action === 'bypass') return Policy.BYPASS;
  if (action === 'discard') return Policy.DISCARD;
  if (worker !== undefined) return Policy.ELSEWHERE - worker;
  const index = action === 'trap' ? trap : sa;
  if (index === undefined) throw new Error(`SPD entry ${id}: ${action} by nothing`);
  return action === 'trap' ? Policy.TRAP - index : index;
}

/** Address bits that the size of a range leaves fixed: the prefix length where it is a prefix. */
function sharedBits({ first, last }: AddressRange): number {
  if (compareAddresses(first, last) > 0) return 0;
  const { length } = first.octets;
  let borrow = 0;
  let sizeBits = 0;
  for (let at = length - 1; at >= 0; at--) {
    const difference = (last.octets[at] ?? 0) - (first.octets[at] ?? 0) - borrow;
    borrow = difference < 0 ? 1 : 0;
    const octet = difference & 0xff;
    if (octet !== 0) sizeBits = (length - at) * 8 - (Math.clz32(octet) - 24);
  }
  return length * 8 - sizeBits;
}

function portPrecision({ startPort, endPort }: TrafficSelector): number {
  const size = endPort - startPort;
  return size <= 0 ? 16 : Math.max(0, Math.clz32(size) - 16);
}
