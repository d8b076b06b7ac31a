/** Orders to a node of a cluster, and what it lists, over nodes on a simulated clock. */
import assert from 'node:assert/strict';
import { OperatedWorld } from '../../support/operated-nodes.ts';

describe('Operating a node of a cluster', () => {
  it('lists itself and the others as they are', () => {
    const test = new OperatedWorld(3);
    test.world.crash(3);
    test.world.run(1000);
    const view = test.node(1).operations.status();
    assert.equal(view.node, 'n1');
    assert.equal(view.sid, test.world.node(1).node.coordinator.sid);
    assert.deepEqual([view.segments, view.owned, view.alone, view.synced], [8, 4, false, true]);
    assert.equal(view.lease, 'valid');
    assert.ok((view.leaseLeft ?? 0) > 0 && (view.leaseLeft ?? 0) <= 245);
    assert.equal((view.leaseLeft ?? 0) + (view.leaseAge ?? 0), 245);
    const [first, second, third] = view.members;
    assert.equal(first?.state, 'self');
    assert.equal(second?.state, 'up');
    assert.ok((second?.heard ?? 1000) <= 100);
    assert.equal(second?.synced, true);
    assert.equal(third?.state, 'silent');
    assert.equal(third?.owned, 0);
    assert.equal((first?.owned ?? 0) + (second?.owned ?? 0), 8);
    assert.ok((view.metrics.epoch ?? 0) > 0);
    assert.equal(test.world.node(1).node.figures['rekeys-due'], 0);
    assert.equal(view.metrics['take-overs'], test.node(1).told('cluster-take-over').length);
  });

  it('lists segments with their owner, epoch and SAs', () => {
    const test = new OperatedWorld(2);
    const rows = test.node(1).operations.segments();
    assert.deepEqual(
      rows.map(({ owner, here }) => [owner, here]),
      [0, 1, 2, 3, 4, 5, 6, 7].map((one) => [one % 2 === 0 ? 'n1' : 'n2', one % 2 === 0]),
    );
    assert.ok(rows.every(({ epoch }) => epoch > 0));
    assert.deepEqual([rows[3]?.ikeSas, rows[3]?.childSas], [3, 6]);
  });

  it('takes segments of others, and says how long it took', async () => {
    const test = new OperatedWorld(2);
    const outcome = await test.order(1, { kind: 'take', segments: [0, 1, 3] });
    assert.equal(outcome.kind, 'done');
    assert.ok(outcome.kind === 'done' && outcome.milliseconds > 0);
    assert.match(outcome.what, /^3 segments are here after \d+ ms$/);
    const { coordinator } = test.world.node(1).node;
    assert.ok([0, 1, 3].every((one) => coordinator.owns(one)));
    // They stay: placement does not take them back.
    test.world.run(5000);
    assert.ok([0, 1, 3].every((one) => coordinator.owns(one)));
    const again = await test.order(1, { kind: 'take', segments: [1] });
    assert.equal(again.kind === 'done' && again.what, '1 segment is here already');
    await test.order(1, { kind: 'unpin' }, 5000);
    assert.equal(coordinator.owned, 4);
  });

  it('asks again for segments whose owner did not hear it', async () => {
    const test = new OperatedWorld(3);
    const { network } = test.world;
    const outcome = test.node(1).operations.order({ kind: 'take', segments: [1] });
    // The order is under way to node 2, which dies; node 3 takes the segment over.
    test.world.crash(2);
    network.passes = ({ to }) => to !== 2;
    test.world.run(4000);
    assert.equal((await outcome).kind, 'done');
    assert.ok(test.world.node(1).node.coordinator.owns(1));
  });

  it('gives segments to another node', async () => {
    const test = new OperatedWorld(2);
    const outcome = await test.order(1, { kind: 'give', segments: [0, 1, 2], node: 'n2' });
    assert.match(outcome.what, /^2 segments are with n2 after \d+ ms$/);
    assert.equal(test.world.node(2).node.coordinator.owned, 6);
    assert.deepEqual(test.node(1).told('cluster-order').at(-1), {
      kind: 'cluster-order',
      order: 'give',
      by: 'vici',
      segments: '0-2',
      node: 'n2',
    });
    const none = await test.order(1, { kind: 'give', segments: [0], node: 'n2' });
    assert.match(none.what, /^none of these is here/);
  });

  it('gives nothing to a node that is not up', async () => {
    const test = new OperatedWorld(2);
    test.world.crash(2);
    test.world.run(1000);
    const outcome = await test.order(1, { kind: 'give', segments: [0], node: 'n2' });
    assert.deepEqual(outcome, { kind: 'failed', what: 'n2 is silent: it must be up' });
  });

  it('drains until no segment is left, and has its share again after undrain', async () => {
    const test = new OperatedWorld(3);
    const outcome = await test.order(2, { kind: 'drain' });
    assert.ok(outcome.kind === 'done' && outcome.milliseconds > 0);
    assert.match(outcome.what, /^drained of 3 segments in \d+ ms$/);
    assert.equal(test.world.node(2).node.coordinator.owned, 0);
    assert.equal(test.node(2).operations.status().demotions.drain, 240);
    await test.order(2, { kind: 'undrain' }, 5000);
    assert.equal(test.world.node(2).node.coordinator.owned, 3);
  });

  it('does not drain where nobody is left, and says who is missing', async () => {
    const test = new OperatedWorld(2);
    test.world.crash(2);
    test.world.run(1000);
    const outcome = await test.order(1, { kind: 'drain' });
    assert.deepEqual(outcome, {
      kind: 'failed',
      what: 'nobody is there to have the 8 segments: n2 is silent',
    });
    assert.equal(test.world.node(1).node.coordinator.demotion.has('drain'), false);
  });

  it('a drain that undrain ends says so', async () => {
    const test = new OperatedWorld(2);
    const { operations } = test.node(1);
    const draining = operations.order({ kind: 'drain' });
    await operations.order({ kind: 'undrain' });
    assert.deepEqual(await draining, { kind: 'failed', what: 'undrain ended it' });
  });

  it('fetches everything anew', async () => {
    const test = new OperatedWorld(2);
    const from = test.node(1).events.length;
    const outcome = await test.order(1, { kind: 'resync' });
    assert.match(outcome.what, /^the state of the others is here after \d+ ms$/);
    assert.equal(test.node(1).told('cluster-resync', from).length, 1);
    assert.equal(test.node(1).told('cluster-synced', from).length, 1);
    test.world.run(3000);
    assert.ok(test.world.isSettled);
  });

  it('counts a silent node as dead on its word, but not one that it hears', async () => {
    const test = new OperatedWorld(2, { alone: 'hold' });
    const heard = await test.order(1, { kind: 'declare-dead', node: 'n2' });
    assert.deepEqual(heard, { kind: 'failed', what: 'n2 is heard: it runs' });
    test.world.crash(2);
    test.world.run(2000);
    assert.equal(test.node(1).operations.status().lease, 'unlimited');
    assert.equal(test.world.node(1).node.coordinator.owned, 4);
    assert.equal((await test.order(1, { kind: 'declare-dead', node: 'n2' })).kind, 'done');
    assert.equal(test.world.node(1).node.coordinator.owned, 8);
    assert.equal(test.node(1).operations.status().members[1]?.state, 'gone');
  });

  it('is demoted by its operator', async () => {
    const test = new OperatedWorld(2);
    await test.order(1, { kind: 'demote', amount: 7 });
    assert.equal(test.world.node(1).node.coordinator.owned, 0);
    assert.deepEqual(test.node(1).operations.status().demotions, { operator: 7 });
    await test.order(1, { kind: 'demote', amount: 0 }, 5000);
    assert.equal(test.world.node(1).node.coordinator.owned, 4);
  });

  it('rekeys SAs of its own segments only', async () => {
    const test = new OperatedWorld(2);
    const outcome = await test.order(1, { kind: 'rekey', segments: [0, 1, 2] });
    assert.match(outcome.what, /^2 Child SAs rekeyed in \d+ ms$/);
    assert.deepEqual(test.node(1).rekeyed, [0, 2]);
    assert.match((await test.order(1, { kind: 'rekey', segments: [1] })).what, /^none of these/);
  });

  it('reads keys again, and says what is wrong with them', async () => {
    const test = new OperatedWorld(2);
    const outcome = await test.order(1, { kind: 'rotate-key' });
    assert.match(outcome.what, /^two keys are taken, secret and second_secret; /);
    test.node(1).readKeys = () => {
      throw new Error('cluster.second_secret: 31 octets');
    };
    assert.deepEqual(await test.order(1, { kind: 'rotate-key' }), {
      kind: 'failed',
      what: 'cluster.second_secret: 31 octets',
    });
  });

  it('probes where there is something to probe', async () => {
    const test = new OperatedWorld(2);
    assert.match((await test.order(1, { kind: 'probe' })).what, /^nothing to probe/);
    const { operations } = test.node(1);
    const found = {
      kind: 'done',
      what: 'all hear',
      milliseconds: 3,
      nodes: { n2: 'hears' },
    } as const;
    operations.add({ probe: async () => found });
    assert.deepEqual(await test.order(1, { kind: 'probe' }), found);
  });

  it('what parts add is listed', () => {
    const { operations } = new OperatedWorld(2).node(1);
    operations.add({
      figures: () => ({ forwarded: 5 }),
      troubles: () => [{ part: 'flooding', what: 'n2 is deaf' }],
      addresses: () => [
        { name: 'outer', address: '192.0.2.100', device: 'wan', side: 'wan', here: true },
      ],
    });
    const { metrics, troubles, addresses } = operations.status();
    assert.equal(metrics.forwarded, 5);
    assert.deepEqual(troubles, ['flooding: n2 is deaf']);
    assert.equal(addresses.length, 1);
  });

  it('a failure that was ordered is passed on', async () => {
    const test = new OperatedWorld(2);
    const order = { kind: 'simulate-failure', failure: 'stop', milliseconds: 60_000 } as const;
    const outcome = await test.order(1, order);
    assert.equal(outcome.what, 'this node falls silent for 60 s');
    assert.deepEqual(test.node(1).failures, [order]);
  });

  it('scripts move segments by the FIFO, counted from 1', () => {
    const test = new OperatedWorld(2);
    const { operations, rekeyed } = test.node(1);
    operations.heardFifo('+2\n-1\n*3\n');
    test.world.run(3000);
    const { coordinator } = test.world.node(1).node;
    assert.deepEqual([coordinator.owns(1), coordinator.owns(0)], [true, false]);
    assert.deepEqual(rekeyed, [2]);
    assert.deepEqual(
      test
        .node(1)
        .told('cluster-order')
        .map(({ by, order, segments }) => [by, order, segments]),
      [
        ['fifo', 'take', '1'],
        ['fifo', 'give', '0'],
        ['fifo', 'rekey', '2'],
      ],
    );
  });

  it('what is no command, or cannot be, is told', async () => {
    const test = new OperatedWorld(2);
    const node = test.node(1);
    node.operations.heardFifo('+9\nreboot\n');
    node.operations.heardFifo(`+1\n${'x'.repeat(5000)}`);
    test.world.crash(2);
    test.world.run(1000);
    node.operations.heardFifo('-1\n');
    const told = node.told('cluster-trouble').map(({ what }) => what);
    assert.deepEqual(told, [
      '"+9": write +n, -n or *n with n from 1 to 8',
      '"reboot": write +n, -n or *n with n from 1 to 8',
      '5003 characters at once: a command is a line',
      '-1: no other node is there to have segment 1',
    ]);
  });
});
