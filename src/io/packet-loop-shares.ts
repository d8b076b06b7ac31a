/**
 * What the workers of the packet path have between them: a ring for each way from one to another, and
 * what wakes each of them.
 */
import { HandOverRing } from '../esp/hand-over.ts';
import { type Native, native } from './native.ts';
import type { PacketLoopShare } from './packet-loop-protocol.ts';

export class PacketLoopShares {
  /** By worker; empty where there is only one. */
  readonly all: readonly PacketLoopShare[];
  readonly #addon: Native;
  readonly #wakes: readonly number[];

  constructor(workers: number, addon: Native = native()) {
    this.#addon = addon;
    const numbers = workers > 1 ? Array.from({ length: workers }, (_, worker) => worker) : [];
    this.#wakes = numbers.map(() => addon.eventFd());
    const rings = numbers.map((from) =>
      numbers.map((to) => (from === to ? undefined : HandOverRing.memory())),
    );
    this.all = numbers.map((worker) => ({
      worker,
      wakes: this.#wakes,
      rings: numbers.map((other) => {
        const to = rings[worker]?.[other];
        const from = rings[other]?.[worker];
        return to && from && { to, from };
      }),
    }));
  }

  close(): void {
    for (const fd of this.#wakes) this.#addon.close(fd);
  }
}
