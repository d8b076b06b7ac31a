/**
 * What this node knows of address pools, on its disk: read before it speaks to other nodes, written while
 * it changes. Service does not depend on it.
 */
import type { ClusterPools } from '../../cluster/pools/cluster-pools.ts';
import type { Level } from '../../events/event.ts';
import { PoolFile, PoolFileError } from '../../io/pool-file.ts';
import { MalformedError } from '../../wire/octets.ts';

export class KeptPools {
  readonly #pools: ClusterPools;
  readonly #file: PoolFile;
  readonly #say: (level: Level, what: string) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(pools: ClusterPools, file: string, say: (level: Level, what: string) => void) {
    this.#pools = pools;
    this.#file = new PoolFile(file);
    this.#say = say;
  }

  async open(): Promise<void> {
    await this.#try(async () => this.#pools.restore(await this.#file.read()));
    this.#timer = setInterval(() => void this.#keep(false), LOOK_EVERY_MS);
  }

  async close(): Promise<void> {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    await this.#keep(true);
  }

  async #keep(isLast: boolean): Promise<void> {
    const { changes } = this.#pools;
    await this.#try(() => this.#file.keep(changes, () => this.#pools.state(), isLast));
  }

  async #try(use: () => Promise<void>): Promise<void> {
    try {
      await use();
    } catch (error) {
      if (!(error instanceof PoolFileError) && !(error instanceof MalformedError)) throw error;
      this.#say('error', `leases are not remembered: ${error.message}`);
    }
  }
}

const LOOK_EVERY_MS = 500;
