/**
 * The kernel's packet filter as a node's segments come and go: what has to be there at once goes into its sets at once;
 * for the rest there is one run of nft at a time, and the next one says what is wanted then; what was wanted in
 * between is never said.
 *
 * A run that fails is an error once, and is tried again with the whole filter: somebody may have taken it away.
 */

import { TABLE } from '../../cluster/segment-sets.ts';
import type { Nft } from '../../io/nft.ts';
import type { MapChange, NftSets, SetContent } from '../../io/nft-sets.ts';

/** The text for nft: of the whole filter, or of what may have changed since the last one that was applied. */
export type FilterText = (whole: boolean) => string;

export interface NodeFilterParts {
  readonly nft: Pick<Nft, 'apply'>;
  readonly sets: Pick<NftSets, 'replace' | 'change'>;
  readonly say: (level: 'error' | 'notice', what: string) => void;
}

const AGAIN_MILLISECONDS = 1_000;
const WHAT = 'packet filter of the cluster';

export class NodeFilter {
  readonly #parts: NodeFilterParts;
  #wanted: FilterText | undefined;
  #running: Promise<void> | undefined;
  #intact = false;
  #complaint = '';
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: NodeFilterParts) {
    this.#parts = parts;
  }

  /** The first one, whole. Rejects with what nft refuses. */
  async begin(text: string): Promise<void> {
    await this.#parts.nft.apply(WHAT, text);
    this.#intact = true;
  }

  /** From now on this one; begins at once unless one is under way. */
  want(text: FilterText): void {
    this.#wanted = text;
    this.#begin();
  }

  /** The sets are so from here on; `text` says the same. */
  wantNow(contents: readonly SetContent[], text: FilterText): void {
    this.#atOnce(() => this.#parts.sets.replace(TABLE, contents), text);
  }

  /** The maps change so from here on; `text` says all they have then. */
  wantChanged(batches: readonly (readonly MapChange[])[], text: FilterText): void {
    if (batches.length === 0) return;
    this.#atOnce(() => {
      for (const changes of batches) this.#parts.sets.change(TABLE, changes);
    }, text);
  }

  /** What is there cannot be trusted: the next one is whole. */
  mistrust(): void {
    this.#intact = false;
  }

  /** The kernel has what was wanted last, or refused it. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Waits for the end of what is under way; the last word counts no more if it did not begin. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.settled();
  }

  /** Why the kernel has not what is wanted; empty where it has. */
  get complaint(): string {
    return this.#complaint;
  }

  #atOnce(act: () => void, text: FilterText): void {
    // A run of nft that is under way would put back what it knows.
    if (!this.#intact || this.#running !== undefined) {
      this.#tryNow(act);
      this.want(text);
    } else if (!this.#tryNow(act)) {
      this.#intact = false;
      this.want(text);
    } else if (this.#wanted !== undefined) {
      this.#wanted = text;
    }
  }

  /** Where it fails nft will say what is wrong, if anything is. */
  #tryNow(act: () => void): boolean {
    try {
      act();
      return true;
    } catch {
      return false;
    }
  }

  #begin(): void {
    if (this.#closed || this.#running !== undefined || this.#wanted === undefined) return;
    clearTimeout(this.#timer);
    const text = this.#wanted;
    this.#wanted = undefined;
    this.#running = this.#apply(text).finally(() => {
      this.#running = undefined;
      this.#begin();
    });
  }

  async #apply(text: FilterText): Promise<void> {
    const { nft, say } = this.#parts;
    try {
      await nft.apply(WHAT, text(!this.#intact));
      this.#intact = true;
      if (this.#complaint !== '') say('notice', `${WHAT}: applied again`);
      this.#complaint = '';
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      const wasIntact = this.#intact;
      this.#intact = false;
      // Gone with a firewall that was loaded anew: no reason to wait, and none to complain.
      if (wasIntact) {
        this.#wanted ??= text;
        return;
      }
      if (this.#complaint !== what) say('error', what);
      this.#complaint = what;
      if (this.#closed) return;
      this.#timer = setTimeout(() => this.want(this.#wanted ?? text), AGAIN_MILLISECONDS);
    }
  }
}
