/** Traffic that comes to whichever node, while segments move and nodes die: over a simulated network. */
import assert from 'node:assert/strict';
import { segmentOfSpi } from '../../../src/cluster/segment-hash.ts';
import { chooseSpi } from '../../../src/cluster/spi-choice.ts';
import type { ClusterNodeAction } from '../../../src/gateway/cluster/cluster-node.ts';
import { type ForwardAction, Forwarding } from '../../../src/gateway/cluster/forwarding.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { type Clustered, ClusterWorld, HASH, SEGMENTS } from '../../support/clustered-nodes.ts';
import { PERFECT } from '../../support/hostile-network.ts';
import { seededNumbers, seededRandom } from '../../support/seeded-random.ts';

/** Every millisecond a packet of each segment comes to some node. */
class Traffic {
  readonly world: ClusterWorld;
  /** By number of the packet: the nodes that handled it. */
  readonly handled = new Map<number, number[]>();
  sent = 0;
  /** By how many of its segment any packet was late. */
  latest = 0;
  readonly #newest = new Map<number, number>();
  readonly #forwarding = new Map<Clustered, Forwarding>();
  readonly #own = new Map<Clustered, Set<number>>();
  readonly #frozen: { readonly node: Clustered; readonly batch: number; readonly at: number }[] =
    [];
  /** Nodes and segments of which the packet loop handles nothing. */
  readonly #still = new Set<string>();
  readonly #spis: readonly number[];
  readonly #chance = seededNumbers(3);

  constructor(world: ClusterWorld) {
    this.world = world;
    const random = seededRandom(9);
    this.#spis = Array.from(
      { length: SEGMENTS },
      (_, segment) => chooseSpi({ hash: HASH, segment, random, isFree: () => true }) ?? 0,
    );
    world.observe = (node, action) => {
      this.#of(node).observe(action);
      const own = this.#own.get(node);
      if (action.kind === 'take') own?.add(action.segment);
      if (action.kind === 'release') own?.delete(action.segment);
      this.#stand(node, action);
      if (action.kind !== 'told') return;
      this.#perform(node, this.#of(node).receive(action.message, world.clock(node)));
    };
    world.concluded = (node) => {
      this.#perform(node, this.#of(node).settle(world.clock(node)));
    };
    // The packet loop takes a moment.
    world.freeze = (node, batch) => {
      this.#frozen.push({ node, batch, at: world.now + 1.5 });
    };
  }

  run(milliseconds: number, isOn = true): void {
    for (let at = 0; at < milliseconds; at += 0.5) {
      for (const { node, batch } of this.#frozen.filter((one) => this.world.now >= one.at)) {
        this.world.give(node, { kind: 'frozen', batch });
      }
      this.#frozen.splice(0, Infinity, ...this.#frozen.filter((one) => this.world.now < one.at));
      if (isOn && at % 1 === 0) this.#send();
      this.world.run(0.5);
      for (const node of this.world.nodes) this.world.concluded(node);
    }
  }

  get held(): number {
    return [...this.#forwarding.values()].reduce((sum, one) => sum + one.held, 0);
  }

  #send(): void {
    const up = this.world.nodes.filter(({ isUp }) => isUp);
    for (const spiIn of this.#spis) {
      const node = up[Math.floor(this.#chance() * up.length)];
      if (!node) return;
      const octets = new Uint8Array(1400);
      new DataView(octets.buffer).setUint32(0, this.sent++);
      const packet = { kind: 'read', octets, spiIn: spi(spiIn) } as const;
      this.#perform(node, this.#of(node).handOn(packet, this.world.clock(node)));
    }
  }

  #stand({ id }: Clustered, action: ClusterNodeAction): void {
    if (action.kind === 'freeze')
      for (const { segment } of action.segments) this.#still.add(`${id} ${segment}`);
    else if (action.kind === 'thaw')
      for (const { segment } of action.segments) this.#still.delete(`${id} ${segment}`);
    else if (action.kind === 'take') this.#still.delete(`${id} ${action.segment}`);
  }

  #perform(node: Clustered, actions: readonly ForwardAction[]): void {
    for (const action of actions) {
      if (action.kind === 'tell') {
        const { to, message } = action;
        this.world.give(node, { kind: 'tell', to, message, delivery: 'expendable' });
      } else if (action.kind === 'packet') {
        const { coordinator } = node.node;
        assert.ok(this.world.clock(node) < coordinator.leaseUntil, 'the lease holds');
        const segment = segmentOfSpi(action.spiIn, HASH);
        assert.ok(!this.#still.has(`${node.id} ${segment}`), 'the packet loop handles it');
        const number = new DataView(action.packet.octets.buffer).getUint32(0);
        const newest = Math.max(number, this.#newest.get(segment) ?? 0);
        this.#newest.set(segment, newest);
        this.latest = Math.max(this.latest, (newest - number) / SEGMENTS);
        this.handled.set(number, [...(this.handled.get(number) ?? []), node.id]);
      }
    }
  }

  #of(node: Clustered): Forwarding {
    const known = this.#forwarding.get(node);
    if (known) return known;
    const own = new Set<number>();
    const { coordinator } = node.node;
    const forwarding = new Forwarding({
      self: node.id,
      hash: HASH,
      sourceSeed: 1,
      view: {
        owns: (segment) => own.has(segment),
        ownerOf: (segment) => coordinator.ownerOf(segment)?.node,
        isFollowed: () => false,
        isHeard: (other) => coordinator.view.includes(other),
      },
    });
    this.#own.set(node, own);
    this.#forwarding.set(node, forwarding);
    return forwarding;
  }
}

