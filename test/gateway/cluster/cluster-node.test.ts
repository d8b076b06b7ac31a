/** Nodes of a cluster over a simulated network: who has what, and what happens when one goes. */
import assert from 'node:assert/strict';
import { type ClusterOptions, ClusterWorld } from '../../support/clustered-nodes.ts';

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

  it('settles over a network that loses, repeats and damages', () => {
    const world = settled(3, { faults: HOSTILE });
    assert.ok(world.isSettled);
  });
});
