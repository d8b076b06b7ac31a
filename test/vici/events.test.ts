import assert from 'node:assert/strict';
import type { IkeSaView } from '../../src/vici/control.ts';
import {
  controlLogMessages,
  EVENT_NAMES,
  eventMessage,
  logMessages,
  UpdownWatch,
} from '../../src/vici/events.ts';
import {
  ikeSaView,
  ordered,
  recordedCommand,
  recordedEvents,
  type Tree,
  treeOf,
} from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';

describe('log and control-log', () => {
  it('have the keys of strongSwan in its order', () => {
    const theirs = recordedEvents().find(
      ({ name, message }) => name === 'log' && 'ikesa-name' in message,
    );
    const [ours] = logMessages(sampleEvents.message).map(treeOf);
    assert.deepEqual(Object.keys(ours ?? {}), Object.keys(theirs?.message ?? {}));
    const control = recordedCommand('initiate', 'established').events[0]?.message;
    const [first] = controlLogMessages(sampleEvents.message, 1).map(treeOf);
    assert.deepEqual(Object.keys(first ?? {}), Object.keys(control ?? {}));
  });

  it('show up to the level asked for', () => {
    assert.equal(controlLogMessages(sampleEvents.message, 1).length, 3);
    assert.equal(controlLogMessages(sampleEvents.message, 0).length, 1);
    assert.equal(controlLogMessages(sampleEvents.message, -1).length, 0);
    assert.equal(logMessages(sampleEvents.ikeDrop).length, 0);
  });

  it('an event of no IKE SA names none', () => {
    const [ours] = logMessages(sampleEvents.daemon).map(treeOf);
    assert.deepEqual(Object.keys(ours ?? {}), ['group', 'level', 'thread', 'msg']);
  });
});

describe('tsgw-event', () => {
  it('carries every field under the key of the log line', () => {
    const ours = treeOf(eventMessage(sampleEvents.message));
    assert.equal(ours.kind, 'message');
    assert.equal(ours.level, 'trace');
    assert.equal(ours['message-id'], '0');
    assert.equal(ours.response, 'no');
    assert.deepEqual(ours.payloads, sampleEvents.message.payloads);
  });

  it('carries what was offered against what is accepted, transform by transform', () => {
    assert.deepEqual(treeOf(eventMessage(sampleEvents.refused)).transforms, {
      ENCR: { offered: ['AES_CBC_128'], accepted: ['AES_CBC_256', 'AES_GCM_16_256'] },
      KE: { offered: ['MODP_2048'], accepted: [] },
    });
  });
});

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
    const watch = new UpdownWatch(() => [view]);
    const ike = watch.message(sampleEvents.ikeSaUp);
    assert.equal(ike?.name, 'ike-updown');
    assert.deepEqual(shape(ike && treeOf(ike.message)), recordedShape('ike-updown', true));
    const child = watch.message(sampleEvents.childSaUp);
    assert.equal(child?.name, 'child-updown');
    assert.deepEqual(shape(child && treeOf(child.message)), recordedShape('child-updown', true));
  });

  it('have the keys of strongSwan in its order when SAs go', () => {
    let sas: readonly IkeSaView[] = [view];
    const watch = new UpdownWatch(() => sas);
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
    const watch = new UpdownWatch(() => []);
    assert.equal(watch.message(sampleEvents.ikeSaDown), undefined);
    assert.equal(watch.message(sampleEvents.retransmit), undefined);
  });
});

describe('The streams', () => {
  it('are those strongSwan 5.9.8 has, and ours', () => {
    const theirs = [...EVENT_NAMES].filter((name) => !name.startsWith('tsgw-'));
    assert.equal(theirs.length, 12);
    assert(recordedEvents().every(({ name }) => EVENT_NAMES.has(name)));
  });
});
