/** Cluster nodes with IKE engines over a hostile network, on a simulated clock. */
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { type ClusterSettings, DEFAULT_TIMINGS } from '../../src/cluster/cluster-settings.ts';
import { ClusterPools } from '../../src/cluster/pools/cluster-pools.ts';
import { segmentHash } from '../../src/cluster/segment-hash.ts';
import { sidLayout, sidOf } from '../../src/cluster/sid.ts';
import {
  ClusterNode,
  type ClusterNodeAction,
  type ClusterNodeInput,
} from '../../src/gateway/cluster/cluster-node.ts';
import type { IkeSettings } from '../../src/ike/settings.ts';
import type { ChildSequences } from '../../src/ike/snapshot.ts';
import type { PoolPolicy } from '../../src/ipsec/address-pool.ts';
import type { Spi } from '../../src/ipsec/spi.ts';
import { earliest, type Instant, instant } from '../../src/wire/instant.ts';
import { HostileNetwork, type NetworkFaults, PERFECT } from './hostile-network.ts';
import { Side } from './pair.ts';
import { clusterKey } from './sealed-pair.ts';
import { seededRandom } from './seeded-random.ts';

export const SEGMENTS = 8;
export const HASH = segmentHash(SEGMENTS, 0x5eed);

export interface ClusterOptions {
  readonly faults?: NetworkFaults;
  readonly alone?: ClusterSettings['alone'];
  /** Of a node at its start; the same one key unless told. */
  readonly ring?: (id: number, boot: number) => KeyRing;
  /** Pools that all nodes lease from; unset: each has its own, and none in it. */
  readonly pools?: readonly PoolPolicy[];
  readonly rekeysPerSecond?: number;
  readonly engine?: Partial<IkeSettings>;
}

export class Clustered {
  readonly id: number;
  readonly node: ClusterNode;
  readonly side: Side;
  readonly counters: BusCounters;
  readonly pools: ClusterPools | undefined;
  readonly actions: { readonly at: Instant; readonly action: ClusterNodeAction }[] = [];
  /** Dead ones hear nothing and say nothing. */
  isUp = true;

  constructor(
    id: number,
    { node, side, counters, pools }: Pick<Clustered, 'node' | 'side' | 'counters' | 'pools'>,
  ) {
    this.id = id;
    this.pools = pools;
    this.node = node;
    this.side = side;
    this.counters = counters;
  }

  did<Kind extends ClusterNodeAction['kind']>(kind: Kind) {
    return this.actions.flatMap(({ at, action }) => (action.kind === kind ? [{ at, action }] : []));
  }
}

export class ClusterWorld {
  readonly network: HostileNetwork;
  readonly nodes: Clustered[];
  now: Instant = instant(1000);
  /** What nodes have on disk of their pools. */
  readonly disks = new Map<number, Uint8Array>();
  /** What a node's engine wants done. */
  perform: (node: Clustered, action: Extract<ClusterNodeAction, { kind: 'ike' }>) => void =
    () => {};
  /** After each input of a node. */
  turned: (node: Clustered, actions: readonly ClusterNodeAction[]) => void = () => {};
  /** Told of all that a node does. */
  observe: (node: Clustered, action: ClusterNodeAction) => void = () => {};
  /** A node has done all that came of an input. */
  concluded: (node: Clustered) => void = () => {};
  /** A node is to say when nothing of a batch leaves any more. */
  freeze: (node: Clustered, batch: number) => void = (node, batch) =>
    this.give(node, { kind: 'frozen', batch });
  readonly #seed: number;
  readonly #count: number;
  readonly #options: ClusterOptions;

