/** The sealed link between two nodes: handshake, key roll, restart, and what a hostile network does. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KeyRing } from '../../../src/cluster/bus/cluster-key.ts';
import { DatagramKind, MAX_DATAGRAM_OCTETS } from '../../../src/cluster/bus/datagram.ts';
import { toHex } from '../../../src/wire/octets.ts';
import { PERFECT } from '../../support/hostile-network.ts';
import { clusterKey, SealedPair } from '../../support/sealed-pair.ts';
import { seededNumbers } from '../../support/seeded-random.ts';

describe('The sealed link', () => {
  it('comes up on both sides within a few round trips and carries octets both ways', () => {
    const pair = SealedPair.started();
    pair.run(10);
    assert.deepEqual(pair.one.story, ['up']);
    assert.deepEqual(pair.two.story, ['up']);
    pair.say(pair.one, 'from one');
    pair.say(pair.two, 'from two');
    pair.run(2);
    assert.deepEqual(pair.two.opened, ['from one']);
    assert.deepEqual(pair.one.opened, ['from two']);
  });

  it('ends with one session where both began at once', () => {
    const pair = SealedPair.started();
    pair.run(100);
    const from = pair.network.recorded.length;
    pair.say(pair.one, 'a');
    pair.say(pair.two, 'b');
    pair.run(2);
    const indexes = new Set(
      pair.network.recorded.slice(from).map(({ octets }) => toHex(octets.subarray(2, 8))),
    );
    assert.equal(indexes.size, 2);
    assert.ok(pair.one.counters.of('crossed-initiation') > 0);
  });

  it('answers nobody with more octets than he sent', () => {
    const pair = SealedPair.started(7, { ...PERFECT, replay: 0.5, damage: 0.5, truncation: 0.5 });
    for (let turn = 0; turn < 20; turn++) {
      for (const { to, octets } of pair.network.recorded.slice()) {
        const end = to === 1 ? pair.one : pair.two;
        for (const action of end.link.handle({ kind: 'datagram', path: 0, octets }, pair.now)) {
          if (action.kind === 'send' && action.path !== undefined) {
            assert.ok(action.octets.length <= octets.length);
          }
        }
      }
      pair.run(5);
    }
  });

  it('opens each datagram once, in any order, and counts the copy of the second path', () => {
    const pair = SealedPair.started();
    pair.run(10);
    pair.say(pair.one, 'once');
    pair.run(2);
    for (const { to, path, octets } of pair.network.recorded) {
      if (to === 2) pair.give(pair.two, { kind: 'datagram', path, octets });
    }
    assert.deepEqual(pair.two.opened, ['once']);
    assert.ok(pair.two.counters.of('replayed') >= 3);
  });

  it('recognises a restarted peer at once', () => {
    for (const who of ['one', 'two'] as const) {
      const pair = SealedPair.started();
      pair.run(10);
      const [restarted, other] = [pair[who], pair[who === 'one' ? 'two' : 'one']];
      restarted.restart(99, {});
      pair.give(restarted, { kind: 'start' });
      pair.run(5);
      assert.deepEqual(other.story, ['up', 'down restarted', 'up']);
      const incarnations = other.actions.flatMap((action) =>
        action.kind === 'up' ? [action.incarnation] : [],
      );
      assert.equal(new Set(incarnations).size, 2);
      assert.ok(pair.say(other, 'welcome back'));
      pair.run(2);
      assert.deepEqual(restarted.opened, ['welcome back']);
    }
  });

  it('lets no recorded datagram of any earlier life disturb a session', () => {
    const pair = SealedPair.started();
    pair.run(10);
    pair.one.restart(50, {});
    pair.give(pair.one, { kind: 'start' });
    pair.run(10);
    pair.two.restart(51, {});
    pair.give(pair.two, { kind: 'start' });
    pair.run(10);
    const recorded = pair.network.recorded.slice();
    const stories = [pair.one.story.length, pair.two.story.length];
    for (const { to, path, octets } of recorded) {
      pair.give(to === 1 ? pair.one : pair.two, { kind: 'datagram', path, octets });
      pair.run(0.1);
    }
    pair.run(5000);
    assert.deepEqual([pair.one.story.length, pair.two.story.length], stories);
    pair.say(pair.one, 'still here');
    pair.run(2);
    assert.deepEqual(pair.two.opened.slice(-1), ['still here']);
  });

  it('rolls its keys by time and by number, and loses nothing', () => {
    const byTime = SealedPair.started(3, PERFECT, { rollMilliseconds: 10_000 });
    const byNumber = SealedPair.started(4, PERFECT, { rollDatagrams: 50 });
    for (const pair of [byTime, byNumber]) {
      pair.run(10);
      for (let said = 0; said < 300; said++) {
        assert.ok(pair.say(pair.one, `message ${said}`));
        assert.ok(pair.say(pair.two, `message ${said}`));
        pair.run(100);
      }
      assert.equal(pair.two.opened.length, 300);
      assert.equal(pair.one.opened.length, 300);
      const initiations = pair.network.recorded.filter(
        ({ octets }) => octets[0] === DatagramKind.INITIATION,
      );
      assert.ok(initiations.length >= 6, `${initiations.length} initiations`);
      assert.deepEqual(pair.one.story, ['up']);
    }
  });

  it('goes over to another cluster key node by node, and an old key ends with its withdrawal', () => {
    const [old, fresh] = [clusterKey(1), clusterKey(2)];
    const pair = SealedPair.started(5, PERFECT, { ring: new KeyRing(old) });
    const talk = (text: string): void => {
      assert.ok(pair.say(pair.one, text) && pair.say(pair.two, text), text);
      pair.run(50);
      assert.equal(pair.two.opened.at(-1), text);
      assert.equal(pair.one.opened.at(-1), text);
    };
    pair.run(10);
    talk('old alone');
    for (const end of [pair.one, pair.two]) {
      pair.give(end, { kind: 'keys', ring: new KeyRing(old, fresh) });
      pair.run(20);
      talk('old and new');
    }
    for (const end of [pair.one, pair.two]) {
      pair.give(end, { kind: 'keys', ring: new KeyRing(fresh, old) });
      pair.run(20);
      talk('new and old');
    }
    for (const end of [pair.one, pair.two]) {
      pair.give(end, { kind: 'keys', ring: new KeyRing(fresh) });
      pair.run(20);
      talk('new alone');
    }
    assert.deepEqual(pair.one.story, ['up']);
    // Without the steps between: what rests on the old key ends at once.
    const last = new KeyRing(clusterKey(3));
    pair.give(pair.one, { kind: 'keys', ring: last });
    assert.equal(pair.say(pair.one, 'sealed under a withdrawn key'), false);
    pair.run(3000);
    assert.deepEqual(pair.one.story.slice(-1), ['down key-withdrawn']);
    assert.ok(pair.two.counters.of('unknown-key') > 0);
    pair.give(pair.two, { kind: 'keys', ring: last });
    pair.run(3000);
    talk('the same again');
  });

  it('finds the common key where each knows another one first', () => {
    const [first, second] = [clusterKey(1), clusterKey(2)];
    const pair = new SealedPair(6, PERFECT, { ring: new KeyRing(second) });
    pair.one.restart(1, { ring: new KeyRing(first, second) });
    pair.give(pair.one, { kind: 'start' });
    pair.run(6000);
    assert.deepEqual([pair.one.story, pair.two.story], [['up'], ['up']]);
  });

  it('agrees on the newest common wire version, and names a peer that has none', () => {
    const versions = (oldest: number, newest: number) => ({ versions: { oldest, newest } });
    const agreed = (one: readonly [number, number], two: readonly [number, number]): string => {
      const pair = new SealedPair(8);
      pair.one.restart(1, versions(...one));
      pair.two.restart(2, versions(...two));
      pair.give(pair.one, { kind: 'start' });
      pair.run(3000);
      const up = pair.two.actions.find((action) => action.kind === 'up');
      return up?.kind === 'up' ? `version ${up.version}` : (pair.two.story[0] ?? 'nothing');
    };
    assert.equal(agreed([1, 2], [1, 1]), 'version 1');
    assert.equal(agreed([1, 2], [2, 3]), 'version 2');
    assert.equal(agreed([2, 3], [2, 3]), 'version 3');
    assert.equal(agreed([1, 1], [2, 3]), 'incompatible');
  });

  it('comes up again after a silence, whoever has lost his session', () => {
    const pair = SealedPair.started();
    pair.run(10);
    pair.network.passes = () => false;
    pair.say(pair.one, 'into the void');
    pair.run(30_000);
    pair.network.passes = () => true;
    pair.run(1500);
    pair.say(pair.one, 'heard');
    pair.run(5);
    assert.deepEqual(pair.two.opened, ['heard']);
  });
});

describe('A sealed link whose peer fell silent', () => {
  it('is asked again after a second of silence', () => {
    const pair = SealedPair.started();
    pair.run(10);
    // A peer that starts anew, and whose own initiations nobody hears.
    pair.two.restart(77, {});
    pair.say(pair.one, 'is anybody there');
    pair.run(1100);
    assert.deepEqual(pair.one.story, ['up', 'down restarted', 'up']);
  });

  it('refuses a sealed datagram that claims another wire version', () => {
    const pair = SealedPair.started();
    pair.run(10);
    pair.say(pair.one, 'version 1');
    const last = pair.network.recorded.at(-1);
    assert(last);
    const octets = last.octets.slice();
    octets[1] = 2;
    pair.give(pair.two, { kind: 'datagram', path: 0, octets });
    assert.equal(pair.two.counters.of('wrong-version'), 1);
    assert.equal(pair.two.counters.of('bad-tag'), 0);
  });
});

describe('The sealed link in a hostile network', () => {
  it('comes up and stays up, opens only what was sent, and each at most once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
        const faults = { loss: 0.2, duplication: 0.2, replay: 0.3, damage: 0.2, truncation: 0.2 };
        const pair = SealedPair.started(
          seed,
          { ...faults, delay: 1, jitter: 5 },
          { rollMilliseconds: 2000 },
        );
        pair.run(3000);
        assert.deepEqual([pair.one.link.isUp, pair.two.link.isUp], [true, true]);
        const said = Array.from({ length: 60 }, (_, number) => `${seed} ${number}`);
        for (const text of said) {
          assert.ok(pair.say(pair.one, text));
          pair.run(100);
        }
        const opened = pair.two.opened;
        assert.equal(new Set(opened).size, opened.length);
        assert.ok(opened.every((text) => said.includes(text)));
        // Both paths lose it with a chance of 0.04; a handful of sessions change on the way.
        assert.ok(opened.length > 45, `${opened.length} of 60`);
        assert.deepEqual(pair.two.story, ['up']);
        assert.deepEqual(pair.one.story, ['up']);
      }),
      { seed: 20261122, numRuns: 15 },
    );
  });

  it('counts whatever octets come, under one name each, and answers none that is not authentic', () => {
    const pair = SealedPair.started();
    pair.run(10);
    const samples = [...new Map(pair.network.recorded.map((one) => [one.octets[0], one])).values()];
    assert.equal(samples.length, 4);
    let given = 0;
    const before = total(pair);
    const offer = (octets: Uint8Array): void => {
      given++;
      const actions = pair.two.link.handle({ kind: 'datagram', path: 0, octets }, pair.now);
      assert.deepEqual(actions, []);
    };
    for (const { octets } of samples) {
      for (let length = 0; length < octets.length; length++) offer(octets.slice(0, length));
      offer(new Uint8Array([...octets, 0]));
      offer(new Uint8Array([...octets, ...new Uint8Array(MAX_DATAGRAM_OCTETS)]));
    }
    const next = seededNumbers(5);
    for (let number = 0; number < 3000; number++) {
      const length = Math.floor(next() * 200);
      offer(
        Uint8Array.from({ length }, (_, at) => (at < 4 ? [1, 1, 1, 2][at] : next() * 256) ?? 0),
      );
    }
    assert.equal(total(pair) - before, given);
    for (const name of ['too-short', 'oversized', 'malformed', 'unknown-key'] as const) {
      assert.ok(pair.two.counters.of(name) > 0, name);
    }
  });

  it('sends no octets of a key', () => {
    const pair = SealedPair.started();
    pair.run(10);
    for (let number = 0; number < 50; number++) {
      pair.say(pair.one, `number ${number}`);
      pair.run(1);
    }
    const wire = pair.network.recorded.map(({ octets }) => toHex(octets)).join('|');
    const key = clusterKey(1);
    assert.ok(!wire.includes('01'.repeat(8)));
    assert.ok(!wire.includes(toHex(key.psk.reveal().subarray(0, 8))));
    assert.ok(!wire.includes(toHex(Buffer.from('number'))));
  });
});

function total(pair: SealedPair): number {
  return Object.values(pair.two.counters.read()).reduce((sum, count) => sum + count, 0);
}
