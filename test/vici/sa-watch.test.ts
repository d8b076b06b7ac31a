import assert from 'node:assert/strict';
import type { IkeSaView } from '../../src/vici/control.ts';
import { SA_EVENTS, SaWatch } from '../../src/vici/sa-watch.ts';
import {
  childSaView,
  ikeSaView,
  ordered,
  recordedCommand,
  recordedEvents,
  recordedRekeying,
  type Tree,
  treeOf,
} from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';

describe('ike-updown and child-updown', () => {
  const up = recordedEvents().filter(({ name }) => name.endsWith('updown'));
  const view = ikeSaView(recordedCommand('list-sas', 'initiator').events[0]?.message ?? {});

  function shape(message: Tree | undefined): readonly string[] {
    return Object.entries(message ?? {}).flatMap(([name, value]) => [
      name,
      ...(typeof value === 'string' ? [] : Object.keys(Object(value))),
    ]);
  }

  /** Shapes differ by the tasks strongSwan has and tsgw has not. */
  function recordedShape(name: string, isUp: boolean): readonly string[] {
    const found = up.find((one) => one.name === name && 'up' in one.message === isUp);
    return shape(found?.message).filter((key) => !key.startsWith('tasks-'));
  }

  it('have the keys of strongSwan in its order when SAs come', () => {
    const watch = new SaWatch(() => [view]);
    const ike = watch.message(sampleEvents.ikeSaUp);
    assert.equal(ike?.name, 'ike-updown');
    assert.deepEqual(shape(ike && treeOf(ike.message)), recordedShape('ike-updown', true));
    const child = watch.message(sampleEvents.childSaUp);
    assert.equal(child?.name, 'child-updown');
    assert.deepEqual(shape(child && treeOf(child.message)), recordedShape('child-updown', true));
  });

  it('have the keys of strongSwan in its order when SAs go', () => {
    let sas: readonly IkeSaView[] = [view];
    const watch = new SaWatch(() => sas);
    sas = [{ ...view, children: [] }];
    const child = watch.message(sampleEvents.childSaDown);
    assert.deepEqual(shape(child && treeOf(child.message)), recordedShape('child-updown', false));
    assert.match(ordered(child ? treeOf(child.message) : {}), /"net-1": \{[^}]*"DELETED"/);
    sas = [];
    const ike = watch.message(sampleEvents.ikeSaDown);
    assert.deepEqual(shape(ike && treeOf(ike.message)), recordedShape('ike-updown', false));
    assert.match(ordered(ike ? treeOf(ike.message) : {}), /"state": "DELETING"/);
  });

  it('say nothing of SAs nobody saw, nor of other events', () => {
    const watch = new SaWatch(() => []);
    assert.equal(watch.message(sampleEvents.ikeSaDown), undefined);
    assert.equal(watch.message(sampleEvents.retransmit), undefined);
  });
});

describe('ike-rekey, child-rekey and ike-update', () => {
  const { events } = recordedRekeying();

  function recorded(at: string, name: string): Tree {
    const found = events.find((one) => one.at === at && one.name === name);
    assert(found);
    return found.message;
  }

  /** The section of that name. */
  function part(tree: Tree, ...names: readonly string[]): Tree {
    return names.reduce<Tree>((inner, name) => {
      const value = inner[name];
      assert(typeof value === 'object' && !Array.isArray(value), name);
      return Object.fromEntries(Object.entries(value));
    }, tree);
  }

  it('child-rekey carries both Child SAs as strongSwan', () => {
    for (const at of ['g1', 'g2']) {
      const theirs = recorded(at, 'child-rekey');
      const view = ikeSaView(theirs);
      const [old, made] = ['old', 'new'].map((name) =>
        childSaView(part(theirs, 'peer', 'child-sas', 'net', name)),
      );
      assert(old && made);
      let sas: readonly IkeSaView[] = [{ ...view, children: [{ ...old, state: 'INSTALLED' }] }];
      const watch = new SaWatch(() => sas);
      sas = [{ ...view, children: [made] }];
      const ours = watch.message({
        ...sampleEvents.childSaRekeyed,
        ikeSa: view.uniqueId,
        childSa: made.uniqueId,
        replaces: old.uniqueId,
      });
      assert.equal(ours?.name, 'child-rekey');
      assert.equal(ordered(ours ? treeOf(ours.message) : {}), ordered(theirs), at);
    }
  });

  for (const [at, initiator] of [
    ['g1', true],
    ['g2', false],
  ] as const) {
    it(`ike-rekey carries both IKE SAs as strongSwan, ${initiator ? 'ours' : "the peer's"}`, () => {
      const theirs = recorded(at, 'ike-rekey');
      const old = ikeSaView({ peer: part(theirs, 'peer', 'old') });
      const made = ikeSaView({ peer: part(theirs, 'peer', 'new') });
      const before = { ...old, state: 'ESTABLISHED', localVips: ['10.3.0.1'] };
      let sas: readonly IkeSaView[] = [initiator ? { ...before, establishedSeconds: 9 } : before];
      const watch = new SaWatch(() => sas);
      sas = [made];
      const { uniqueId: ikeSa } = made;
      const event = { ...sampleEvents.ikeSaRekeyed, initiator, ikeSa, replaces: old.uniqueId };
      const ours = watch.message(event);
      assert.equal(ours?.name, 'ike-rekey');
      const tasks = /\n {3}"tasks-[a-z]+": \[[^\]]*\],?/g;
      const bare = (tree: Tree) =>
        ordered(tree)
          .replace(tasks, '')
          .replace(/,(?=\s*\})/g, '');
      assert.equal(bare(ours ? treeOf(ours.message) : {}), bare(theirs));
      assert.equal(watch.message(event), undefined, 'what is gone is forgotten');
    });
  }

  it('ike-update says where the SA is now, then shows it as it was', () => {
    for (const at of ['g1', 'g2']) {
      const theirs = recorded(at, 'ike-update');
      const was = ikeSaView({ peer: part(theirs, 'peer') });
      const now = {
        ...was,
        localHost: String(theirs['local-host']),
        remoteHost: String(theirs['remote-host']),
      };
      const watch = new SaWatch(() => [now]);
      const ours = watch.message({
        ...sampleEvents.ikeSaMoved,
        ikeSa: was.uniqueId,
        fromLocal: `${was.localHost}[${was.localPort}]`,
        fromPeer: `${was.remoteHost}[${was.remotePort}]`,
      });
      assert.equal(ours?.name, 'ike-update');
      assert.equal(ordered(ours ? treeOf(ours.message) : {}), ordered(theirs), at);
    }
  });

  it('are silent about SAs nobody saw', () => {
    const watch = new SaWatch(() => []);
    assert.equal(watch.message(sampleEvents.childSaRekeyed), undefined);
    assert.equal(watch.message(sampleEvents.ikeSaRekeyed), undefined);
    assert.equal(watch.message(sampleEvents.ikeSaMoved), undefined);
    assert.equal(SA_EVENTS.length, 5);
  });
});
