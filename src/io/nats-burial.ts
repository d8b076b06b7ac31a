/**
 * Tombstones in the bucket of the NATS bus: who deletes a record takes its tombstone away an hour later.
 *
 * Until then a node that was cut off finds it when it comes with the value it still has. Only what was there
 * when the tombstone was written goes; a later value of the key stays.
 */

/** Takes away what the engine has of a key up to one of its revisions. */
export type Purge = (key: string, sequence: number) => Promise<void>;

export class NatsBurial {
  readonly #purge: Purge;
  readonly #holdMilliseconds: number;
  /** In the order of their coming. */
  readonly #tombstones = new Map<string, { readonly sequence: number; readonly until: number }>();

  constructor(purge: Purge, holdMilliseconds = HOLD_MILLISECONDS) {
    this.#purge = purge;
    this.#holdMilliseconds = holdMilliseconds;
  }

  get size(): number {
    return this.#tombstones.size;
  }

  /** A value, or a tombstone, has its place in the engine. */
  written(key: string, sequence: number, isTombstone: boolean, now: number): void {
    this.#tombstones.delete(key);
    if (!isTombstone) return;
    this.#tombstones.set(key, { sequence, until: now + this.#holdMilliseconds });
  }

  /** Those whose time has come; what the engine does not answer is tried again at the next sweep. */
  async sweep(now: number): Promise<void> {
    for (const [key, tombstone] of [...this.#tombstones]) {
      if (tombstone.until > now) return;
      try {
        await this.#purge(key, tombstone.sequence);
      } catch {
        return;
      }
      if (this.#tombstones.get(key) === tombstone) this.#tombstones.delete(key);
    }
  }
}

const HOLD_MILLISECONDS = 3_600_000;
