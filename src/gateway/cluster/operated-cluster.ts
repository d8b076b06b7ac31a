/**
 * A node of a cluster put together for its operator: what happens is told and counted, what is ordered over
 * vici or the FIFO is done, and everything there is to know of it is listed.
 */
import type { BusCounters } from '../../cluster/bus/bus-counters.ts';
import { type SegmentHash, segmentOfIkeSpi, segmentOfSpi } from '../../cluster/segment-hash.ts';
import { nodeOfSid, sidLayout } from '../../cluster/sid.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { ClusterEvent, Trouble } from '../../events/cluster-event.ts';
import { CommandFifo } from '../../io/command-fifo.ts';
import { crash, standStill } from '../../io/simulated-failure.ts';
import type { ClusterOrder } from '../../vici/cluster-view.ts';
import type { ControlOutcome } from '../../vici/control.ts';
import type { Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import type { CounterRows } from '../counter-rows.ts';
import type { SasOfSegment } from './cluster-listing.ts';
import type { ClusterNode, ClusterNodeAction, ClusterNodeInput } from './cluster-node.ts';
import { ClusterOperations, type OperatedPart } from './cluster-operations.ts';
import { ClusterTelling } from './cluster-telling.ts';
import type { ClusteredChildSas } from './clustered-child-sas.ts';
import type { MirroredEngine } from './ike-mirror-action.ts';

export interface OperatedClusterParts {
  readonly config: ClusterConfig;
  readonly node: ClusterNode;
  readonly hash: SegmentHash;
  readonly engine: Pick<MirroredEngine, 'ikeSas' | 'passiveSpis'>;
  readonly childSas: Pick<ClusteredChildSas, 'all' | 'active' | 'solo' | 'exposure'>;
  readonly counters: BusCounters;
  readonly rows: Pick<CounterRows, 'sampled'>;
  readonly give: (input: ClusterNodeInput) => void;
  readonly emit: (event: ClusterEvent) => void;
  readonly now: () => Instant;
  /** Settles when the Child SA is replaced or will not be. */
  readonly rekey: (childSaId: number) => Promise<ControlOutcome>;
  /** Takes the keys of the configuration as it is now; answers how many. Throws what is wrong with it. */
  readonly readKeys: () => number;
}

/** So that who ordered a failure is answered before it. */
const ANSWERED_MS = 100;

export class OperatedCluster {
  readonly operations: ClusterOperations;
  readonly #parts: OperatedClusterParts;
  readonly #telling: ClusterTelling;
  /** Of its own; they stay. */
  #troubles: readonly Trouble[] = [];
  #fifo: CommandFifo | undefined;
  #failing: NodeJS.Timeout | undefined;

  constructor(parts: OperatedClusterParts) {
    const { config, node, childSas, counters, give, emit, now, readKeys } = parts;
    this.#parts = parts;
    const layout = sidLayout(Math.max(...config.nodes.map(({ id }) => id)));
    this.#telling = new ClusterTelling({
      node,
      nameOf: (id) => config.nodes.find((one) => one.id === id)?.name ?? String(id),
      nodeOf: (sid) => nodeOfSid(layout, sid),
      solo: () => childSas.solo,
      troubles: () => this.operations.troubles,
      emit,
      now: now(),
    });
    this.operations = new ClusterOperations({
      ...{ config, node, give, emit, now, readKeys },
      ikeSas: () => this.#ikeSas(),
      sasOf: () => this.#sasOf(),
      drops: () => counters.read(),
      rekey: (segments) => this.#rekey(segments),
      fail: (order) => this.#fail(order),
    });
    this.operations.add({
      figures: () => ({
        ...node.figures,
        ...this.#telling.figures,
        ...this.#packetFigures(),
      }),
      troubles: () => this.#troubles,
    });
  }

  /** Begins to hear scripts. What is in the way of that is told, and no more. */
  async open(): Promise<void> {
    const { fifo } = this.#parts.config;
    if (fifo === undefined) return;
    try {
      this.#fifo = await CommandFifo.open(fifo, (text) => this.operations.heardFifo(text));
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      this.#troubles = [{ part: 'fifo', what }];
    }
  }

  close(): void {
    clearTimeout(this.#failing);
    this.#fifo?.close();
  }

  /** A part of the node adds what operators see of it. */
  add(part: OperatedPart): void {
    this.operations.add(part);
  }

  /** What came of one input, performed. */
  turn(actions: readonly ClusterNodeAction[], now: Instant): void {
    this.#telling.turn(actions, now);
    this.operations.turned();
  }

  #ikeSas() {
    const { engine, node, childSas } = this.#parts;
    return {
      active: engine.ikeSas().length,
      passive: engine.passiveSpis().length,
      unsynced: node.unsynced.size,
      solo: childSas.solo,
    };
  }

  #sasOf(): (segment: number) => SasOfSegment {
    const { engine, hash, childSas } = this.#parts;
    const spis = [...engine.ikeSas().map(({ ownSpi }) => ownSpi), ...engine.passiveSpis()];
    const ikeSas = counted(spis.map((spi) => segmentOfIkeSpi(fromHex(spi), hash)));
    const children = counted(childSas.all().map(({ spiIn }) => segmentOfSpi(spiIn, hash)));
    return (segment) => ({
      ikeSas: ikeSas.get(segment) ?? 0,
      childSas: children.get(segment) ?? 0,
    });
  }

  #packetFigures(): Readonly<Record<string, number>> {
    const { childSas, rows } = this.#parts;
    const samples = childSas.all().reduce((sum, { id }) => sum + rows.sampled(id), 0);
    return { exposure: childSas.exposure, samples };
  }

  /** So many in a second as the configuration says. */
  async #rekey(segments: ReadonlySet<number>): Promise<number> {
    const { childSas, config, hash, rekey } = this.#parts;
    const ids = childSas.active
      .filter(({ spiIn }) => segments.has(segmentOfSpi(spiIn, hash)))
      .map(({ id }) => id);
    const rate = config.sync.rekeysPerSecond;
    let replaced = 0;
    for (let at = 0; at < ids.length; at += rate) {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      const outcomes = await Promise.all(ids.slice(at, at + rate).map((id) => rekey(id)));
      replaced += outcomes.filter(({ kind }) => kind === 'done').length;
    }
    return replaced;
  }

  #fail(order: Extract<ClusterOrder, { readonly kind: 'simulate-failure' }>): void {
    clearTimeout(this.#failing);
    this.#failing = setTimeout(() => {
      if (order.failure === 'crash') crash();
      else
        standStill(order.milliseconds).catch((error) => {
          this.#troubles = [...this.#troubles, { part: 'state', what: String(error) }];
        });
    }, ANSWERED_MS);
  }
}

function counted(segments: readonly number[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const segment of segments) counts.set(segment, (counts.get(segment) ?? 0) + 1);
  return counts;
}
