/**
 * The policies of an SPD that another thread looks up, for listings: in the same order, without what
 * a look-up needs.
 */
import { rowsInOrder, type SpdEntry, type SpdRow } from './spd.ts';

export class PolicyList {
  /** By id, oldest first. */
  readonly #entries = new Map<number, SpdEntry>();

  /** Adds or replaces an entry. */
  insert(entry: SpdEntry): void {
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
  }

  /** Answers whether the entry was there. */
  remove(id: number): boolean {
    return this.#entries.delete(id);
  }

  /** In the order of look-up. */
  rows(): readonly SpdRow[] {
    return rowsInOrder([...this.#entries.values()]);
  }
}
