/**
 * Traps: policies that stand for an SA which their traffic shall bring up (RFC 4301 §4.4.1, "if no
 * SA is in place, IKE is invoked").
 *
 * A packet that meets a trap is held, and the first one is reported. When SAs or policies change,
 * the held packets go through the policies again, in order; what still meets the trap waits on. The
 * report is repeated only for another packet at the head of the queue: an SA that does not cover the
 * packet it was made for must not make the next one.
 */
import { DropReason } from '../events/drop-reason.ts';
import { addressFromWords, type Flow } from '../wire/flow.ts';
import { after, earliest, type Instant, instant } from '../wire/instant.ts';
import { type Batch, DROP_TAKEN, WORDS, Word } from './batch.ts';
import { HeldPackets } from './held-packets.ts';
import type { AcquiredFlow } from './packet-reports.ts';

/** What an SA has time for to come up; afterwards the packets go and the next one asks again. */
export const HOLD_MS = 16_000;

interface Trap {
  readonly id: number;
  readonly held: HeldPackets;
  /** When the packet at the head was reported. */
  since: Instant;
}

export class Traps {
  readonly #acquire: (id: number, flow: AcquiredFlow) => void;
  readonly #traps: (Trap | undefined)[] = [];
  /** Traps that hold something. */
  readonly #holding = new Set<Trap>();
  #releasing: Trap | undefined;

  constructor(acquire: (id: number, flow: AcquiredFlow) => void) {
    this.#acquire = acquire;
  }

  /** Answers the trap's index, for the SPD. */
  add(id: number): number {
    const free = this.#traps.indexOf(undefined);
    const index = free === -1 ? this.#traps.length : free;
    this.#traps[index] = { id, held: new HeldPackets(), since: instant(0) };
    return index;
  }

  /** The trap is gone; `release` takes out what it still holds. */
  remove(id: number): void {
    const index = this.#traps.findIndex((trap) => trap?.id === id);
    if (index >= 0) this.#traps[index] = undefined;
  }

  /** Holds the packet of `flow` in a row; answers what becomes of the row. */
  hold(index: number, batch: Batch, row: number, flow: Flow, now: Instant): number {
    const trap = this.#traps[index];
    if (trap === undefined) throw new RangeError(`no trap at index ${index}`);
    const inner = batch.words[row * WORDS + Word.OFFSET]!;
    if (!trap.held.add(batch.arena, inner, flow.totalLength)) return DropReason['trap-full'];
    this.#holding.add(trap);
    const isHead = trap.held.count === 1;
    const wasHead = this.#releasing === trap && row === 0;
    if (isHead && !wasHead) {
      trap.since = now;
      this.#acquire(trap.id, acquired(flow));
    }
    return DROP_TAKEN;
  }

  /** Runs what is held through `again`, trap by trap: that many rows of `batch` from 0 on. */
  release(batch: Batch, again: (count: number) => void): void {
    for (const trap of [...this.#holding]) {
      this.#holding.delete(trap);
      const count = trap.held.moveInto(batch);
      this.#releasing = trap;
      again(count);
      this.#releasing = undefined;
    }
  }

  /** When `expire` has something to do. */
  nextDeadline(): Instant | undefined {
    return earliest(...[...this.#holding].map(({ since }) => after(since, HOLD_MS)));
  }

  /** Drops what waited too long; answers how many packets. */
  expire(now: Instant): number {
    let dropped = 0;
    for (const trap of [...this.#holding]) {
      if (now < after(trap.since, HOLD_MS)) continue;
      this.#holding.delete(trap);
      dropped += trap.held.drop();
    }
    return dropped;
  }
}

function acquired(flow: Flow): AcquiredFlow {
  return {
    local: addressFromWords(flow.family, flow.source),
    remote: addressFromWords(flow.family, flow.destination),
    protocol: flow.protocol,
    localPort: flow.sourcePort,
    remotePort: flow.destinationPort,
  };
}
