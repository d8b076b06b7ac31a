import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import {
  FailureHistory,
  hostOf,
  MAX_FAILURES,
  MAX_KNOWN_PEERS,
  MAX_STRANGERS,
} from '../../src/gateway/failure-history.ts';
import { instant } from '../../src/wire/instant.ts';
import { sampleEvents, subject } from '../support/sample-events.ts';

const { refused, authenticationFailed, peerUnreachable } = sampleEvents;

/** A stranger's proposal that we refused. */
function stranger(host: string): Event {
  return { ...refused, ikeSa: 0, connection: '', peer: `${host}[500]` };
}

describe('The history of failures', () => {
  let history: FailureHistory;
  beforeEach(() => {
    history = new FailureHistory((ikeSa) => (ikeSa === 1 ? 'b.lab' : undefined));
  });

  const alerts = (name?: string) => history.about(name).map(({ alert }) => alert);

  it('is found by address in any spelling, by identity and by connection', () => {
    history.observe({ ...authenticationFailed, peer: '2001:db8::2[500]' }, instant(1000));
    for (const name of ['2001:db8::2', '2001:0DB8:0::2', 'b.lab', 'peer']) {
      assert.deepEqual(alerts(name), ['local-auth-failed'], name);
    }
    for (const name of ['2001:db8::3', 'a.lab', '', 'pee'])
      assert.deepEqual(alerts(name), [], name);
  });

  it('takes the identity of the event before that of the IKE SA', () => {
    history.observe({ ...authenticationFailed, remoteId: 'c.lab' }, instant(1000));
    assert.deepEqual(alerts('c.lab'), ['local-auth-failed']);
    assert.deepEqual(alerts('b.lab'), []);
  });

  it('has the newest first, over all peers', () => {
    history.observe(refused, instant(1000));
    history.observe({ ...peerUnreachable, peer: '192.0.2.9[500]' }, instant(2000));
    history.observe(authenticationFailed, instant(3000));
    assert.deepEqual(alerts(), [
      'local-auth-failed',
      'retransmit-send-timeout',
      'proposal-mismatch-ike',
    ]);
  });

  it('counts what happens again alike, whatever the number of the IKE SA', () => {
    for (const ikeSa of [1, 2, 3]) {
      history.observe({ ...refused, ikeSa, remoteId: 'b.lab' }, instant(ikeSa * 1000));
    }
    const [failure, ...others] = history.about();
    assert.equal(failure?.count, 3);
    assert.equal(failure.at, 3000);
    assert.deepEqual(others, []);
    history.observe({ ...refused, what: 'another' }, instant(4000));
    assert.equal(history.about().length, 2);
  });

  it('keeps no more of one peer than its bound, oldest out', () => {
    for (let number = 0; number <= MAX_FAILURES; number++) {
      history.observe({ ...refused, what: `number ${number}` }, instant(number + 1));
    }
    const failures = history.about();
    assert.equal(failures.length, MAX_FAILURES);
    assert.equal(failures.at(-1)?.event.kind === 'refused' && failures.at(-1)?.at, 2);
  });

  it('lets no stranger push out what happened with a peer that is known', () => {
    history.observe({ ...authenticationFailed, peer: '192.0.2.2[500]' }, instant(1));
    for (let number = 0; number < 1000; number++) {
      history.observe(stranger(`198.51.${number >> 8}.${number & 255}`), instant(number + 2));
    }
    assert.deepEqual(alerts('192.0.2.2'), ['local-auth-failed']);
    assert.equal(history.about().length, MAX_STRANGERS + 1);
    assert.deepEqual(alerts('198.51.3.231'), ['proposal-mismatch-ike'], 'the last is there');
  });

  it('forgets the known peer that is silent longest, beyond its bound', () => {
    for (let number = 0; number <= MAX_KNOWN_PEERS; number++) {
      history.observe({ ...authenticationFailed, peer: `192.0.2.${number}[500]` }, instant(number));
      history.observe({ ...authenticationFailed, peer: '192.0.2.0[500]' }, instant(number));
    }
    assert.deepEqual(alerts('192.0.2.1'), []);
    assert.deepEqual(alerts('192.0.2.0'), ['local-auth-failed']);
    assert.equal(history.about().length, MAX_KNOWN_PEERS);
  });

  it('knows a stranger once it is more', () => {
    history.observe(stranger('192.0.2.2'), instant(1));
    history.observe({ ...authenticationFailed, ...subject }, instant(2));
    for (let number = 0; number < 100; number++) {
      history.observe(stranger(`198.51.100.${number}`), instant(number + 3));
    }
    assert.deepEqual(alerts('192.0.2.2'), ['local-auth-failed', 'proposal-mismatch-ike']);
  });

  it('remembers neither what is no failure nor what anyone may send', () => {
    const { ikeSaUp, retransmit, ikeDrop, message, daemon } = sampleEvents;
    for (const event of [ikeSaUp, retransmit, ikeDrop, message, daemon]) {
      history.observe(event, instant(1));
    }
    assert.deepEqual(alerts(), []);
    history.observe({ ...ikeDrop, reason: 'half-open-timeout' }, instant(1));
    assert.deepEqual(alerts('192.0.2.66'), ['half-open-timeout']);
  });

  it('tells an address from its port', () => {
    assert.equal(hostOf('192.0.2.1[500]'), '192.0.2.1');
    assert.equal(hostOf('2001:db8::1[4500]'), '2001:db8::1');
    assert.equal(hostOf('%any'), '%any');
  });
});
