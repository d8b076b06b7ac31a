import assert from 'node:assert/strict';
import type { Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { errorNotify, notifiesOf, payloadOf, statusNotify } from '../../src/ike/payload-access.ts';

const cookie = statusNotify(NotifyType.COOKIE, Uint8Array.of(1));
const other = statusNotify(NotifyType.COOKIE, Uint8Array.of(2));
const refusal = statusNotify(NotifyType.NO_PROPOSAL_CHOSEN);
const nonce: Payload = { kind: 'NONCE', nonce: Uint8Array.of(3) };
const payloads: readonly Payload[] = [cookie, nonce, refusal, other];

describe('Payloads of a message', () => {
  it('are found by their kind, the first of several', () => {
    assert.equal(payloadOf(payloads, 'NONCE'), nonce);
    assert.equal(payloadOf(payloads, 'NOTIFY'), cookie);
    assert.equal(payloadOf(payloads, 'SA'), undefined);
  });

  it('notifies are found by their type, all of them in order', () => {
    assert.deepEqual(notifiesOf(payloads, NotifyType.COOKIE), [cookie, other]);
    assert.deepEqual(notifiesOf(payloads, NotifyType.INITIAL_CONTACT), []);
  });

  it('an error is told from a status (RFC 7296 §3.10.1)', () => {
    assert.equal(errorNotify(payloads), refusal);
    assert.equal(errorNotify([cookie, nonce]), undefined);
    const [last, first] = [16_383, 16_384].map((type) => statusNotify(type));
    assert.ok(last && first);
    assert.equal(errorNotify([first]), undefined);
    assert.equal(errorNotify([first, last]), last);
  });

  it('a notify about the IKE SA has no protocol and no SPI (§3.10)', () => {
    assert.deepEqual(statusNotify(NotifyType.INITIAL_CONTACT), {
      kind: 'NOTIFY',
      protocol: 0,
      spi: new Uint8Array(),
      type: NotifyType.INITIAL_CONTACT,
      data: new Uint8Array(),
    });
  });
});
