import assert from 'node:assert/strict';
import { decodeMessage } from '../../src/ike/message/codec.ts';
import { ExchangeType, ikeSpi, messageId, NO_IKE_SPI } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { replyUnprotected } from '../../src/ike/unprotected.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { A, B, endpoint } from '../support/pair.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

const COOKIE = statusNotify(NotifyType.COOKIE, new Uint8Array(20).fill(7));
/** 28 octets of header, 8 of notify, 20 of cookie. */
const REPLY_OCTETS = 56;

/** A first request of so many octets, as a peer of a later minor version might send it. */
function request(octets: number) {
  return {
    local: endpoint(B),
    remote: endpoint(A),
    octets: new Uint8Array(octets),
    header: {
      initiatorSpi: ikeSpi(fromHex('0102030405060708')),
      responderSpi: ikeSpi(fromHex('1112131415161718')),
      majorVersion: 3,
      minorVersion: 9,
      exchangeType: ExchangeType.IKE_SA_INIT,
      fromInitiator: true,
      higherVersion: true,
      isResponse: false,
      messageId: messageId(0),
    },
  };
}

describe('An answer to a peer that proved nothing (RFC 7296 §2.6, §2.5)', () => {
  it('goes back where the request came from, under its SPI and message id', () => {
    const turn = turnAt(0);
    replyUnprotected(turn, request(300), [COOKIE]);
    const [send, ...others] = actionsOf(turn, 'send');
    assert.ok(send);
    assert.deepEqual(others, []);
    assert.deepEqual([send.local, send.remote], [endpoint(B), endpoint(A)]);
    const { header, payloads } = decodeMessage(send.octets);
    assert.deepEqual(payloads, [COOKIE]);
    assert.equal(header.initiatorSpi, '0102030405060708');
    assert.equal(header.messageId, 0);
    assert.equal(header.exchangeType, ExchangeType.IKE_SA_INIT);
  });

  it('is a response of our version, without an SPI of ours', () => {
    const turn = turnAt(0);
    replyUnprotected(turn, request(300), [COOKIE]);
    const [send] = actionsOf(turn, 'send');
    assert.ok(send);
    const { header } = decodeMessage(send.octets);
    assert.deepEqual([header.majorVersion, header.minorVersion], [2, 0]);
    assert.deepEqual(
      [header.fromInitiator, header.isResponse, header.higherVersion],
      [false, true, false],
    );
    assert.equal(header.responderSpi, NO_IKE_SPI);
  });

  it('is seen as a message of no IKE SA', () => {
    const turn = turnAt(0);
    replyUnprotected(turn, request(300), [COOKIE]);
    const [seen] = eventsOf(turn, 'message');
    assert.equal(seen?.ikeSa, 0);
    assert.equal(seen?.connection, '');
    assert.equal(seen?.octets, REPLY_OCTETS);
    assert.deepEqual(seen?.payloads, ['N(COOKIE)']);
  });

  it('is at most as large as the request, or there is none', () => {
    const [exact, short] = [turnAt(0), turnAt(0)];
    replyUnprotected(exact, request(REPLY_OCTETS), [COOKIE]);
    replyUnprotected(short, request(REPLY_OCTETS - 1), [COOKIE]);
    assert.equal(actionsOf(exact, 'send')[0]?.octets.length, REPLY_OCTETS);
    assert.deepEqual(short.actions, []);
  });
});
