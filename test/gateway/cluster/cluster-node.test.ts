/** Nodes of a cluster over a simulated network: who has what, and what happens when one goes. */
import assert from 'node:assert/strict';
import { BusCounters } from '../../../src/cluster/bus/bus-counters.ts';
import { KeyRing } from '../../../src/cluster/bus/cluster-key.ts';
import { Mesh, type MeshInput } from '../../../src/cluster/bus/mesh.ts';
import { type BusMessage, MessageType } from '../../../src/cluster/bus/message.ts';
import { encodeCoordinatorMessage } from '../../../src/cluster/coordinator-codec.ts';
import { encodeStateMessage } from '../../../src/gateway/cluster/state-message.ts';
import { ikeSpi } from '../../../src/ike/message/message.ts';
import { type ClusterOptions, ClusterWorld } from '../../support/clustered-nodes.ts';
import { clusterKey } from '../../support/sealed-pair.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { plainSnapshot } from '../../support/snapshots.ts';

function settled(count: number, options: ClusterOptions = {}, seed = 1): ClusterWorld {
  const world = new ClusterWorld(seed, count, options);
  world.start();
  world.run(3000);
  return world;
}

const HOSTILE = {
  loss: 0.05,
  duplication: 0.05,
  replay: 0.02,
  damage: 0.02,
  truncation: 0.02,
  delay: 0.3,
  jitter: 3,
};

