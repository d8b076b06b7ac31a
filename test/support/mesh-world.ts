/** Meshes of several nodes over a hostile network, on a simulated clock. */
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import type { Delivery } from '../../src/cluster/bus/channel.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { Mesh, type MeshAction, type MeshInput } from '../../src/cluster/bus/mesh.ts';
import { earliest, type Instant, instant } from '../../src/wire/instant.ts';
import { HostileNetwork, type NetworkFaults, PERFECT } from './hostile-network.ts';
import { clusterKey } from './sealed-pair.ts';
import { seededRandom } from './seeded-random.ts';

/** Everything but datagrams, and when. */
export type Seen = { readonly at: Instant; readonly action: MeshAction<string> };

export class MeshNode {
  readonly id: number;
  readonly counters = new BusCounters();
  seen: Seen[] = [];
  mesh: Mesh<string>;

  constructor(id: number, mesh: Mesh<string>) {
    this.id = id;
    this.mesh = mesh;
  }

  /** Bodies of what was received of a delivery, as text. */
  received(delivery: string): readonly string[] {
    return this.seen.flatMap(({ action }) =>
      action.kind === 'received' && action.delivery === delivery
        ? [Buffer.from(action.message.body).toString('latin1')]
        : [],
    );
  }

  tags(kind: 'acknowledged' | 'undelivered' | 'refused'): readonly string[] {
    return this.seen.flatMap(({ action }) => (action.kind === kind ? [action.tag] : []));
  }
}

export interface WorldOptions {
  readonly faults?: NetworkFaults;
  readonly nodes?: number;
  readonly rollMilliseconds?: number;
  readonly rollDatagrams?: number;
}

export class MeshWorld {
  readonly network: HostileNetwork;
  readonly nodes: readonly MeshNode[];
  readonly #options: WorldOptions;
  readonly #ids: readonly number[];
  #seed: number;
  now: Instant = instant(1000);
  /** Called after each action of a node, while a test looks at the order of things. */
  onAction: (node: MeshNode, action: MeshAction<string>) => void = () => {};

  constructor(seed: number, options: WorldOptions = {}) {
    this.#seed = seed;
    this.#options = options;
    this.network = new HostileNetwork(seed, options.faults ?? PERFECT);
    this.#ids = Array.from({ length: options.nodes ?? 2 }, (_, index) => index + 1);
    this.nodes = this.#ids.map((id) => {
      const node = new MeshNode(id, this.#mesh(id, new BusCounters()));
      node.mesh = this.#mesh(id, node.counters);
      return node;
    });
    for (const node of this.nodes) this.give(node, { kind: 'start' });
  }

  node(id: number): MeshNode {
    const node = this.nodes[id - 1];
    if (!node) throw new RangeError(`node ${id}`);
    return node;
  }

  restart(id: number): void {
    const node = this.node(id);
    node.mesh = this.#mesh(id, node.counters);
    this.give(node, { kind: 'start' });
  }

  give(node: MeshNode, input: MeshInput<string>): void {
    for (const action of node.mesh.handle(input, this.now)) {
      this.onAction(node, action);
      if (action.kind !== 'send') node.seen.push({ at: this.now, action });
      else {
        const { peer: to, path, octets } = action;
        this.network.send({ from: node.id, to, path, octets }, this.now);
      }
    }
  }

  say(from: number, to: number, text: string, delivery: Delivery = 'urgent'): void {
    const message = { type: 7, body: Buffer.from(text, 'latin1') };
    this.give(this.node(from), { kind: 'message', to, message, delivery, tag: text });
  }

  run(milliseconds: number): void {
    const end = instant(this.now + milliseconds);
    for (let steps = 0; ; steps++) {
      if (steps > 1_000_000) throw new Error('the world does not come to rest');
      const deadlines = this.nodes.map(({ mesh }) => mesh.nextDeadline());
      const next = earliest(this.network.next, ...deadlines);
      if (next === undefined || next > end) break;
      this.now = instant(Math.max(this.now, next));
      for (const { to, path, octets } of this.network.arrivals(this.now)) {
        this.give(this.node(to), { kind: 'datagram', path, octets });
      }
      for (const node of this.nodes) {
        const deadline = node.mesh.nextDeadline();
        if (deadline !== undefined && deadline <= this.now) this.give(node, { kind: 'time' });
      }
    }
    this.now = end;
  }

  #mesh(local: number, counters: BusCounters): Mesh<string> {
    const { rollMilliseconds, rollDatagrams } = this.#options;
    return new Mesh<string>({
      local,
      peers: this.#ids.filter((id) => id !== local),
      paths: 2,
      ring: new KeyRing(clusterKey(1)),
      random: seededRandom(this.#seed++ * 100 + local),
      counters,
      ...(rollMilliseconds ? { rollMilliseconds } : {}),
      ...(rollDatagrams ? { rollDatagrams } : {}),
    });
  }
}
