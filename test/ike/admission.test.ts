import assert from 'node:assert/strict';
import { Admission } from '../../src/ike/admission.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import {
  ExchangeType,
  ikeSpi,
  messageId,
  NO_IKE_SPI,
  type Payload,
} from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { notifiesOf, statusNotify } from '../../src/ike/payload-access.ts';
import { SaRegistry } from '../../src/ike/sa-registry.ts';
import { DEFAULT_IKE_SETTINGS, type IkeSettings } from '../../src/ike/settings.ts';
import { A, B, endpoint } from '../support/pair.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

const NONCE: Payload = { kind: 'NONCE', nonce: new Uint8Array(32).fill(7) };
/** Nothing that is an IKE_SA_INIT's but the nonce, and long enough to be answered. */
const FILLING: Payload = { kind: 'VENDOR', vendorId: new Uint8Array(64) };

function request(...payloads: readonly Payload[]) {
  const octets = encodeMessage({
    header: {
      initiatorSpi: ikeSpi(new Uint8Array(8).fill(1)),
      responderSpi: NO_IKE_SPI,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType: ExchangeType.IKE_SA_INIT,
      fromInitiator: true,
      higherVersion: false,
      isResponse: false,
      messageId: messageId(0),
    },
    payloads,
  });
  return { local: endpoint(B), remote: endpoint(A), header: decodeHeader(octets), octets };
}

function turn(settings: Partial<IkeSettings>) {
  return turnAt(0, { settings: { ...DEFAULT_IKE_SETTINGS, ...settings } });
}

describe('Admission of first requests (RFC 7296 §2.6)', () => {
  const admission = new Admission(new SaRegistry(seededRandom(1)), seededRandom(2));

  it('lets anybody in while there is room', () => {
    const quiet = turn({});
    assert.ok(admission.admit(quiet, request()));
    assert.deepEqual(quiet.actions, []);
  });

  it('asks for a cookie, whatever else stands in the request, and takes it back', () => {
    const crowded = turn({ cookieThreshold: 0 });
    assert.equal(admission.admit(crowded, request(FILLING, NONCE)), false);
    const [answer] = actionsOf(crowded, 'send');
    assert.ok(answer);
    const { payloads } = decodeMessage(answer.octets);
    const [cookie] = notifiesOf(payloads, NotifyType.COOKIE);
    assert.ok(cookie);
    assert.equal(payloads.length, 1);
    const again = turn({ cookieThreshold: 0 });
    assert.ok(admission.admit(again, request(cookie, NONCE)));
    assert.deepEqual(again.actions, []);
    const guessed = statusNotify(NotifyType.COOKIE, cookie.data.with(0, (cookie.data[0] ?? 0) ^ 1));
    assert.equal(admission.admit(turn({ cookieThreshold: 0 }), request(guessed, NONCE)), false);
  });

  it('turns everybody away where there is no room', () => {
    const full = turn({ maxIkeSas: 0 });
    assert.equal(admission.admit(full, request(FILLING, NONCE)), false);
    assert.deepEqual(actionsOf(full, 'send'), []);
    assert.deepEqual(
      eventsOf(full, 'ike-drop').map(({ reason }) => reason),
      ['too-many-ike-sas'],
    );
  });
});
