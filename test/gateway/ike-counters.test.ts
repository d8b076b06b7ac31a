import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import { IkeCounters } from '../../src/gateway/ike-counters.ts';
import { COUNTER_NAMES } from '../../src/vici/daemon-answers.ts';
import { sampleEvents } from '../support/sample-events.ts';

const EXCHANGES = ['IKE_SA_INIT', 'IKE_AUTH', 'CREATE_CHILD_SA', 'INFORMATIONAL'];

function message(changes: Partial<Extract<Event, { kind: 'message' }>> = {}): Event {
  return { ...sampleEvents.message, ...changes };
}

describe('Counters of IKE messages', () => {
  let counters: IkeCounters;

  beforeEach(() => {
    counters = new IkeCounters();
  });

  it('start at nothing, with a total', () => {
    assert.deepEqual(counters.read(), { '': {} });
  });

  it('have the names strongSwan gives them', () => {
    for (const exchange of EXCHANGES) {
      for (const direction of ['sent', 'received'] as const) {
        for (const response of [false, true])
          counters.count(message({ exchange, direction, response }));
      }
    }
    const counted = Object.keys(counters.read('')[''] ?? {});
    assert.equal(counted.length, 16);
    const unknown = counted.filter((name) => !COUNTER_NAMES.some((known) => known === name));
    assert.deepEqual(unknown, []);
  });

  it('tell direction and role of a message', () => {
    counters.count(message());
    counters.count(message({ direction: 'received', response: true }));
    assert.deepEqual(counters.read('peer'), {
      peer: { 'ike-init-out-req': 1, 'ike-init-in-resp': 1 },
    });
  });

  it('count for the connection and in all', () => {
    counters.count(message());
    counters.count(message({ connection: 'other' }));
    assert.deepEqual(counters.read(), {
      '': { 'ike-init-out-req': 2 },
      peer: { 'ike-init-out-req': 1 },
      other: { 'ike-init-out-req': 1 },
    });
    assert.deepEqual(counters.read(''), { '': { 'ike-init-out-req': 2 } });
    assert.deepEqual(counters.read('nobody'), {});
  });

  it('count what belongs to no connection in all only', () => {
    counters.count(message({ connection: '' }));
    assert.deepEqual(counters.read(), { '': { 'ike-init-out-req': 1 } });
  });

  it('count discarded datagrams as invalid, those of unknown SPIs apart', () => {
    counters.count(sampleEvents.ikeDrop);
    counters.count({ ...sampleEvents.ikeDrop, reason: 'unknown-ike-spi' });
    assert.deepEqual(counters.read(), { '': { invalid: 1, 'invalid-spi': 1 } });
  });

  it('count rekeyings: of Child SAs, and of IKE SAs by who asked', () => {
    counters.count(sampleEvents.childSaRekeyed);
    counters.count(sampleEvents.ikeSaRekeyed);
    counters.count({ ...sampleEvents.ikeSaRekeyed, initiator: false });
    const counted = { 'child-rekey': 1, 'ike-rekey-init': 1, 'ike-rekey-resp': 1 };
    assert.deepEqual(counters.read(), { '': counted, peer: counted });
    const names: readonly string[] = COUNTER_NAMES;
    assert.ok(Object.keys(counted).every((name) => names.includes(name)));
  });

  it('say why nobody was served, by reason', () => {
    assert.deepEqual(counters.drops, {});
    counters.count(sampleEvents.ikeDrop);
    counters.count(sampleEvents.ikeDrop);
    counters.count({ ...sampleEvents.refused, ikeSa: 0 });
    counters.count(sampleEvents.refused);
    counters.count({ ...sampleEvents.refused, ikeSa: 0, by: 'peer' });
    counters.reset();
    assert.deepEqual(counters.drops, { malformed: 2, 'no-proposal-chosen': 1 });
  });

  it('pass over other events and exchanges of no name', () => {
    counters.count(sampleEvents.ikeSaUp);
    counters.count(message({ exchange: 'IKE_SESSION_RESUME' }));
    assert.deepEqual(counters.read(), { '': {} });
  });

  it('are forgotten for one connection, or in all', () => {
    counters.count(message());
    counters.reset('peer');
    assert.deepEqual(counters.read(), { '': { 'ike-init-out-req': 1 } });
    counters.count(message());
    counters.reset();
    assert.deepEqual(counters.read(), { '': {}, peer: { 'ike-init-out-req': 1 } });
  });
});
