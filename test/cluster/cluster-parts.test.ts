/** The small parts of the cluster: settings, sender ids, adverts, records ahead, reservations, rekeys. */
import assert from 'node:assert/strict';
import {
  checkClusterSettings,
  DEFAULT_TIMINGS,
  majorityOf,
} from '../../src/cluster/cluster-settings.ts';
import { compareAdverts, Demotion, leastDemoted } from '../../src/cluster/demotion.ts';
import { RekeySchedule } from '../../src/cluster/rekey-schedule.ts';
import { ReservedSequence } from '../../src/cluster/sequence-reservation.ts';
import { nodeOfSid, sidLayout, sidOf, sidReturns } from '../../src/cluster/sid.ts';
import { WriteAhead } from '../../src/cluster/write-ahead.ts';
import { instant } from '../../src/wire/instant.ts';

const SETTINGS = {
  self: 1,
  members: [{ node: 1, name: 'a', weight: 1 }],
  segments: 256,
  timings: DEFAULT_TIMINGS,
  alone: 'take',
  preempt: true,
  advbase: 1,
  advskew: 0,
  place: () => [],
  configuration: [],
  capabilities: [],
} as const;

describe('Settings of a cluster', () => {
  it('refuse a lease that could outlive the wait of a take-over', () => {
    const timings = { ...DEFAULT_TIMINGS, lease: 250 };
    assert.throws(
      () => checkClusterSettings({ ...SETTINGS, timings }),
      /take-over after 300 ms: a lease of 250 ms may last 306 ms/,
    );
    assert.ok(checkClusterSettings(SETTINGS));
  });

  it('refuse a cluster of witnesses, and nodes that are not there', () => {
    const members = [{ node: 1, name: 'a', weight: 0 }];
    assert.throws(() => checkClusterSettings({ ...SETTINGS, members }), /1 witnesses and no node/);
    assert.throws(() => checkClusterSettings({ ...SETTINGS, self: 2 }), /node 2 is not among/);
  });

  it('count majorities', () => {
    const members = (count: number) =>
      Array.from({ length: count }, (_, node) => ({ node: node + 1, name: '', weight: 1 }));
    assert.deepEqual(
      [1, 2, 3, 4, 5, 64].map((count) => majorityOf(members(count))),
      [1, 2, 2, 3, 3, 33],
    );
  });
});

describe('Sender ids', () => {
  it('are one bit and 15 for two nodes, six bits and ten for 64', () => {
    assert.deepEqual(sidLayout(2), { nodeBits: 1, lives: 32_768 });
    assert.deepEqual(sidLayout(64), { nodeBits: 6, lives: 1024 });
  });

  it('differ for every node and start, are never 0, and lead back to the node', () => {
    const layout = sidLayout(64);
    const seen = new Set<number>();
    for (let node = 1; node <= 64; node++) {
      for (let boot = 1; boot < layout.lives; boot++) {
        const sid = sidOf(layout, node, boot);
        assert.ok(sid > 0 && sid < 65_536);
        assert.equal(nodeOfSid(layout, sid), node);
        seen.add(sid);
      }
    }
    assert.equal(seen.size, 64 * 1023);
    assert.equal(sidReturns(layout, 1023), false);
    assert.equal(sidReturns(layout, 1024), true);
    assert.equal(sidOf(layout, 1, 1024), sidOf(layout, 1, 1));
  });
});

describe('Adverts, as CARP compares them', () => {
  const advert = { node: 1, demotion: 0, advbase: 1, advskew: 0 };

  it('prefer the lower demotion, then the shorter interval, then the lower node', () => {
    const nodes = [
      { ...advert, node: 1, demotion: 10 },
      { ...advert, node: 2, advskew: 100 },
      { ...advert, node: 3, advbase: 2 },
      { ...advert, node: 5 },
      { ...advert, node: 4 },
    ];
    assert.deepEqual(
      nodes.toSorted(compareAdverts).map(({ node }) => node),
      [4, 5, 2, 3, 1],
    );
    assert.deepEqual(
      leastDemoted(nodes).map(({ node }) => node),
      [2, 3, 5, 4],
    );
  });

  it('add what is wrong with a node, and take it off again', () => {
    const demotion = new Demotion();
    assert.equal(demotion.set('uplink-down', 50), true);
    assert.equal(demotion.set('operator', 7), true);
    assert.equal(demotion.set('operator', 7), false);
    assert.equal(demotion.total, 57);
    demotion.set('uplink-down', 0);
    assert.equal(demotion.total, 7);
  });
});

