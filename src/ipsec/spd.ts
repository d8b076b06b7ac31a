/**
 * The Security Policy Database (RFC 4301 §4.4.1): what happens to a packet that wants out.
 *
 * Changes compile the policies into rows in the order of look-up; a look-up walks the rows and
 * allocates nothing. Inbound packets are held against the selectors of their own SA instead
 * (`SelectorPairs`), as §5.2 has it.
 */
import { type AddressRange, compareAddresses } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { SelectorPairs } from './selector-pairs.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** One policy. `sa` is the caller's index of the SA that protects. */
export interface SpdEntry {
  /** The caller's name for the entry, to remove it by. */
  readonly id: number;
  readonly action: 'protect' | 'bypass' | 'discard';
  readonly sa?: number;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /** Lower is stronger; 0 = automatic, from `automaticPriority`. */
  readonly priority: number;
}

/** Answers of `lookup` that are no SA index. */
export const Policy = { BYPASS: -1, DISCARD: -2, NONE: -3 } as const;

/** One row, as listings show it. */
export interface SpdRow {
  readonly entry: SpdEntry;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly priority: number;
}

export class Spd {
  /** Newest first. */
  #entries: readonly SpdEntry[] = [];
  #rows: readonly SpdRow[] = [];
  #pairs = new SelectorPairs([]);
  #answers = new Int32Array(0);

  /** Adds an entry; among rows of equal priority the newest is found first. */
  insert(entry: SpdEntry): void {
    if (entry.action === 'protect' && entry.sa === undefined) {
      throw new Error(`SPD entry ${entry.id} protects with no SA`);
    }
    this.#compile([entry, ...this.#entries.filter(({ id }) => id !== entry.id)]);
  }

  remove(id: number): boolean {
    const rest = this.#entries.filter((entry) => entry.id !== id);
    const found = rest.length < this.#entries.length;
    if (found) this.#compile(rest);
    return found;
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

  #compile(entries: readonly SpdEntry[]): void {
    this.#entries = entries;
    this.#rows = entries.flatMap(rowsOf).sort((a, b) => a.priority - b.priority);
    this.#pairs = new SelectorPairs(this.#rows.map(({ local, remote }) => [local, remote]));
    this.#answers = Int32Array.from(this.#rows, ({ entry }) => answerOf(entry));
  }
}

/**
 * The priority of a row that has none configured: narrower selectors are stronger. The scale is
 * strongSwan's, so that configured numbers mean the same: bypasses before SAs, discards last.
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

const BASE_PRIORITY = { bypass: 200_000, protect: 400_000, discard: 800_000 } as const;

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

function answerOf(entry: SpdEntry): number {
  if (entry.action === 'bypass') return Policy.BYPASS;
  return entry.action === 'discard' ? Policy.DISCARD : (entry.sa ?? Policy.NONE);
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
