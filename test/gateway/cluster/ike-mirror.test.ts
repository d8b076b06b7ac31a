/** What a node makes of what others say about their IKE SAs. */
import assert from 'node:assert/strict';
import { segmentHash, segmentOfSpi } from '../../../src/cluster/segment-hash.ts';
import { IkeMirror } from '../../../src/gateway/cluster/ike-mirror.ts';
import type {
  ClusterView,
  IkeMirrorAction,
} from '../../../src/gateway/cluster/ike-mirror-action.ts';
import type { SnapshotEnd } from '../../../src/gateway/cluster/state-message.ts';
import { ownSpiOf } from '../../../src/ike/snapshot.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { instant } from '../../../src/wire/instant.ts';
import { loadSecret } from '../../support/connections.ts';
import { Side } from '../../support/pair.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { GCM, plainSnapshot } from '../../support/snapshots.ts';

const HASH = segmentHash(8, 1);
const NOW = instant(50_000);
const HERE = 2;
const THERE = 1;

function mirrored(change: Partial<ClusterView> = {}) {
  const side = new Side('b', 5, {}, { sid: HERE, skewMs: 0, epochOf: () => 6 });
  side.pad.load(GCM);
  loadSecret(side.pad, 'secret');
  const view: ClusterView = {
    reachable: () => [THERE],
    hasRoom: () => true,
    isForsaken: () => false,
    mayTransmit: () => true,
    owns: () => true,
    ownerOf: () => HERE,
    epoch: () => 5,
    ownEpoch: () => 6,
    head: () => ({ node: HERE, synced: true, owns: [] }),
    isCatchingUp: () => false,
    ...change,
  };
  const mirror = new IkeMirror({
    ...{ engine: side.engine, sid: HERE, hash: HASH, needed: 1, view },
    random: seededRandom(3),
    rekeysPerSecond: 200,
  });
  const put = (position: number, epoch: number) => {
    const bundle = { snapshots: [{ ...plainSnapshot(), epoch }], gone: [] };
    const message = { kind: 'put', sid: THERE, position, bundle, yielded: false } as const;
    mirror.receive(THERE, message, NOW);
    return mirror.drain();
  };
  return { side, mirror, put };
}

function told(actions: readonly IkeMirrorAction[]) {
  return actions.flatMap((one) => (one.kind === 'tell' ? [one.message] : []));
}

const SEGMENT = (mirror: IkeMirror) => mirror.segmentOf(ownSpiOf(plainSnapshot()));

const END: SnapshotEnd = {
  kind: 'snapshot-end',
  ...{ sid: THERE, whole: true, position: 1, synced: true, owns: [] },
};

