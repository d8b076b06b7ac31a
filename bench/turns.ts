/**
 * Who is measured when: everyone takes turns, and nobody is always first.
 */

/** The same list, begun one further each round. */
export function inTurn<T>(list: readonly T[], round: number): readonly T[] {
  if (list.length === 0) return list;
  const first = round % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

/** Results by a key that several rounds have in common. */
export class Collected<T> {
  readonly #rounds = new Map<string, T[]>();

  add(key: string, result: T): void {
    this.#rounds.set(key, [...this.of(key), result]);
  }

  /** In the order of the rounds; empty where nothing was measured. */
  of(key: string): readonly T[] {
    return this.#rounds.get(key) ?? [];
  }
}
