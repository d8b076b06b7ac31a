/** Messages that nobody repeats: what of them arrives, what they cost, and that nothing waits for them. */
import assert from 'node:assert/strict';
import { MAX_DATAGRAM_OCTETS } from '../../../src/cluster/bus/datagram.ts';
import { ExpendableReceiver } from '../../../src/cluster/bus/expendable-receiver.ts';
import { MAX_EXPENDABLE_OCTETS } from '../../../src/cluster/bus/expendable-sender.ts';
import type { Fragment } from '../../../src/cluster/bus/frame.ts';
import { instant } from '../../../src/wire/instant.ts';
import { PERFECT } from '../../support/hostile-network.ts';
import { MeshWorld } from '../../support/mesh-world.ts';

const NOW = instant(0);

function connected(seed: number, options: ConstructorParameters<typeof MeshWorld>[1] = {}) {
  const world = new MeshWorld(seed, options);
  world.run(100);
  return world;
}

/** Datagrams from node 1 since `from`. */
function sent(world: MeshWorld, from: number) {
  return world.network.recorded.slice(from).filter((one) => one.from === 1);
}

function fragment(number: number, over: Partial<Fragment> = {}): Fragment {
  return {
    kind: 'fragment',
    number,
    place: 0,
    type: 20,
    isLast: true,
    octets: Uint8Array.of(number),
    ...over,
  };
}

describe('Messages that are expendable', () => {
  it('of any length travel whole, over one path, in datagrams no longer than the limit', () => {
    const world = connected(1);
    const from = world.network.recorded.length;
    const lengths = [0, 1, 63, 1300, 1352, 1353, 1400, 1500, 9000, MAX_EXPENDABLE_OCTETS];
    const texts = lengths.map((length, index) => String(index % 10).repeat(length));
    for (const text of texts) world.say(1, 2, text, 'expendable');
    world.run(50);
    assert.deepEqual(world.node(2).received('expendable'), texts);
    const datagrams = sent(world, from);
    assert.equal(new Set(datagrams.map(({ path }) => path)).size, 1);
    const longest = Math.max(...datagrams.map(({ octets }) => octets.length));
    assert.ok(longest <= MAX_DATAGRAM_OCTETS && longest > MAX_DATAGRAM_OCTETS - 64, `${longest}`);
    assert.deepEqual(world.node(1).tags('acknowledged'), []);
  });

  it('go together where they are short, and one begins where another ends', () => {
    const world = connected(2);
    const from = world.network.recorded.length;
    for (let number = 0; number < 100; number++) world.say(1, 2, 'x'.repeat(100), 'expendable');
    world.run(1);
    assert.ok(sent(world, from).length <= 10, `${sent(world, from).length} datagrams`);
    const before = world.network.recorded.length;
    for (let number = 0; number < 20; number++) world.say(1, 2, 'y'.repeat(1500), 'expendable');
    world.run(1);
    assert.ok(sent(world, before).length <= 24, `${sent(world, before).length} datagrams`);
    assert.equal(world.node(2).received('expendable').length, 120);
  });

  it('are refused where too many wait, or they are too long, and what was taken arrives', () => {
    const world = connected(3);
    for (let number = 0; number < 3000; number++) {
      world.say(1, 2, `${number}`.padEnd(1500), 'expendable');
    }
    world.say(1, 2, 'x'.repeat(MAX_EXPENDABLE_OCTETS + 1), 'expendable');
    assert.ok((world.node(1).mesh.loadOf(2)?.sendOctets ?? 0) <= 1 << 20);
    world.run(50);
    const refused = world.node(1).tags('refused').length;
    assert.equal(world.node(2).received('expendable').length, 3001 - refused);
    assert.equal(world.node(1).counters.of('expendable-dropped'), refused - 1);
    assert.equal(world.node(1).mesh.loadOf(2)?.sendOctets, 0);
  });

  it('stop where the peer does not keep up, and heartbeats and records pass them by', () => {
    const world = connected(4);
    world.network.passes = ({ from }) => from === 1;
    const from = world.network.recorded.length;
    for (let number = 0; number < 600; number++) world.say(1, 2, 'x'.repeat(1300), 'expendable');
    world.run(40);
    assert.equal(sent(world, from).length, 256);
    const before = world.network.recorded.length;
    world.say(1, 2, 'heartbeat', 'overtaking');
    world.say(1, 2, 'record', 'urgent');
    world.run(5);
    assert.deepEqual(world.node(2).received('overtaking'), ['heartbeat']);
    assert.deepEqual(world.node(2).received('urgent'), ['record']);
    assert.ok(sent(world, before).length <= 4);
    // Silence is loss: the next ones go, but never more than that at once.
    world.run(10);
    assert.equal(world.node(2).received('expendable').length, 512);
  });

  it('are lost or whole, never repeated, and the memory of those in between is bounded', () => {
    const world = connected(5, { faults: { ...PERFECT, loss: 0.1, jitter: 2 } });
    const said = Array.from({ length: 400 }, (_, number) => `${number}`.padEnd(2000));
    const before = world.network.recorded.length;
    for (const text of said) {
      world.say(1, 2, text, 'expendable');
      world.run(0.3);
    }
    world.run(300);
    const received = world.node(2).received('expendable');
    assert.ok(received.length > 250 && received.length < 400, `${received.length}`);
    assert.deepEqual(
      [...new Set(received)].toSorted(),
      received.toSorted(),
      'none of them comes twice',
    );
    assert.ok(received.every((text) => said.includes(text)));
    const octets = sent(world, before).reduce((sum, one) => sum + one.octets.length, 0);
    assert.ok(octets < 1.3 * 400 * 2000, `${octets} octets for 800,000`);
    for (let number = 0; number < 600; number++) world.say(1, 2, 'z', 'expendable');
    world.run(100);
    assert.ok(world.node(2).counters.of('expendable-incomplete') > 20);
    assert.ok((world.node(2).mesh.loadOf(1)?.receiveOctets ?? 0) < 100_000);
  });

  it('go over to the other path when one is gone', () => {
    const world = connected(6);
    world.network.passes = ({ path }) => path === 1;
    for (let number = 0; number < 300; number++) {
      world.say(1, 2, `${number}`, 'expendable');
      world.run(1);
    }
    const received = world.node(2).received('expendable');
    assert.deepEqual(
      received,
      Array.from({ length: 300 }, (_, at) => `${at}`).slice(-received.length),
    );
    assert.ok(received.length > 150, `${received.length} of 300`);
  });

  it('have their turn beside bulk', () => {
    const world = connected(7, { faults: { ...PERFECT, delay: 0.1 } });
    for (let number = 0; number < 100; number++) world.say(1, 2, 'b'.repeat(60_000), 'bulk');
    for (let number = 0; number < 500; number++) world.say(1, 2, 'x'.repeat(1300), 'expendable');
    for (let at = 0; world.node(2).received('expendable').length < 500; at++) {
      assert.ok(at < 200, 'they wait for all of the bulk');
      world.run(0.1);
    }
    assert.ok(world.node(2).received('bulk').length < 50);
    world.run(2000);
    assert.equal(world.node(2).received('bulk').length, 100);
  });

  it('for a peer that restarted begin anew', () => {
    const world = connected(8);
    for (let number = 0; number < 50; number++) world.say(1, 2, 'x'.repeat(3000), 'expendable');
    world.run(0);
    world.restart(2);
    world.run(2000);
    const before = world.node(2).received('expendable').length;
    world.say(1, 2, 'after', 'expendable');
    world.run(10);
    assert.deepEqual(world.node(2).received('expendable').slice(before), ['after']);
  });
});