  constructor(seed: number, count: number, options: ClusterOptions = {}) {
    this.#seed = seed;
    this.#count = count;
    this.#options = options;
    this.network = new HostileNetwork(seed, options.faults ?? PERFECT);
    this.nodes = Array.from({ length: count }, (_, index) => this.#make(index + 1, 1));
  }

  start(): void {
    for (const node of this.nodes) this.give(node, { kind: 'start' });
  }

  node(id: number): Clustered {
    const node = this.nodes[id - 1];
    if (!node) throw new RangeError(`node ${id}`);
    return node;
  }

  crash(id: number): void {
    this.node(id).isUp = false;
  }

  restart(id: number, boot: number): void {
    this.nodes[id - 1] = this.#make(id, boot);
    this.give(this.node(id), { kind: 'start' });
  }

  give(node: Clustered, input: ClusterNodeInput): void {
    if (!node.isUp) return;
    const frozen: number[] = [];
    const actions = node.node.handle(input, this.clock(node));
    for (const action of actions) {
      node.actions.push({ at: this.now, action });
      this.observe(node, action);
      if (action.kind === 'send') {
        const { peer: to, path, octets } = action;
        this.network.send({ from: node.id, to, path, octets }, this.now);
      } else if (action.kind === 'ike') {
        this.perform(node, action);
      } else if (action.kind === 'freeze') {
        frozen.push(action.batch);
      }
    }
    this.turned(node, actions);
    for (const batch of frozen) this.freeze(node, batch);
    this.concluded(node);
  }

  /** Clocks of nodes have nothing to do with one another. */
  clock({ side }: Clustered): Instant {
    return instant(this.now + side.skewMs);
  }

  get next(): Instant | undefined {
    const deadlines = this.nodes.flatMap((one) =>
      one.isUp ? [instant(one.node.nextDeadline() - one.side.skewMs)] : [],
    );
    return earliest(this.network.next, ...deadlines);
  }

  /** Everything that is due. */
  step(now: Instant): void {
    this.now = now;
    for (const { to, path, octets } of this.network.arrivals(now)) {
      this.give(this.node(to), { kind: 'datagram', path, octets });
    }
    for (const node of this.nodes) {
      if (node.isUp && node.node.nextDeadline() <= this.clock(node))
        this.give(node, { kind: 'time' });
    }
  }

  run(milliseconds: number): void {
    const end = instant(this.now + milliseconds);
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error('the world does not come to rest');
      const next = this.next;
      if (next === undefined || next > end) break;
      this.step(instant(Math.max(this.now, next)));
    }
    this.now = end;
  }

  /** Who may transmit for each segment now; throws for two. */
  owners(): readonly (number | undefined)[] {
    return Array.from({ length: SEGMENTS }, (_, segment) => {
      const owners = this.nodes.filter(({ isUp, node: { coordinator }, ...one }) => {
        const now = this.now + one.side.skewMs;
        return isUp && coordinator.owns(segment) && now < coordinator.leaseUntil;
      });
      if (owners.length > 1) throw new Error(`segment ${segment} has ${owners.length} owners`);
      return owners[0]?.id;
    });
  }

  /** Every node has been told everything. */
  get isSettled(): boolean {
    const up = this.nodes.filter(({ isUp }) => isUp);
    return (
      up.every(({ node }) => node.coordinator.demotion.total === 0) &&
      this.owners().every((owner) => owner !== undefined)
    );
  }

  #make(id: number, boot: number): Clustered {
    const settings = this.#settings(id);
    const counters = new BusCounters();
    const skewMs = 1_000_003 * id + boot;
    const sid = sidOf(sidLayout(this.#count), id, boot);
    const seed = this.#seed * 1000 + id * 10 + boot;
    const late: { node?: ClusterNode } = {};
    const epochOf = (spi: Parameters<ClusterNode['epochOf']>[0]) => late.node?.epochOf(spi) ?? 0;
    const heardSequences = (spiIn: Spi, then: ChildSequences | undefined) =>
      then && late.node?.sequencesSince(spiIn, then);
    const pools = this.#pools(id, sid, seed);
    const side = new Side('b', seed, this.#options.engine ?? {}, {
      ...{ sid, skewMs, epochOf, heardSequences },
      ...(pools && { pools }),
    });
    const node = new ClusterNode({
      settings,
      life: { boot, epochFloor: 0, nonce: seed },
      mesh: {
        paths: 2,
        ring: this.#options.ring?.(id, boot) ?? new KeyRing(clusterKey(1)),
        random: seededRandom(seed + 7),
        counters,
      },
      hash: HASH,
      engine: side.engine,
      ...(pools && { pools }),
      rekeysPerSecond: this.#options.rekeysPerSecond ?? 200,
      now: instant(this.now + skewMs),
    });
    late.node = node;
    return new Clustered(id, { node, side, counters, pools });
  }

  #pools(self: number, sid: number, seed: number): ClusterPools | undefined {
    const { pools: policies } = this.#options;
    if (!policies) return undefined;
    const nodes = Array.from({ length: this.#count }, (_, index) => index + 1);
    const random = seededRandom(seed + 11);
    const pools = new ClusterPools({ hash: HASH, self, nodes, sid, random });
    for (const policy of policies) pools.load(policy);
    pools.restore(this.disks.get(self) ?? new Uint8Array(0));
    return pools;
  }

  #settings(self: number): ClusterSettings {
    return {
      self,
      members: Array.from({ length: this.#count }, (_, index) => {
        return { node: index + 1, name: `n${index + 1}`, weight: 1 };
      }),
      segments: SEGMENTS,
      timings: DEFAULT_TIMINGS,
      alone: this.#options.alone ?? 'take',
      preempt: true,
      advbase: 1,
      advskew: 0,
      place: (candidates) =>
        Array.from(
          { length: SEGMENTS },
          (_, segment) => candidates[segment % candidates.length]?.node ?? 0,
        ),
      configuration: [],
      capabilities: [],
    };
  }
}
