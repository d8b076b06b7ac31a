/**
 * What each Child SA carries inside, and the most that any of them does: the device takes that.
 *
 * Many SAs share few values, so that the most of them is found by value, not by SA.
 */
export class InnerMtus {
  readonly #bySa = new Map<number, number>();
  /** How many SAs carry so much. */
  readonly #counts = new Map<number, number>();

  /** Octets of the widest SA; undefined without any. */
  get widest(): number | undefined {
    return this.#counts.size === 0 ? undefined : Math.max(...this.#counts.keys());
  }

  set(childSaId: number, octets: number): void {
    if (this.#bySa.get(childSaId) === octets) return;
    this.delete(childSaId);
    this.#bySa.set(childSaId, octets);
    this.#counts.set(octets, (this.#counts.get(octets) ?? 0) + 1);
  }

  delete(childSaId: number): void {
    const octets = this.#bySa.get(childSaId);
    if (octets === undefined) return;
    this.#bySa.delete(childSaId);
    const left = (this.#counts.get(octets) ?? 0) - 1;
    if (left > 0) this.#counts.set(octets, left);
    else this.#counts.delete(octets);
  }
}