describe('The receiving half of what is expendable', () => {
  it('puts fragments together in any order', () => {
    const receiver = new ExpendableReceiver();
    const parts = [0, 1, 2].map((place) =>
      fragment(7 + place, { place, type: place === 0 ? 20 : undefined, isLast: place === 2 }),
    );
    const [first, second, third] = parts;
    assert.ok(first && second && third);
    assert.equal(receiver.receive(third, NOW), undefined);
    assert.equal(receiver.receive(first, NOW), undefined);
    assert.equal(receiver.receive(first, NOW), undefined);
    assert.deepEqual(receiver.receive(second, NOW), { type: 20, body: Uint8Array.of(7, 8, 9) });
    assert.equal(receiver.octets, 0);
  });

  it('keeps little of what a faulty peer sends', () => {
    const receiver = new ExpendableReceiver();
    const octets = new Uint8Array(1300);
    let most = 0;
    for (let place = 0; place < 5000; place++) {
      receiver.receive(fragment(100_000, { place, type: undefined, isLast: false, octets }), NOW);
      receiver.receive(fragment(100_000 + place, { place, isLast: false, octets }), NOW);
      most = Math.max(most, receiver.octets);
    }
    assert.ok(most <= 64 * 1300 + MAX_EXPENDABLE_OCTETS, `${most}`);
    assert.ok(receiver.takeIncomplete() > 400);
    const late = fragment(1, { isLast: true });
    assert.equal(receiver.receive(late, NOW), undefined);
  });
});
