import assert from 'node:assert/strict';
import {
  alertMessage,
  controlLogMessages,
  EVENT_NAMES,
  eventMessage,
  logMessages,
} from '../../src/vici/events.ts';
import {
  ikeSaView,
  ordered,
  recordedCommand,
  recordedEvents,
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

describe('alert', () => {
  const view = ikeSaView(recordedCommand('list-sas', 'initiator').events[0]?.message ?? {});

  it('carries its type and the IKE SA it concerns', () => {
    const ours = alertMessage(sampleEvents.authenticationFailed, () => [view]);
    assert.deepEqual(Object.keys(ours ? treeOf(ours) : {}), ['type', 'ikesa']);
    assert.match(ordered(ours ? treeOf(ours) : {}), /"type": "local-auth-failed"/);
    assert.match(ordered(ours ? treeOf(ours) : {}), /"peer": \{\s*"uniqueid": "1"/);
  });

  it('stands alone where no IKE SA is there, and is silent where nothing is wrong', () => {
    const ours = alertMessage({ ...sampleEvents.refused, ikeSa: 0 }, () => [view]);
    assert.deepEqual(ours && treeOf(ours), { type: 'proposal-mismatch-ike' });
    assert.equal(
      alertMessage(sampleEvents.ikeSaUp, () => [view]),
      undefined,
    );
  });
});

describe('The streams', () => {
  it('are those strongSwan 6.0 has, and ours', () => {
    const theirs = [...EVENT_NAMES].filter((name) => !name.startsWith('tsgw-'));
    assert.equal(theirs.length, 13);
    assert(recordedEvents().every(({ name }) => EVENT_NAMES.has(name)));
  });
});
