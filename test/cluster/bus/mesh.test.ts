/** Reliable and overtaking messages between nodes, over networks good and hostile. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAX_OVERTAKING_OCTETS } from '../../../src/cluster/bus/channel.ts';
import { MAX_DATAGRAM_OCTETS } from '../../../src/cluster/bus/datagram.ts';
import { MAX_MESSAGE_OCTETS } from '../../../src/cluster/bus/message.ts';
import { toHex } from '../../../src/wire/octets.ts';
import { PERFECT } from '../../support/hostile-network.ts';
import { MeshWorld } from '../../support/mesh-world.ts';
import { seededNumbers } from '../../support/seeded-random.ts';

const HOSTILE = {
  loss: 0.2,
  duplication: 0.2,
  replay: 0.2,
  damage: 0.1,
  truncation: 0.1,
  delay: 0.3,
  jitter: 4,
};

describe('Messages between nodes', () => {
  it('arrive in order and are acknowledged within two round trips', () => {
    const world = new MeshWorld(1);
    world.run(20);
    const texts = Array.from({ length: 100 }, (_, number) => `message ${number}`);
    for (const text of texts) world.say(1, 2, text);
    const from = world.now;
    world.run(5);
    assert.deepEqual(world.node(2).received('urgent'), texts);
    assert.deepEqual(world.node(1).tags('acknowledged'), texts);
    const last = world.node(1).seen.at(-1);
    assert.ok(last && last.at - from < 1, `${last && last.at - from} ms`);
  });

  it('of any length travel whole, in datagrams no longer than the limit', () => {
    const world = new MeshWorld(2);
    world.run(20);
    const lengths = [0, 1, 63, 64, 1300, 1349, 1350, 1368, 2000, 8192, MAX_MESSAGE_OCTETS];
    const texts = lengths.map((length, index) => String(index % 10).repeat(length));
    for (const text of texts) world.say(1, 2, text, 'bulk');
    world.run(100);
    assert.deepEqual(world.node(2).received('bulk'), texts);
    const longest = Math.max(...world.network.recorded.map(({ octets }) => octets.length));
    assert.ok(longest <= MAX_DATAGRAM_OCTETS && longest > MAX_DATAGRAM_OCTETS - 64, `${longest}`);
  });

  it('that are too long, or for nobody, are refused and said so', () => {
    const world = new MeshWorld(3);
    world.say(1, 2, 'too early');
    world.run(20);
    world.say(1, 2, 'x'.repeat(MAX_MESSAGE_OCTETS + 1));
    world.say(1, 2, 'x'.repeat(MAX_OVERTAKING_OCTETS + 1), 'overtaking');
    world.say(1, 2, 'x'.repeat(MAX_OVERTAKING_OCTETS), 'overtaking');
    world.say(1, 9, 'to nobody');
    world.run(20);
    const reasons = world
      .node(1)
      .seen.flatMap(({ action }) => (action.kind === 'refused' ? [action.reason] : []));
    assert.deepEqual(reasons, ['down', 'too-large', 'too-large', 'down']);
    assert.equal(world.node(2).received('overtaking').length, 1);
  });

  it('on the urgent lane and those that overtake pass a snapshot by', () => {
    const world = new MeshWorld(4);
    world.run(20);
    for (let chunk = 0; chunk < 100; chunk++) world.say(1, 2, 'x'.repeat(60_000), 'bulk');
    world.run(3);
    world.say(1, 2, 'write ahead');
    world.say(1, 2, 'heartbeat', 'overtaking');
    const from = world.now;
    world.run(3);
    const at = (text: string): number =>
      (world
        .node(2)
        .seen.find(
          ({ action }) =>
            action.kind === 'received' && Buffer.from(action.message.body).toString() === text,
        )?.at ?? Number.POSITIVE_INFINITY) - from;
    assert.ok(at('write ahead') <= 1, `${at('write ahead')} ms`);
    assert.ok(at('heartbeat') <= 1, `${at('heartbeat')} ms`);
    world.run(2000);
    assert.equal(world.node(2).received('bulk').length, 100);
  });

  it('are bounded: a full queue refuses, and what it took arrives', () => {
    const world = new MeshWorld(5);
    world.run(20);
    world.network.passes = () => false;
    const texts = Array.from({ length: 200 }, (_, number) => `${number} `.padEnd(65_000, 'x'));
    for (const text of texts) {
      world.say(1, 2, text, 'bulk');
      world.run(1);
    }
    const refused = world.node(1).tags('refused');
    assert.ok(refused.length > 50 && refused.length < 150, `${refused.length} refused`);
    const load = world.node(1).mesh.loadOf(2);
    assert.ok(load && load.sendOctets <= 8 << 20);
    for (let beat = 0; beat < 1000; beat++) world.say(1, 2, `beat ${beat}`, 'overtaking');
    world.network.passes = () => true;
    world.run(10_000);
    assert.deepEqual(
      world.node(2).received('bulk'),
      texts.filter((text) => !refused.includes(text)),
    );
    assert.equal(world.node(2).received('overtaking').at(-1), 'beat 999');
    assert.equal(world.node(2).received('overtaking').length, 64);
    assert.equal(world.node(1).counters.of('overtaken-dropped'), 936);
  });

  it('lost are there again within the bounds of repetition', () => {
    const world = new MeshWorld(6);
    world.run(20);
    for (let number = 0; number < 20; number++) {
      world.say(1, 2, `measure ${number}`);
      world.run(10);
    }
    world.network.passes = () => false;
    world.say(1, 2, 'lost');
    world.run(0.1);
    world.network.passes = () => true;
    const from = world.now;
    world.run(7);
    const last = world.node(2).seen.at(-1);
    assert.equal(world.node(2).received('urgent').at(-1), 'lost');
    assert.ok(last && last.at - from >= 4 && last.at - from <= 7, `${last && last.at - from} ms`);
  });

  it('survive the loss of one path, and bulk goes over to the other', () => {
    const world = new MeshWorld(7);
    world.run(20);
    world.network.passes = ({ path }) => path === 1;
    for (let number = 0; number < 50; number++) world.say(1, 2, `${number}`.padEnd(5000), 'bulk');
    world.say(1, 2, 'urgent');
    world.run(500);
    assert.equal(world.node(2).received('bulk').length, 50);
    const from = world.network.recorded.length;
    world.say(1, 2, 'after'.padEnd(20_000), 'bulk');
    world.run(20);
    const first = world.network.recorded.slice(from).filter((one) => one.from === 1);
    assert.ok(first.length > 10);
    assert.deepEqual([...new Set(first.map(({ path }) => path))], [1]);
  });

  it('go on where they were after a partition, and over a roll of keys', () => {
    const world = new MeshWorld(8, { rollMilliseconds: 3000 });
    world.run(20);
    const texts: string[] = [];
    for (let number = 0; number < 40; number++) {
      world.network.passes = () => number % 4 !== 0;
      texts.push(`number ${number}`);
      world.say(1, 2, `number ${number}`);
      world.run(number % 4 === 0 ? 2500 : 200);
    }
    world.network.passes = () => true;
    world.run(2000);
    assert.deepEqual(world.node(2).received('urgent'), texts);
    assert.deepEqual(world.node(1).tags('acknowledged'), texts);
  });

  it('for a peer that restarted come back as undelivered, and the new one begins with nothing', () => {
    const world = new MeshWorld(9);
    world.run(20);
    world.say(1, 2, 'heard');
    world.run(20);
    world.network.passes = () => false;
    for (let number = 0; number < 5; number++) world.say(1, 2, `lost ${number}`);
    world.run(50);
    world.network.passes = () => true;
    world.node(2).seen = [];
    world.restart(2);
    world.run(50);
    assert.deepEqual(
      world.node(1).tags('undelivered'),
      [0, 1, 2, 3, 4].map((n) => `lost ${n}`),
    );
    assert.deepEqual(world.node(2).received('urgent'), []);
    world.say(1, 2, 'new life');
    world.say(2, 1, 'and back');
    world.run(10);
    assert.deepEqual(world.node(2).received('urgent'), ['new life']);
    assert.deepEqual(world.node(1).received('urgent'), ['and back']);
    assert.deepEqual(world.node(1).tags('acknowledged'), ['heard', 'new life']);
  });

  it('reach every pair of several nodes', () => {
    const world = new MeshWorld(10, { nodes: 5 });
    world.run(50);
    for (const from of [1, 2, 3, 4, 5]) {
      for (const to of [1, 2, 3, 4, 5]) if (from !== to) world.say(from, to, `${from} to ${to}`);
    }
    world.run(20);
    for (const node of world.nodes) {
      assert.equal(node.received('urgent').length, 4);
      assert.equal(node.tags('acknowledged').length, 4);
    }
  });
});

describe('Messages over a hostile network', () => {
  it('arrive exactly once and in order, and no acknowledgement lies', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
        const world = new MeshWorld(seed, { faults: HOSTILE, rollMilliseconds: 1500 });
        const next = seededNumbers(seed);
        world.run(2000);
        const had = new Set<string>();
        world.onAction = (node, action) => {
          if (node.id === 2 && action.kind === 'received') {
            had.add(Buffer.from(action.message.body).toString('latin1'));
          }
          // What is called acknowledged was given to its receiver before.
          if (node.id === 1 && action.kind === 'acknowledged') assert.ok(had.has(action.tag));
        };
        const said = { urgent: [] as string[], bulk: [] as string[] };
        for (let number = 0; number < 120; number++) {
          const lane = next() < 0.5 ? 'urgent' : 'bulk';
          const text = `${lane} ${number} `.padEnd(Math.floor(next() ** 3 * 9000), 'x');
          said[lane].push(text);
          world.say(1, 2, text, lane);
          world.say(2, 1, `echo ${number}`);
          if (next() < 0.2) world.say(1, 2, `beat ${number}`, 'overtaking');
          world.run(next() * 30);
          const load = world.node(2).mesh.loadOf(1);
          assert.ok(load && load.receiveOctets < 1_200_000);
        }
        world.run(5000);
        assert.deepEqual(world.node(1).tags('refused'), []);
        assert.deepEqual(world.node(2).received('urgent'), said.urgent);
        assert.deepEqual(world.node(2).received('bulk'), said.bulk);
        const beats = world.node(2).received('overtaking');
        assert.equal(new Set(beats).size, beats.length);
        assert.equal(world.node(1).tags('acknowledged').length, 120);
        assert.equal(world.node(1).received('urgent').length, 120);
        assert.equal(world.node(1).mesh.loadOf(2)?.unacknowledged, 0);
        assert.equal(world.node(1).counters.of('malformed-frame'), 0);
      }),
      { seed: 20261122, numRuns: 6 },
    );
  });

  it('survive restarts at any moment: each is acknowledged or given back, never both', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
        const world = new MeshWorld(seed, { faults: HOSTILE });
        const next = seededNumbers(seed);
        world.run(2000);
        let number = 0;
        for (let life = 0; life < 4; life++) {
          for (let count = 0; count < 20; count++) {
            world.say(1, 2, `message ${number++}`);
            world.run(next() * 10);
          }
          world.restart(2);
          world.run(next() * 400);
        }
        world.run(3000);
        const node = world.node(1);
        const fates = [
          ...node.tags('acknowledged'),
          ...node.tags('undelivered'),
          ...node.tags('refused'),
        ];
        assert.equal(new Set(fates).size, fates.length);
        assert.equal(fates.length, number);
        const received = world.node(2).received('urgent');
        assert.equal(new Set(received).size, received.length);
        for (const tag of node.tags('acknowledged')) assert.ok(received.includes(tag));
      }),
      { seed: 4711, numRuns: 6 },
    );
  });

  it('show nobody what they say', () => {
    const world = new MeshWorld(11, { faults: HOSTILE });
    world.run(1000);
    const secret = 'key material that nobody may see';
    for (const lane of ['urgent', 'bulk', 'overtaking'] as const) world.say(1, 2, secret, lane);
    world.run(1000);
    assert.deepEqual(world.node(2).received('bulk'), [secret]);
    const wire = world.network.recorded.map(({ octets }) => toHex(octets)).join('|');
    for (let at = 0; at + 8 <= secret.length; at += 4) {
      assert.ok(!wire.includes(toHex(Buffer.from(secret.slice(at, at + 8)))));
    }
    assert.ok(!wire.includes('01'.repeat(8)), 'the cluster key');
  });
});

it('A world goes the same way for the same seed', () => {
  const story = (): string => {
    const world = new MeshWorld(5, { faults: { ...PERFECT, loss: 0.3, jitter: 3 } });
    world.run(500);
    for (let number = 0; number < 30; number++) world.say(1, 2, `number ${number}`);
    world.run(500);
    return world.network.recorded.map(({ octets }) => toHex(octets)).join();
  };
  assert.equal(story(), story());
});