describe('Records known ahead', () => {
  const answer = (node: number, position: number, refused: readonly number[] = []) => {
    return { node, by: 10 * node, position, refused };
  };

  it('let something leave when enough others have its record, in order', () => {
    const ahead = new WriteAhead<string>(2);
    for (const node of [2, 3, 4]) ahead.peerStarted(node, 10 * node);
    for (const thing of ['a', 'b'])
      ahead.wait({ thing, position: ahead.write(), until: undefined });
    ahead.acknowledged(answer(2, 2));
    assert.deepEqual(ahead.release(instant(0)), []);
    ahead.acknowledged(answer(3, 1));
    assert.deepEqual(ahead.release(instant(0)), [{ thing: 'a', isSynced: true }]);
    assert.equal(ahead.unacknowledged, 2);
  });

  it('do not count who refused, nor another process, nor what was never written', () => {
    const ahead = new WriteAhead<string>(1);
    ahead.peerStarted(2, 20);
    const position = ahead.write();
    ahead.acknowledged(answer(2, position, [position]));
    assert.equal(ahead.isKnown(position), false);
    ahead.peerStarted(2, 20);
    ahead.acknowledged({ ...answer(2, position), by: 21 });
    ahead.acknowledged(answer(2, position + 1));
    assert.equal(ahead.isKnown(position), false);
    ahead.acknowledged(answer(2, position));
    assert.equal(ahead.isKnown(position), true);
  });

  it('let it leave flagged when the wait is over', () => {
    const ahead = new WriteAhead<string>(1);
    ahead.wait({ thing: 'a', position: ahead.write(), until: instant(5) });
    assert.equal(ahead.nextDeadline, 5);
    assert.deepEqual(ahead.release(instant(4)), []);
    assert.deepEqual(ahead.release(instant(5)), [{ thing: 'a', isSynced: false }]);
  });
});

describe('Reserved sequence numbers', () => {
  it('are acknowledged before they are used', () => {
    const sequence = new ReservedSequence(7, false);
    const asked = sequence.extend(0, 1000);
    assert.deepEqual(asked, { spi: 7, high: 0, low: 500 });
    assert.equal(sequence.allowed, 0);
    assert.equal(sequence.extend(0, 1000), undefined, 'one at a time');
    if (asked) sequence.acknowledged(asked);
    assert.equal(sequence.allowed, 500);
    assert.equal(sequence.extend(250, 1000), undefined);
    assert.deepEqual(sequence.extend(251, 1000), { spi: 7, high: 0, low: 1000 });
    assert.equal(sequence.asked, 1000);
  });

  it('carry the high half of extended numbers', () => {
    const sequence = new ReservedSequence(7, true, 2 ** 32 - 10);
    assert.deepEqual(sequence.extend(2 ** 32 - 10, 0), { spi: 7, high: 1, low: 246 });
  });

  it('end before the counter goes round', () => {
    const sequence = new ReservedSequence(7, false, 2 ** 32 - 10);
    assert.deepEqual(sequence.extend(2 ** 32 - 10, 0), { spi: 7, high: 0, low: 2 ** 32 - 1 });
    assert.ok(sequence.isNearlyUsed(2 ** 32 - 10));
    sequence.goSolo();
    assert.equal(sequence.extend(2 ** 32 - 2, 0), undefined);
    assert.ok(sequence.isSolo);
  });

  it('do not believe an acknowledgement of what was not asked', () => {
    const sequence = new ReservedSequence(7, false);
    sequence.acknowledged({ spi: 7, high: 0, low: 5000 });
    assert.equal(sequence.allowed, 0);
  });
});

describe('Rekeys after a take-over', () => {
  it('are spread over half a minute and never more than 200 in a second', () => {
    const schedule = new RekeySchedule<number>();
    const count = 10_000;
    for (let sa = 0; sa < count; sa++) schedule.mark(sa, 'gap', 0.1 * (sa / count), instant(0));
    const taken: number[] = [];
    for (let now = 0; schedule.size > 0; now++) {
      const due = schedule.take(instant(now));
      for (const _ of due) taken.push(now);
      assert.ok(now < 60_000);
    }
    assert.equal(taken.length, count);
    for (let index = 200; index < count; index++) {
      const span = (taken[index] ?? 0) - (taken[index - 200] ?? 0);
      assert.ok(span >= 940, `200 in ${span} ms`);
    }
  });

  it('leave out what was replaced meanwhile', () => {
    const schedule = new RekeySchedule<string>();
    schedule.mark('a', 'solo', 0, instant(0));
    schedule.mark('b', 'unsynced', 0.5, instant(0));
    schedule.forget('a');
    assert.equal(schedule.nextDeadline, 15_000);
    assert.equal(schedule.reason('b'), 'unsynced');
    assert.deepEqual(schedule.take(instant(15_000)), ['b']);
    assert.equal(schedule.nextDeadline, undefined);
  });
});