describe('IKE SAs of other nodes', () => {
  it('are followed and acknowledged', () => {
    const { side, put } = mirrored();
    const actions = put(1, 5);
    assert.deepEqual(told(actions), [
      { kind: 'ack', sid: HERE, of: THERE, position: 1, refused: [] },
    ]);
    assert.ok(actions.some((one) => one.kind === 'applied' && one.position === 1));
    assert.equal(side.engine.passive, 1);
  });

  it('are refused from a node that is not their owner any more', () => {
    const { side, put } = mirrored();
    assert.deepEqual(told(put(1, 4)), [
      { kind: 'ack', sid: HERE, of: THERE, position: 1, refused: [1] },
    ]);
    assert.equal(side.engine.passive, 0);
  });

  it('are asked for where a record is missing, and not acknowledged before', () => {
    const { mirror, put } = mirrored();
    assert.deepEqual(told(put(3, 5)), [{ kind: 'snapshot-request', sid: HERE, whole: true }]);
    mirror.receive(THERE, { ...END, position: 2 }, NOW);
    assert.deepEqual(told(mirror.drain()), [
      { kind: 'ack', sid: HERE, of: THERE, position: 3, refused: [] },
    ]);
  });

  it('go on here when whoever had more of them has told it', () => {
    const { side, mirror, put } = mirrored();
    put(1, 5);
    mirror.fetch(SEGMENT(mirror), [THERE], false, NOW);
    assert.deepEqual(told(mirror.drain()), [{ kind: 'snapshot-request', sid: HERE, whole: true }]);
    assert.equal(side.engine.ikeSas().length, 0, 'not before');
    mirror.receive(THERE, END, NOW);
    assert.ok(mirror.drain().some(({ kind }) => kind === 'settled'));
    assert.equal(side.engine.ikeSas().length, 1);
  });

  it('go on in doubt when nobody tells what they came to, and get new keys before they send', () => {
    const { side, mirror, put } = mirrored();
    put(1, 5);
    mirror.fetch(SEGMENT(mirror), [THERE], false, NOW);
    mirror.drain();
    const deadline = mirror.nextDeadline();
    assert.equal(deadline, NOW + 100);
    mirror.expire(instant(NOW + 100));
    const actions = mirror.drain();
    const kinds = new Set(actions.map(({ kind }) => kind));
    assert.ok(kinds.has('unsure') && kinds.has('settled'));
    const activated = actions.flatMap((one) =>
      one.kind === 'ike' && one.action.kind === 'activate-child-sa' ? [one.action.childSa] : [],
    );
    assert.deepEqual(
      activated.map(({ outbound }) => outbound),
      ['never'],
    );
    const [sa] = side.engine.ikeSas();
    assert.ok(sa?.doubt);
    assert.deepEqual(
      sa.queued.map(({ kind }) => kind),
      ['create-child'],
    );
  });

  it('are told to who asks, with how long ago they were heard of', () => {
    const { mirror, put } = mirrored();
    put(1, 5);
    const request = { kind: 'snapshot-request', sid: THERE, whole: true } as const;
    mirror.receive(THERE, request, instant(NOW + 7000));
    const [chunk, end, ...more] = told(mirror.drain());
    assert.ok(chunk?.kind === 'snapshot-chunk' && chunk.age === 7000);
    assert.equal(chunk.bundle.snapshots.length, 1);
    assert.ok(end?.kind === 'snapshot-end' && end.synced && end.position === 0);
    assert.deepEqual(more, []);
  });

  it('are told as fast as they are taken, and what came meanwhile is in the log behind that', () => {
    let hasRoom = false;
    const { mirror, put } = mirrored({ hasRoom: () => hasRoom });
    put(1, 5);
    mirror.reserve(spi(0xc0000001), { high: 0, low: 256 }, NOW);
    mirror.drain();
    mirror.receive(THERE, { kind: 'snapshot-request', sid: THERE, whole: true }, NOW);
    assert.deepEqual(mirror.drain(), []);
    mirror.reserve(spi(0xc0000002), { high: 0, low: 256 }, NOW);
    mirror.tellMore(NOW);
    assert.deepEqual(
      told(mirror.drain()).map(({ kind }) => kind),
      ['reserve'],
    );
    hasRoom = true;
    mirror.tellMore(NOW);
    const messages = told(mirror.drain());
    const kinds = messages.map(({ kind }) => kind);
    assert.deepEqual(kinds, ['snapshot-chunk', 'reserve', 'snapshot-end']);
    const end = messages.at(-1);
    assert.ok(end?.kind === 'snapshot-end' && end.whole && end.position === 1);
    mirror.tellMore(NOW);
    assert.deepEqual(mirror.drain(), []);
  });

  it('get their numbers under a higher epoch when the lower one was refused', () => {
    const { mirror } = mirrored();
    mirror.nodeStarted(THERE, THERE);
    const spiIn = spi(0xc0000001);
    const upTo = { high: 0, low: 256 };
    mirror.reserve(spiIn, upTo, NOW);
    const acknowledge = (position: number, refused: readonly number[]) =>
      mirror.receive(THERE, { kind: 'ack', sid: THERE, of: HERE, position, refused }, NOW);
    acknowledge(1, [1]);
    assert.deepEqual(
      mirror.drain().filter(({ kind }) => kind === 'grant'),
      [],
    );
    mirror.raised(new Set([segmentOfSpi(spiIn, HASH)]), NOW);
    const [again] = told(mirror.drain());
    assert.ok(again?.kind === 'reserve' && again.position === 2);
    assert.deepEqual(again.reservations, [{ spiIn, epoch: 6, upTo }]);
    acknowledge(2, []);
    assert.deepEqual(mirror.drain(), [{ kind: 'grant', spiIn, upTo }]);
  });

  it('that their owner ended while nothing was heard of it are forgotten, and no others', () => {
    const owns = [{ segment: SEGMENT(mirrored().mirror), epoch: 5 }];
    const forgotten = (end: Partial<typeof END>, chunk: boolean) => {
      const { side, mirror, put } = mirrored();
      put(1, 5);
      mirror.connected(THERE, NOW);
      mirror.drain();
      const bundle = { snapshots: chunk ? [{ ...plainSnapshot(), epoch: 5 }] : [], gone: [] };
      mirror.receive(THERE, { kind: 'snapshot-chunk', sid: THERE, age: 0, bundle }, NOW);
      mirror.receive(THERE, { ...END, ...end }, NOW);
      return side.engine.passive === 0;
    };
    assert.ok(forgotten({ owns }, false));
    assert.ok(!forgotten({ owns }, true), 'it is named');
    assert.ok(!forgotten({ owns: [] }, false), 'the segment is not theirs');
    assert.ok(!forgotten({ owns: owns.map((one) => ({ ...one, epoch: 4 })) }, false), 'any more');
    assert.ok(!forgotten({ owns, synced: false }, false), 'they may have missed it themselves');
    assert.ok(!forgotten({ owns, whole: false }, false));
  });
});
