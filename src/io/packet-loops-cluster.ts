/**
 * The SAs of a cluster as the control thread tells the workers of them, and what a worker is told of its SAs
 * that takes the place of one that died: what stands by then, and what was asked and not answered.
 */
import type { ClusterParameters } from '../esp/cluster-share.ts';
import type { ForeignPacket } from '../esp/foreign-packets.ts';
import type { TakeOver } from '../esp/sa-ownership.ts';
import { EDGE_WORDS, type Edges } from '../events/edge-digest.ts';
import type { Sampling } from '../ipsec/replay-sampling.ts';
import { laterNumber, type SequenceHalves } from '../ipsec/sequence-number.ts';
import type { ClusterCommand, ClusterReport, ClusterSaCommand } from './cluster-protocol.ts';
import type { InstalledChildSa } from './packet-loop-protocol.ts';

export interface PacketLoopsClusterParts {
  readonly tell: (worker: number, command: ClusterCommand) => void;
  readonly workers: number;
  /** The worker of an inbound SPI. */
  readonly workerOf: (spiIn: number) => number;
}

/** A packet with the inbound SPI of the SA it is for. */
export interface PacketOfSa {
  readonly spiIn: number;
  readonly packet: ForeignPacket;
}

interface ClusterSa {
  readonly worker: number;
  /** As it would be installed now. */
  cluster: ClusterParameters;
  /** A take or a give that is not answered yet. */
  asked: ClusterSaCommand | undefined;
}

/** Packets taken before a worker is told: a small part of those it may hand on. */
const FOREIGN_LOT = 32;

export class PacketLoopsCluster {
  readonly #parts: PacketLoopsClusterParts;
  readonly #sas = new Map<number, ClusterSa>();
  /** By worker: packets taken from it that it was not told of. */
  readonly #untold = new Map<number, number>();
  /** Of each worker. */
  #unknownPerSecond = 0;

  constructor(parts: PacketLoopsClusterParts) {
    this.#parts = parts;
  }

  /** Outbound numbers of the SA were acknowledged up to this one. */
  grant(id: number, upTo: SequenceHalves): void {
    this.#change(id, ({ reserved }) => ({ reserved: laterNumber(reserved, upTo), solo: false }));
    this.#tell({ kind: 'grant', id, upTo });
  }

  /** Nobody is there to acknowledge any. */
  goAlone(id: number): void {
    this.#change(id, () => ({ solo: true }));
    this.#tell({ kind: 'go-alone', id });
  }

  sample(id: number, sampling: Sampling): void {
    this.#change(id, () => ({ sampling }));
    this.#tell({ kind: 'sample', id, sampling });
  }

  /** Answered by `taken`. */
  take(id: number, how: TakeOver): void {
    this.#ask({ kind: 'take', id, how });
  }

  /** Answered by `given`. */
  give(id: number): void {
    this.#ask({ kind: 'give', id });
  }

  /** Where other nodes say that the windows of their SAs are. */
  followEdges(edges: Edges): void {
    const byWorker = new Map<number, number[]>();
    for (let at = 0; at + EDGE_WORDS <= edges.length; at += EDGE_WORDS) {
      const edge = edges.subarray(at, at + EDGE_WORDS);
      const worker = this.#parts.workerOf(edge[0] ?? 0);
      const some = byWorker.get(worker) ?? [];
      byWorker.set(worker, some);
      some.push(...edge);
    }
    for (const [worker, some] of byWorker) {
      this.#parts.tell(worker, { kind: 'follow-edges', edges: Uint32Array.from(some) });
    }
  }

  /** Another node had these packets of SAs that are carried here. */
  foreignPackets(packets: readonly PacketOfSa[]): void {
    const byWorker = new Map<number, ForeignPacket[]>();
    for (const { spiIn, packet } of packets) {
      const worker = this.#parts.workerOf(spiIn);
      const some = byWorker.get(worker);
      if (some) some.push(packet);
      else byWorker.set(worker, [packet]);
    }
    for (const [worker, some] of byWorker) {
      this.#parts.tell(worker, { kind: 'foreign-packets', packets: some });
    }
  }

  /** Packets of SAs that are not here are reported (`unknown-packet`), at most so many in a second. */
  handOnUnknown(perSecond: number): void {
    this.#unknownPerSecond = perSecond / this.#parts.workers;
    for (let worker = 0; worker < this.#parts.workers; worker++) this.#tellUnknown(worker);
  }

  /** A worker is a new one. */
  replaced(worker: number): void {
    if (this.#unknownPerSecond > 0) this.#tellUnknown(worker);
  }

  /** What to install the SA as, also at a worker that is a new one. */
  installed(sa: InstalledChildSa): InstalledChildSa {
    const known = this.#sas.get(sa.id);
    if (known !== undefined) return { ...sa, cluster: known.cluster };
    if (sa.cluster === undefined) return sa;
    const worker = this.#parts.workerOf(sa.spiIn);
    this.#sas.set(sa.id, { worker, cluster: sa.cluster, asked: undefined });
    return sa;
  }

  /** Behind the installation at a worker that is a new one: what the one before did not answer. */
  askAgain(id: number): void {
    const asked = this.#sas.get(id)?.asked;
    if (asked !== undefined) this.#tell(asked);
  }

  hear(worker: number, report: ClusterReport): void {
    const { kind } = report;
    if (kind === 'foreign-packets') {
      this.#foreignTaken(worker, report.packets.filter(({ id }) => id !== undefined).length);
      return;
    }
    if (kind === 'sequence-wanted') return;
    const { id } = report;
    const sa = this.#sas.get(id);
    if (sa === undefined) return;
    const { asked } = sa;
    if (kind === 'given') this.#change(id, () => ({ role: 'passive', used: report.used }));
    else if (asked?.kind === 'take') {
      const { sid, reserved, solo, carried } = asked.how;
      this.#change(id, (before) => ({
        ...{ role: 'active', sid, solo, used: report.used, edge: report.edge },
        reserved: laterNumber(before.reserved, reserved),
        ...(carried && { carried }),
      }));
    }
    if (asked?.kind === (kind === 'given' ? 'give' : 'take')) sa.asked = undefined;
  }

  forget(id: number): void {
    this.#sas.delete(id);
  }

  #tellUnknown(worker: number): void {
    const perSecond = this.#unknownPerSecond;
    this.#parts.tell(worker, { kind: 'hand-on-unknown', perSecond });
  }

  /** Told in lots: a worker has credit for many more. */
  #foreignTaken(worker: number, taken: number): void {
    const untold = (this.#untold.get(worker) ?? 0) + taken;
    this.#untold.set(worker, untold < FOREIGN_LOT ? untold : 0);
    if (untold >= FOREIGN_LOT) this.#parts.tell(worker, { kind: 'foreign-taken', count: untold });
  }

  #ask(command: Extract<ClusterSaCommand, { readonly kind: 'take' | 'give' }>): void {
    const sa = this.#sas.get(command.id);
    if (sa === undefined) return;
    sa.asked = command;
    this.#tell(command);
  }

  #change(id: number, change: (before: ClusterParameters) => Partial<ClusterParameters>): void {
    const sa = this.#sas.get(id);
    if (sa !== undefined) sa.cluster = { ...sa.cluster, ...change(sa.cluster) };
  }

  #tell(command: ClusterSaCommand): void {
    const sa = this.#sas.get(command.id);
    if (sa !== undefined) this.#parts.tell(sa.worker, command);
  }
}
