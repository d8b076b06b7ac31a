/**
 * Cluster nodes on a simulated clock with everything their operators have: events, figures and orders.
 */
import { nodeOfSid, sidLayout } from '../../src/cluster/sid.ts';
import type { ClusterConfig } from '../../src/config/cluster-config.ts';
import type { ClusterEvent, Trouble } from '../../src/events/cluster-event.ts';
import { ClusterOperations } from '../../src/gateway/cluster/cluster-operations.ts';
import { ClusterTelling } from '../../src/gateway/cluster/cluster-telling.ts';
import type { ClusterOrder } from '../../src/vici/cluster-view.ts';
import { load } from '../config/reading.ts';
import { type Clustered, type ClusterOptions, ClusterWorld } from './clustered-nodes.ts';

/** Nodes have found each other by then. */
const SETTLING_MS = 1500;

export class Operated {
  readonly operations: ClusterOperations;
  readonly telling: ClusterTelling;
  readonly events: ClusterEvent[] = [];
  readonly failures: ClusterOrder[] = [];
  /** Segments whose SAs were to be rekeyed. */
  readonly rekeyed: number[] = [];
  solo = 0;
  troubles: readonly Trouble[] = [];
  readKeys = (): number => 2;

  constructor(world: ClusterWorld, clustered: Clustered) {
    const { node } = clustered;
    const count = world.nodes.length;
    const emit = (event: ClusterEvent) => this.events.push(event);
    const now = () => world.clock(clustered);
    this.telling = new ClusterTelling({
      node,
      nameOf: (id) => `n${id}`,
      nodeOf: (sid) => nodeOfSid(sidLayout(count), sid),
      solo: () => this.solo,
      troubles: () => this.troubles,
      emit,
      now: now(),
    });
    this.operations = new ClusterOperations({
      config: clusterConfig(clustered.id, count),
      node,
      give: (input) => world.give(clustered, input),
      now,
      ikeSas: () => ({ active: 0, passive: 0, unsynced: node.unsynced.size, solo: this.solo }),
      sasOf: () => (segment) => ({ ikeSas: segment, childSas: 2 * segment }),
      drops: () => clustered.counters.read(),
      rekey: async (segments) => {
        this.rekeyed.push(...segments);
        return segments.size;
      },
      readKeys: () => this.readKeys(),
      fail: (order) => this.failures.push(order),
      emit,
    });
    this.operations.add({
      figures: () => this.telling.figures,
      troubles: () => this.troubles,
    });
  }

  /** Events of these kinds, from the `from`-th on. */
  told<Kind extends ClusterEvent['kind']>(kind: Kind, from = 0) {
    type One = Extract<ClusterEvent, { readonly kind: Kind }>;
    const isOne = (event: ClusterEvent): event is One => event.kind === kind;
    return this.events.slice(from).filter(isOne);
  }
}

export class OperatedWorld {
  readonly world: ClusterWorld;
  readonly #operated = new Map<Clustered, Operated>();

  /** Nodes that have found each other and are in step. */
  constructor(count: number, options: ClusterOptions = {}) {
    this.world = new ClusterWorld(1, count, options);
    this.world.turned = (clustered, actions) => {
      const one = this.#of(clustered);
      one.telling.turn(actions, this.world.clock(clustered));
      one.operations.turned();
    };
    this.world.start();
    this.world.run(SETTLING_MS);
  }

  node(id: number): Operated {
    return this.#of(this.world.node(id));
  }

  /** The outcome of an order, after as much time as it takes. */
  async order(id: number, order: ClusterOrder, milliseconds = 3000) {
    const outcome = this.node(id).operations.order(order);
    this.world.run(milliseconds);
    return outcome;
  }

  #of(clustered: Clustered): Operated {
    const known = this.#operated.get(clustered);
    if (known) return known;
    const one = new Operated(this.world, clustered);
    this.#operated.set(clustered, one);
    return one;
  }
}

function clusterConfig(self: number, count: number): ClusterConfig {
  const nodes = Array.from(
    { length: count },
    (_, index) => `n${index + 1} { addrs = 10.77.0.${index + 1} }`,
  );
  const secret = `0x${'5a'.repeat(32)}`;
  const lines = [`self = n${self}`, `secret = ${secret}`, 'segments = 8', 'nodes {', ...nodes, '}'];
  const { cluster } = load(`cluster {\n${lines.join('\n')}\n}`);
  if (!cluster) throw new Error('a configuration without a cluster');
  return cluster;
}
