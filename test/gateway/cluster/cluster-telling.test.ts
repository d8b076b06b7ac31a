/** What happens in a cluster, as its nodes tell it. */
import assert from 'node:assert/strict';
import { OperatedWorld } from '../../support/operated-nodes.ts';

describe('What a node of a cluster tells', () => {
  it('a start: nodes come, state is fetched, segments are taken, each once', () => {
    const { events } = new OperatedWorld(2).node(1);
    const told = events.map(({ kind }) => kind);
    assert.equal(told.filter((kind) => kind === 'cluster-node-up').length, 1);
    assert.equal(told.filter((kind) => kind === 'cluster-synced').length, 1);
    assert.ok(!told.includes('cluster-take-over'));
    const last = events.findLast(({ kind }) => kind.startsWith('cluster-segments-'));
    assert.ok(last && 'owned' in last);
    assert.equal(last.owned, 4);
  });

  it('a crash: the node is silent, and its segments are taken over within 400 ms, as one', () => {
    const test = new OperatedWorld(2);
    const survivor = test.node(2);
    const from = survivor.events.length;
    test.world.crash(1);
    test.world.run(1000);
    assert.deepEqual(survivor.told('cluster-node-down', from), [
      { kind: 'cluster-node-down', reason: 'silent', node: 'n1', nodeId: 1 },
    ]);
    const taken = survivor.told('cluster-segments-taken', from);
    assert.deepEqual(taken, [
      {
        kind: 'cluster-segments-taken',
        reason: 'silent',
        gaps: 0,
        segments: '0,2,4,6',
        count: 4,
        owned: 8,
      },
    ]);
    const [takeOver] = survivor.told('cluster-take-over', from);
    assert.ok(takeOver);
    assert.equal(takeOver.node, 'n1');
    assert.equal(takeOver.count, 4);
    // Not before the wait of a take-over, and not later than what is promised.
    assert.ok(
      takeOver.milliseconds >= 300 && takeOver.milliseconds <= 400,
      `${takeOver.milliseconds}`,
    );
    assert.deepEqual(survivor.told('cluster-alone', from), [
      { kind: 'cluster-alone', alone: true },
    ]);
    const { figures } = survivor.telling;
    assert.equal(figures['take-overs'], 1);
    assert.equal(figures['take-over-segments'], 4);
    assert.equal(figures['take-over-last'], takeOver.milliseconds);
  });

  it('a goodbye is none', () => {
    const test = new OperatedWorld(3);
    const from = test.node(2).events.length;
    test.world.give(test.world.node(1), { kind: 'order', order: { kind: 'stop' } });
    test.world.crash(1);
    test.world.run(1000);
    const [down] = test.node(2).told('cluster-node-down', from);
    assert.equal(down?.reason, 'bye');
    assert.ok(
      test
        .node(2)
        .told('cluster-segments-taken', from)
        .every(({ gaps }) => gaps === 0),
    );
  });

  it('a drain, with how long it took', () => {
    const test = new OperatedWorld(2);
    const from = test.node(1).events.length;
    test.world.give(test.world.node(1), { kind: 'order', order: { kind: 'drain' } });
    test.world.run(1500);
    const node = test.node(1);
    assert.deepEqual(node.told('cluster-demoted', from), [
      { kind: 'cluster-demoted', reason: 'drain', amount: 240, demotion: 240 },
    ]);
    const released = node.told('cluster-segments-released', from);
    assert.ok(released.every(({ reason }) => reason === 'handed-over'));
    assert.equal(released.at(-1)?.owned, 0);
    const [drained] = node.told('cluster-drained', from);
    assert.ok(drained && drained.milliseconds > 0 && drained.milliseconds < 1500);
  });

  it('both of two that went on alone say so when they hear each other again, with the seconds', () => {
    const test = new OperatedWorld(2);
    test.world.network.passes = () => false;
    test.world.run(2400);
    test.world.network.passes = () => true;
    test.world.run(3000);
    for (const id of [1, 2]) {
      const node = test.node(id);
      const [healed, ...more] = node.told('cluster-split-brain-healed');
      assert.deepEqual(more, []);
      assert.equal(healed?.nodeId, 3 - id);
      assert.ok(healed.seconds >= 2 && healed.seconds <= 4, `${healed.seconds}`);
      assert.equal(node.telling.figures['split-brain-seconds'], healed.seconds);
    }
  });

  it('a node that is heard again is here again, with the process it was', () => {
    const test = new OperatedWorld(2);
    const [first] = test.node(2).told('cluster-node-up');
    test.world.network.passes = () => false;
    test.world.run(1000);
    assert.deepEqual(test.node(2).told('cluster-node-up'), [first]);
    test.world.network.passes = () => true;
    test.world.run(2000);
    assert.deepEqual(test.node(2).told('cluster-node-up'), [first, first]);
  });

  it('one that went on alone beside a dead one had no split brain', () => {
    const test = new OperatedWorld(2);
    test.world.crash(1);
    test.world.run(2000);
    test.world.restart(1, 2);
    test.world.run(3000);
    assert.deepEqual(test.node(2).told('cluster-split-brain-healed'), []);
    assert.equal(test.node(2).told('cluster-alone').length, 2);
  });

  it('trouble is told once, and once that it is over', () => {
    const test = new OperatedWorld(2);
    const node = test.node(1);
    const from = node.events.length;
    node.troubles = [
      { part: 'flooding', what: 'device wan: b is deaf' },
      { part: 'flooding', what: 'device lan: b is deaf' },
    ];
    test.world.run(3000);
    node.troubles = [];
    test.world.run(1500);
    const what = 'device wan: b is deaf; device lan: b is deaf';
    assert.deepEqual(
      node.events.slice(from).filter(({ kind }) => /trouble|mended/.test(kind)),
      [
        { kind: 'cluster-trouble', part: 'flooding', what },
        { kind: 'cluster-mended', part: 'flooding', what },
      ],
    );
  });

  it('what changes with every message is told once in a second', () => {
    const test = new OperatedWorld(2);
    const node = test.node(1);
    for (let solo = 1; solo <= 1000; solo++) {
      node.solo = solo;
      test.world.run(2);
    }
    const told = node.told('cluster-unsynced');
    assert.ok(told.length >= 2 && told.length <= 3, `${told.length}`);
    node.solo = 0;
    test.world.run(1500);
    assert.deepEqual(node.told('cluster-unsynced').at(-1), {
      kind: 'cluster-unsynced',
      ikeSas: 0,
      childSas: 0,
    });
  });
});
