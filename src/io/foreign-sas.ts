/**
 * What each worker of the packet path knows of the SAs of the others: packets that such an SA protects
 * go to its own worker.
 *
 * The order in which workers learn of a change is what this is about. An SA counts as sending once all
 * workers know; one that ends does so only when all know of those that began before. So a packet finds
 * an SA at every moment, whichever worker has it.
 */
import type { InstalledChildSa, PacketLoopCommand } from './packet-loop-protocol.ts';

/** What is kept of a Child SA: best the values that others keep, too. */
export type KeptSelectors = Pick<InstalledChildSa, 'localTs' | 'remoteTs'>;

interface OwnedSa extends KeptSelectors, Pick<InstalledChildSa, 'priority'> {
  readonly worker: number;
  /** It protects traffic, or will as soon as its worker has it. */
  sends: boolean;
}

/** An SA that begins to send, and the workers that do not know yet. */
interface Beginning {
  readonly serial: number;
  /** Undefined while its own worker does not have it. */
  awaited: Set<number> | undefined;
  whenKnown: () => void;
}

interface End {
  readonly serial: number;
  readonly perform: () => void;
}

export class ForeignSas {
  readonly #workers: number;
  readonly #tell: (worker: number, command: PacketLoopCommand) => void;
  readonly #sas = new Map<number, OwnedSa>();
  /** By Child SA, oldest first. */
  readonly #beginnings = new Map<number, Beginning>();
  readonly #ends: End[] = [];
  #serial = 0;

  constructor(workers: number, tell: (worker: number, command: PacketLoopCommand) => void) {
    this.#workers = workers;
    this.#tell = tell;
  }

  /** The worker that has the SA. */
  ownerOf(id: number): number {
    return this.#sas.get(id)?.worker ?? 0;
  }

  /** The SA is about to be installed at its worker. */
  add(worker: number, sa: InstalledChildSa, { localTs, remoteTs }: KeptSelectors): void {
    // A worker without others has none to tell.
    if (this.#workers === 1) return;
    const sends = sa.outbound === 'now';
    this.#sas.set(sa.id, { worker, localTs, remoteTs, priority: sa.priority, sends });
    if (sends) this.#begin(sa.id);
  }

  /** The SA is about to begin or to end sending. */
  change(id: number, sends: boolean): void {
    const sa = this.#sas.get(id);
    if (sa === undefined) return;
    // One that no longer sends is still looked up at its own worker, which knows what is instead.
    sa.sends = sends;
    if (sends) this.#begin(id);
  }

  /** Its own worker did as it was told. `whenKnown` comes when the others know what that means for them. */
  announce(id: number, whenKnown: () => void): void {
    const sa = this.#sas.get(id);
    if (!sa?.sends) {
      whenKnown();
      return;
    }
    const beginning = this.#beginnings.get(id) ?? this.#begin(id);
    const others = this.#others(sa.worker);
    beginning.awaited = new Set(others);
    beginning.whenKnown = whenKnown;
    for (const other of others) this.#tell(other, handOver(id, sa));
  }

  /** A worker knows of the SA. */
  known(worker: number, id: number): void {
    const { awaited } = this.#beginnings.get(id) ?? {};
    if (awaited?.delete(worker) && awaited.size === 0) this.#begun(id);
  }

  /** Comes when all SAs that are beginning now are known. */
  afterBeginnings(perform: () => void): void {
    this.#ends.push({ serial: this.#serial, perform });
    this.#performEnds();
  }

  /** The SA is gone. */
  forget(id: number): void {
    const sa = this.#sas.get(id);
    if (sa === undefined) return;
    this.#sas.delete(id);
    for (const other of this.#others(sa.worker)) this.#tell(other, { kind: 'remove-policy', id });
    this.#begun(id);
  }

  /** A worker is a new one and knows nothing. */
  replay(worker: number): void {
    for (const [id, sa] of this.#sas) {
      const begins = this.#beginnings.get(id)?.awaited === undefined && this.#beginnings.has(id);
      if (sa.worker !== worker && sa.sends && !begins) this.#tell(worker, handOver(id, sa));
    }
  }

  #begin(id: number): Beginning {
    this.#beginnings.delete(id);
    const beginning = { serial: ++this.#serial, awaited: undefined, whenKnown: () => {} };
    this.#beginnings.set(id, beginning);
    return beginning;
  }

  #begun(id: number): void {
    const beginning = this.#beginnings.get(id);
    if (beginning === undefined) return;
    this.#beginnings.delete(id);
    beginning.whenKnown();
    this.#performEnds();
  }

  #performEnds(): void {
    const [oldest] = this.#beginnings.values();
    const before = oldest?.serial ?? Number.POSITIVE_INFINITY;
    while ((this.#ends[0]?.serial ?? Number.POSITIVE_INFINITY) < before) {
      this.#ends.shift()?.perform();
    }
  }

  #others(worker: number): readonly number[] {
    return Array.from({ length: this.#workers }, (_, other) => other).filter(
      (other) => other !== worker,
    );
  }
}

function handOver(id: number, { worker, localTs, remoteTs, priority }: OwnedSa): PacketLoopCommand {
  const policy = { id, action: 'protect', worker, localTs, remoteTs, priority } as const;
  return { kind: 'hand-over', policy };
}
