/**
 * Who wants to be called when, the earliest first: a binary heap that knows where each key stands.
 *
 * Setting a deadline costs the logarithm of the number of keys, reading the first one nothing.
 */
import type { Instant } from '../wire/instant.ts';

interface Entry<Key> {
  readonly key: Key;
  at: Instant;
  /** Where it stands in the heap. */
  index: number;
}

export class DeadlineQueue<Key> {
  /** No entry is later than those at twice its index plus one and plus two. */
  readonly #heap: Entry<Key>[] = [];
  readonly #entries = new Map<Key, Entry<Key>>();

  /** The earliest deadline of all. */
  get first(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  /** Gives a key a deadline in place of the one it had; undefined takes it out. */
  set(key: Key, at: Instant | undefined): void {
    const known = this.#entries.get(key);
    if (at === undefined) {
      if (known) this.#remove(known);
      return;
    }
    if (known?.at === at) return;
    const entry = known ?? { key, at, index: this.#heap.length };
    entry.at = at;
    if (!known) this.#entries.set(key, entry);
    this.#settle(entry, entry.index);
  }

  /** Keys whose deadline has come. They stay until `set` says otherwise. */
  due(now: Instant): readonly Key[] {
    const found: Key[] = [];
    const open = [0];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const entry = this.#heap[index];
      if (!entry || entry.at > now) continue;
      found.push(entry.key);
      open.push(2 * index + 1, 2 * index + 2);
    }
    return found;
  }

  #remove(entry: Entry<Key>): void {
    this.#entries.delete(entry.key);
    const last = this.#heap.pop();
    if (last && last !== entry) this.#settle(last, entry.index);
  }

  /** Puts an entry where it belongs, starting from a place that is free or its own. */
  #settle(entry: Entry<Key>, start: number): void {
    let index = start;
    for (;;) {
      const parent = this.#heap[(index - 1) >> 1];
      if (index === 0 || !parent || parent.at <= entry.at) break;
      this.#put(parent, index);
      index = (index - 1) >> 1;
    }
    for (;;) {
      const child = this.#earlierChild(index);
      const below = child === undefined ? undefined : this.#heap[child];
      if (child === undefined || !below || below.at >= entry.at) break;
      this.#put(below, index);
      index = child;
    }
    this.#put(entry, index);
  }

  #earlierChild(index: number): number | undefined {
    const [left, right] = [2 * index + 1, 2 * index + 2];
    const [one, other] = [this.#heap[left], this.#heap[right]];
    if (!one) return undefined;
    return other && other.at < one.at ? right : left;
  }

  #put(entry: Entry<Key>, index: number): void {
    this.#heap[index] = entry;
    entry.index = index;
  }
}
