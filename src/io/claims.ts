/**
 * Who claims a thing, by number, with what each brings along. Nearly always one, which costs no map.
 */
export class Claims<What> {
  #only: readonly [claimant: number, what: What] | undefined;
  #several: Map<number, What> | undefined;

  get size(): number {
    return this.#several?.size ?? (this.#only === undefined ? 0 : 1);
  }

  set(claimant: number, what: What): void {
    if (this.#several) this.#several.set(claimant, what);
    else if (!this.#only || this.#only[0] === claimant) this.#only = [claimant, what];
    else this.#several = new Map([this.#only, [claimant, what]]);
  }

  delete(claimant: number): void {
    this.#several?.delete(claimant);
    if (this.#only?.[0] === claimant) this.#only = undefined;
  }

  /** In the order in which they came. */
  entries(): readonly (readonly [claimant: number, what: What])[] {
    if (this.#several) return [...this.#several];
    return this.#only ? [this.#only] : [];
  }
}