function settled(count: number, seed: number): Traffic {
  const world = new ClusterWorld(seed, count, { faults: { ...PERFECT, jitter: 0.3 } });
  const traffic = new Traffic(world);
  world.start();
  traffic.run(3000, false);
  assert.ok(world.isSettled);
  return traffic;
}

describe('Traffic of a cluster that comes to any node', () => {
  for (const count of [2, 3]) {
    it(`is all handled once, also while one of ${count} nodes is drained and comes back`, () => {
      const traffic = settled(count, count);
      const { world } = traffic;
      traffic.run(20);
      const before = [...traffic.handled.values()].flat();
      assert.deepEqual(
        [...new Set(before)].toSorted(),
        world.nodes.map(({ id }) => id),
      );
      world.give(world.node(1), { kind: 'order', order: { kind: 'drain' } });
      traffic.run(400);
      assert.equal(world.node(1).node.coordinator.owned, 0);
      world.give(world.node(1), { kind: 'order', order: { kind: 'undrain' } });
      traffic.run(800);
      assert.ok(world.node(1).node.coordinator.owned > 0);
      traffic.run(10, false);
      const lost = Array.from({ length: traffic.sent }, (_, number) => number).filter(
        (number) => traffic.handled.get(number)?.length !== 1,
      );
      assert.deepEqual(lost, []);
      assert.equal(traffic.handled.size, traffic.sent);
      assert.equal(traffic.held, 0);
      // What waited for the move is in front of what came behind it.
      assert.ok(traffic.latest <= 1, `${traffic.latest} packets late`);
    });
  }

  it('is lost for no longer than a take-over when its owner dies, and never handled twice', () => {
    const traffic = settled(3, 4);
    const { world } = traffic;
    traffic.run(50);
    world.crash(1);
    const crashed = traffic.sent;
    traffic.run(400);
    const later = traffic.sent;
    traffic.run(100);
    traffic.run(200, false);
    for (const [number, nodes] of traffic.handled)
      assert.equal(nodes.length, 1, `packet ${number}`);
    const isHandled = (number: number) => traffic.handled.has(number);
    const numbers = Array.from({ length: traffic.sent }, (_, number) => number);
    assert.deepEqual(
      numbers.slice(later).filter((number) => !isHandled(number)),
      [],
    );
    const lost = numbers.slice(crashed, later).filter((number) => !isHandled(number)).length;
    assert.ok(lost > 0 && lost < 400 * SEGMENTS, `${lost}`);
  });
});
