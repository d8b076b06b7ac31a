/** Nodes of the built-in bus over a hostile network, on a simulated clock. */
import type { BusEvent, BusRequest } from '../../src/cluster/bus/bus.ts';
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { UdpBus, type UdpBusAction, type UdpBusInput } from '../../src/cluster/bus/udp-bus.ts';
import { earliest, type Instant, instant } from '../../src/wire/instant.ts';
import { HostileNetwork, type NetworkFaults, PERFECT } from './hostile-network.ts';
import { clusterKey } from './sealed-pair.ts';
import { seededRandom } from './seeded-random.ts';

export class BusNode {
  readonly id: number;
  readonly counters: BusCounters;
  bus: UdpBus<string>;
  isRunning = true;
  seen: { readonly at: Instant; readonly action: UdpBusAction<string> }[] = [];

  constructor(id: number, counters: BusCounters, bus: UdpBus<string>) {
    this.id = id;
    this.counters = counters;
    this.bus = bus;
  }

  get events(): readonly BusEvent[] {
    return this.seen.flatMap(({ action }) => (action.kind === 'event' ? [action.event] : []));
  }

  /** The value of a key as text. */
  value(key: string): string | undefined {
    const value = this.bus.get(key)?.value;
    return value && Buffer.from(value).toString('latin1');
  }

  /** Events about one request, by kind. */
  fate(id: number): readonly string[] {
    return this.events.flatMap((event) =>
      'id' in event && event.id === id
        ? [event.kind === 'refused' ? `refused ${event.reason}` : event.kind]
        : [],
    );
  }
}

export class BusWorld {
  readonly network: HostileNetwork;
  readonly nodes: readonly BusNode[];
  readonly #ids: readonly number[];
  #seed: number;
  #request = 0;
  now: Instant = instant(1000);

  constructor(seed: number, nodes = 3, faults: NetworkFaults = PERFECT) {
    this.#seed = seed;
    this.network = new HostileNetwork(seed, faults);
    this.#ids = Array.from({ length: nodes }, (_, index) => index + 1);
    this.nodes = this.#ids.map((id) => {
      const counters = new BusCounters();
      return new BusNode(id, counters, this.#bus(id, counters));
    });
    for (const node of this.nodes) this.give(node, { kind: 'start' });
  }

  node(id: number): BusNode {
    const node = this.nodes[id - 1];
    if (!node) throw new RangeError(`node ${id}`);
    return node;
  }

  crash(id: number): void {
    this.node(id).isRunning = false;
  }

  /** With nothing in memory. */
  restart(id: number): void {
    const node = this.node(id);
    node.isRunning = true;
    node.seen = [];
    node.bus = this.#bus(id, node.counters);
    this.give(node, { kind: 'start' });
  }

  /** Answers the number of the request. */
  put(id: number, key: string, text: string | undefined, epoch = 0): number {
    const request = ++this.#request;
    const value = text === undefined ? undefined : Buffer.from(text, 'latin1');
    this.give(this.node(id), { kind: 'put', id: request, key, value, epoch });
    return request;
  }

  /** Compares with what the node itself has, or with `expected`. */
  set(
    id: number,
    key: string,
    text: string,
    expected?: Extract<BusRequest, { readonly kind: 'compare-and-set' }>['expected'],
  ): number {
    const request = ++this.#request;
    const value = Buffer.from(text, 'latin1');
    const input = { kind: 'compare-and-set', id: request, key, value, expected } as const;
    this.give(this.node(id), input);
    return request;
  }

  give(node: BusNode, input: UdpBusInput<string>): void {
    for (const action of node.bus.handle(input, this.now)) {
      if (action.kind !== 'send') node.seen.push({ at: this.now, action });
      else {
        const { peer: to, path, octets } = action;
        this.network.send({ from: node.id, to, path, octets }, this.now);
      }
    }
  }

  /** Only those within one group hear one another. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.network.passes = ({ from, to }) =>
      groups.length === 0 || groups.some((group) => group.includes(from) && group.includes(to));
  }

  run(milliseconds: number): void {
    const end = instant(this.now + milliseconds);
    for (let steps = 0; ; steps++) {
      if (steps > 1_000_000) throw new Error('the world does not come to rest');
      const running = this.nodes.filter(({ isRunning }) => isRunning);
      const next = earliest(this.network.next, ...running.map(({ bus }) => bus.nextDeadline()));
      if (next === undefined || next > end) break;
      this.now = instant(Math.max(this.now, next));
      for (const { to, path, octets } of this.network.arrivals(this.now)) {
        const node = this.node(to);
        if (node.isRunning) this.give(node, { kind: 'datagram', path, octets });
      }
      for (const node of running) {
        const deadline = node.bus.nextDeadline();
        if (deadline !== undefined && deadline <= this.now) this.give(node, { kind: 'time' });
      }
    }
    this.now = end;
  }

  #bus(local: number, counters: BusCounters): UdpBus<string> {
    return new UdpBus<string>({
      local,
      peers: this.#ids.filter((id) => id !== local),
      paths: 2,
      ring: new KeyRing(clusterKey(1)),
      random: seededRandom(this.#seed++ * 100 + local),
      counters,
    });
  }
}
