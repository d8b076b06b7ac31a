import assert from 'node:assert/strict';
import {
  alertOf,
  notifyName,
  REQUEST_REFUSED,
  TSGW_ALERTS,
  VICI_ALERTS,
} from '../../src/events/alert.ts';
import { sampleEvents, subject } from '../support/sample-events.ts';

describe('Alerts', () => {
  it('are the 33 of strongSwan, and some of ours', () => {
    assert.equal(new Set(VICI_ALERTS).size, 33);
    assert.ok(VICI_ALERTS.every((name) => /^[a-z]+(-[a-z]+)+$/.test(name)));
    const known: readonly string[] = [...VICI_ALERTS, ...TSGW_ALERTS];
    for (const event of Object.values(sampleEvents)) {
      const alert = alertOf(event);
      assert.ok(alert === undefined || known.includes(alert), `${event.kind}: ${alert}`);
    }
  });

  it('name a refusal by what was refused', () => {
    const { refused } = sampleEvents;
    const child = { ...refused, child: 'net' };
    const named = (notify: string) => [
      alertOf({ ...refused, notify }),
      alertOf({ ...child, notify }),
    ];
    const proposals = ['proposal-mismatch-ike', 'proposal-mismatch-child'];
    assert.deepEqual(named('NO_PROPOSAL_CHOSEN'), proposals);
    assert.deepEqual(named('no-proposal-chosen'), proposals);
    assert.deepEqual(named('INVALID_KE_PAYLOAD'), proposals);
    assert.deepEqual(named('ts-unacceptable'), ['ts-mismatch', 'ts-mismatch']);
    assert.deepEqual(named('FAILED_CP_REQUIRED'), ['vip-failure', 'vip-failure']);
    assert.deepEqual(named('NO_ADDITIONAL_SAS'), [REQUEST_REFUSED, REQUEST_REFUSED]);
  });

  it('tell whose authentication failed', () => {
    const { authenticationFailed } = sampleEvents;
    assert.equal(alertOf(authenticationFailed), 'local-auth-failed');
    assert.equal(alertOf({ ...authenticationFailed, by: 'us' }), 'peer-auth-failed');
    const { refused } = sampleEvents;
    const notify = 'AUTHENTICATION_FAILED';
    assert.equal(alertOf({ ...refused, notify }), 'peer-auth-failed');
    assert.equal(alertOf({ ...refused, by: 'peer', notify }), 'local-auth-failed');
  });

  it('tell a peer that never answered from one that fell silent', () => {
    const { peerUnreachable } = sampleEvents;
    assert.equal(alertOf(peerUnreachable), 'retransmit-send-timeout');
    const exchange = 'IKE_SA_INIT';
    assert.equal(alertOf({ ...peerUnreachable, exchange }), 'peer-init-unreachable');
  });

  it('are raised by what strangers send only where strongSwan does', () => {
    const of = (reason: string) => alertOf({ kind: 'ike-drop', reason, peer: subject.peer });
    assert.equal(of('unknown-ike-spi'), 'invalid-ike-spi');
    assert.equal(of('malformed-ike-message'), 'parse-error-body');
    assert.equal(of('half-open-timeout'), 'half-open-timeout');
    assert.equal(of('constructor'), undefined);
    assert.equal(of('message-id-out-of-window'), undefined);
  });

  it('are none where all is well', () => {
    assert.equal(alertOf(sampleEvents.ikeSaUp), undefined);
    assert.equal(alertOf(sampleEvents.daemon), undefined);
    assert.equal(alertOf(sampleEvents.alert), 'ts-narrowed');
  });

  it('know a notify by either spelling', () => {
    assert.equal(notifyName('ts-unacceptable'), 'TS_UNACCEPTABLE');
    assert.equal(notifyName('TS_UNACCEPTABLE'), 'TS_UNACCEPTABLE');
  });
});
