/**
 * How long changes took until other nodes had them: of the last thousand or so, for monitoring.
 */

const KEPT = 1024;

export class SyncLag {
  readonly #kept = new Float64Array(KEPT);
  #count = 0;

  /** In milliseconds. */
  add(lag: number): void {
    this.#kept[this.#count % KEPT] = lag;
    this.#count++;
  }

  /** Changes since the start. */
  get count(): number {
    return this.#count;
  }

  /** The lag that this share of the last changes did not exceed; 0 where there was none. */
  quantile(share: number): number {
    const known = this.#kept.slice(0, Math.min(this.#count, KEPT)).sort();
    return known[Math.max(0, Math.ceil(known.length * share) - 1)] ?? 0;
  }
}