describe('A node of a cluster', () => {
  for (const count of [2, 3]) {
    it(`shares the segments with others, ${count} in all, and all are told everything`, () => {
      const world = settled(count);
      assert.ok(world.isSettled);
      const owners = [0, 1, 2, 3, 4, 5, 6, 7].map((segment) => (segment % count) + 1);
      assert.deepEqual(world.owners(), owners);
    });

    it(`is taken over within 400 ms, of ${count}`, () => {
      const world = settled(count);
      world.crash(1);
      world.run(400);
      assert.ok(world.owners().every((owner) => owner !== undefined && owner !== 1));
      const takes = world.nodes.slice(1).flatMap((node) => node.did('take'));
      const since = takes.filter(({ at }) => at > 4000);
      assert.ok(since.length > 0);
      assert.ok(since.every(({ action }) => action.kind === 'take' && !action.gap));
    });

    it(`hands everything over when it is drained, of ${count}`, () => {
      const world = settled(count);
      world.give(world.node(1), { kind: 'order', order: { kind: 'drain' } });
      world.run(1500);
      assert.equal(world.node(1).node.coordinator.owned, 0);
      assert.ok(world.owners().every((owner) => owner !== undefined && owner !== 1));
      const kinds = world
        .node(1)
        .did('emit')
        .map(({ action }) => action);
      assert.ok(kinds.some((one) => one.kind === 'emit' && one.event.kind === 'drained'));
      const reasons = world
        .node(1)
        .did('release')
        .map(({ action }) => action);
      assert.ok(reasons.every((one) => one.kind === 'release' && one.reason === 'handed-over'));
    });
  }

  it('is taken over at once when it says that it ends', () => {
    const world = settled(3);
    world.give(world.node(1), { kind: 'order', order: { kind: 'stop' } });
    world.crash(1);
    world.run(3);
    assert.ok(world.owners().every((owner) => owner !== undefined));
  });

  it('has segments again after it started anew and was told everything', () => {
    const world = settled(3);
    world.crash(1);
    world.run(1000);
    world.restart(1, 2);
    world.run(3000);
    assert.ok(world.isSettled);
    assert.ok(world.owners().includes(1));
  });

  it('stops to transmit before others begin, when it is cut off', () => {
    const world = settled(3);
    world.network.passes = ({ from, to }) => from !== 1 && to !== 1;
    // `owners` throws for two.
    for (let at = 0; at < 500; at++) {
      world.run(1);
      world.owners();
    }
    assert.ok(world.owners().every((owner) => owner !== undefined && owner !== 1));
  });

  it('has its key replaced in three rounds, and is understood in each', () => {
    const [old, fresh] = [clusterKey(1), clusterKey(2)];
    // Of a node that starts anew when all have both.
    const ring = (_id: number, boot: number) =>
      boot === 1 ? new KeyRing(old) : new KeyRing(fresh, old);
    const world = settled(2, { ring });
    const round = (...keys: [typeof old, typeof old?]) => {
      for (const node of world.nodes) {
        world.give(node, { kind: 'keys', ring: new KeyRing(...keys) });
        world.run(200);
        assert.deepEqual(world.node(1).node.coordinator.view, [2]);
      }
    };
    round(old, fresh);
    round(fresh, old);
    world.restart(2, 2);
    world.run(3000);
    assert.ok(world.isSettled);
    round(fresh);
    // A process that has the old key only is a stranger.
    world.restart(1, 1);
    world.run(2000);
    assert.deepEqual(world.node(2).node.coordinator.view, []);
  });

  it('settles over a network that loses, repeats and damages', () => {
    const world = settled(3, { faults: HOSTILE });
    assert.ok(world.isSettled);
  });

  it('believes of a member only what it says of itself, and counts what is no message', () => {
    const world = settled(3);
    world.crash(2);
    const mesh = new Mesh<number>({
      local: 2,
      peers: [1],
      paths: 1,
      ring: new KeyRing(clusterKey(1)),
      random: seededRandom(99),
      counters: new BusCounters(),
    });
    const victim = world.node(1);
    const exchange = (input: MeshInput<number>): void => {
      for (const action of mesh.handle(input, world.now)) {
        if (action.kind !== 'send') continue;
        world.give(victim, { kind: 'datagram', path: 0, octets: action.octets });
      }
    };
    world.network.onSend = ({ from, to, octets }) => {
      if (from === 1 && to === 2) exchange({ kind: 'datagram', path: 0, octets });
    };
    exchange({ kind: 'start' });
    for (let at = 0; at < 20; at++) {
      world.run(1);
      exchange({ kind: 'time' });
    }
    assert.deepEqual(mesh.connected, [1]);
    const say = (message: BusMessage): void => {
      exchange({ kind: 'message', to: 1, message, delivery: 'overtaking', tag: 0 });
      exchange({ kind: 'time' });
    };
    const { sid } = world.node(3).node.coordinator;
    say(encodeCoordinatorMessage({ kind: 'bye', node: 3, sid }));
    say(encodeStateMessage({ kind: 'snapshot-request', sid, whole: true }));
    say({ type: MessageType.IKE_PUT, body: Uint8Array.of(1, 2, 3) });
    say({ type: MessageType.HEARTBEAT, body: new Uint8Array(0) });
    say({ type: 60_000, body: new Uint8Array(0) });
    assert.equal(victim.counters.of('malformed-message'), 4);
    assert.equal(victim.counters.of('unknown-message'), 1);
    assert.ok(victim.node.coordinator.view.includes(3));
  });

  it('is told of more IKE SAs than wait for a node at a time, and of each one', () => {
    const world = settled(2);
    const [teller, joiner] = [world.node(1), world.node(2)];
    const one = plainSnapshot();
    const snapshots = Array.from({ length: MANY }, (_, number) => ({
      ...one,
      spiI: ikeSpi(Uint8Array.of(7, 0, 0, 0, 0, 0, number >> 8, number & 0xff)),
      children: [],
      mappingSeen: new Uint8Array(LARGE),
    }));
    world.crash(2);
    world.run(1000);
    const bundle = { snapshots, gone: [] };
    teller.side.engine.handle({ kind: 'install-snapshots', bundle }, world.clock(teller));
    world.restart(2, 2);
    world.run(4000);
    const anew = world.node(2);
    assert.equal(anew.side.engine.passive, MANY);
    assert.ok(!anew.node.coordinator.demotion.has('boot'));
    assert.equal(joiner.side.engine.passive, 0);
  });
});

/** Together more octets than may wait for a node. */
const MANY = 1700;
const LARGE = 5000;
