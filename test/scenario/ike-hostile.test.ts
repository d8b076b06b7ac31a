import assert from 'node:assert/strict';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import {
  ExchangeType,
  type IkeMessage,
  ikeSpi,
  messageId,
  NO_IKE_SPI,
} from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { connection, loadSecret, mirrored } from '../support/connections.ts';
import { A, B, endpoint, type Flight, Pair } from '../support/pair.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';

function pairOf(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options);
  pair.a.pad.load(connection());
  pair.b.pad.load(mirrored(connection()));
  for (const side of [pair.a, pair.b]) loadSecret(side.pad, 'secret');
  return pair;
}

function initiate(pair: Pair): void {
  pair.handle(pair.a, {
    kind: 'initiate',
    request: 1,
    connection: 'peer',
    child: 'net',
    local: endpoint(A),
    remote: endpoint(B),
  });
}

function established(): Pair {
  const pair = pairOf();
  initiate(pair);
  pair.run(1000);
  assert.equal(pair.b.established, 1);
  return pair;
}

/** The first IKE_SA_INIT request of a fresh initiator. */
function firstRequest(seed: number): Flight {
  const pair = pairOf({ seed });
  initiate(pair);
  const [flight] = pair.flights;
  assert.ok(flight);
  return flight;
}

describe('Hostile octets (RFC 7296 §2.4, §2.21)', () => {
  it('random octets change nothing and throw nothing', () => {
    const pair = established();
    const random = seededRandom(7);
    const chance = seededNumbers(8);
    for (let round = 0; round < 2000; round++) {
      const octets = random(Math.floor(chance() * 300));
      pair.handle(pair.b, { kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets });
    }
    assert.equal(pair.b.established, 1);
    assert.equal(pair.b.seen('ike-drop').length, 2000);
  });

  it('every message of the exchange, cut or with an octet changed, throws nothing', () => {
    const flights = established().flights;
    const chance = seededNumbers(9);
    for (const flight of flights) {
      for (let length = 0; length < flight.octets.length; length += 7) {
        const pair = established();
        pair.inject({ ...flight, octets: flight.octets.slice(0, length) });
        pair.run(2000);
        assert.equal(pair.a.established + pair.b.established, 2);
      }
      const pair = established();
      for (let round = 0; round < 200; round++) {
        const octets = flight.octets.slice();
        const at = Math.floor(chance() * octets.length);
        octets[at] = (octets[at] ?? 0) ^ (1 + Math.floor(chance() * 255));
        pair.handle(pair.b, { kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets });
        pair.handle(pair.a, { kind: 'datagram', local: endpoint(A), remote: endpoint(B), octets });
      }
      assert.equal(pair.a.established, 1);
      assert.equal(pair.a.children.size, 1);
    }
  });

  it('a forged IKE_SA_INIT response does not end the attempt', () => {
    const pair = pairOf();
    initiate(pair);
    const [request] = pair.flights;
    assert.ok(request);
    const { header } = decodeMessage(request.octets);
    const forged: IkeMessage = {
      header: {
        ...header,
        isResponse: true,
        fromInitiator: false,
        responderSpi: ikeSpi(new Uint8Array(8).fill(1)),
      },
      payloads: [],
    };
    pair.handle(pair.a, {
      kind: 'datagram',
      local: endpoint(A),
      remote: endpoint(B),
      octets: encodeMessage(forged),
    });
    pair.run(10_000);
    assert.equal(pair.a.established, 1);
  });

  it('another major version is answered with INVALID_MAJOR_VERSION (§2.5)', () => {
    const pair = pairOf();
    const octets = firstRequest(3).octets.slice();
    octets[17] = 0x30;
    pair.inject({ from: endpoint('198.51.100.1'), to: endpoint(B), octets });
    pair.run(10);
    const reply = pair.flights.at(-1);
    assert.ok(reply);
    const [notify] = decodeMessage(reply.octets).payloads;
    assert.ok(notify?.kind === 'NOTIFY');
    assert.equal(notify.type, NotifyType.INVALID_MAJOR_VERSION);
  });

  it('another major version within an IKE SA is not answered to whom it claims to be from', () => {
    const pair = established();
    const [first] = pair.flights;
    assert.ok(first);
    const changes: readonly (readonly [at: number, octet: number])[] = [
      [8, 1],
      [18, ExchangeType.INFORMATIONAL],
      [19, 0x00],
      [19, 0x28],
      [23, 2],
    ];
    const before = pair.flights.length;
    for (const [at, octet] of changes) {
      const octets = first.octets.slice();
      octets[17] = 0x30;
      octets[at] = octet;
      pair.inject({ from: endpoint(A), to: endpoint(B), octets });
    }
    pair.run(2000);
    assert.equal(pair.flights.length, before + changes.length, 'none is answered');
  });

  it('an unknown critical payload is named, an unknown other one passed over (§2.5)', () => {
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    for (const critical of [true, false]) {
      const pair = pairOf();
      const extra = { kind: 'unknown', type: 200, critical, body: Uint8Array.of(1) } as const;
      const octets = encodeMessage({ header, payloads: [extra, ...payloads] });
      pair.inject({ from: endpoint('198.51.100.1'), to: endpoint(B), octets });
      pair.run(10);
      const reply = pair.flights.at(-1);
      assert.ok(reply);
      const [first] = decodeMessage(reply.octets).payloads;
      if (critical) {
        assert.ok(first?.kind === 'NOTIFY');
        assert.equal(first.type, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD);
        assert.deepEqual([...first.data], [200]);
      } else {
        assert.equal(first?.kind, 'SA');
      }
    }
  });

  it('payloads may come in any order (§2.5)', () => {
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    const pair = pairOf();
    const octets = encodeMessage({ header, payloads: [...payloads].reverse() });
    pair.inject({ from: endpoint('198.51.100.1'), to: endpoint(B), octets });
    pair.run(10);
    assert.equal(pair.b.engine.halfOpen, 1);
  });
});

describe('A flood of first requests (RFC 7296 §2.6)', () => {
  it('keeps state and replies bounded', () => {
    const pair = pairOf({
      b: { maxHalfOpen: 50, cookieThreshold: 10, cookieThresholdPerAddress: 5 },
    });
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    const random = seededRandom(11);
    for (let round = 0; round < 500; round++) {
      const octets = encodeMessage({
        header: { ...header, initiatorSpi: ikeSpi(random(8)) },
        payloads,
      });
      const from = endpoint(`198.51.${Math.floor(round / 250)}.${round % 250}`);
      pair.inject({ from, to: endpoint(B), octets });
      pair.run(pair.now + 2);
      const reply = pair.flights.at(-1);
      assert.ok(reply && reply.octets.length <= octets.length);
    }
    assert.equal(pair.b.engine.halfOpen, 10);
    pair.run(60_000);
    assert.equal(pair.b.engine.halfOpen, 0);
    assert.equal(pair.b.engine.nextDeadline(), undefined);
  });

  it('counts per address', () => {
    const pair = pairOf({ b: { cookieThresholdPerAddress: 3 } });
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    const random = seededRandom(12);
    for (let round = 0; round < 20; round++) {
      const octets = encodeMessage({
        header: { ...header, initiatorSpi: ikeSpi(random(8)) },
        payloads,
      });
      pair.inject({ from: endpoint('198.51.100.9', 1000 + round), to: endpoint(B), octets });
      pair.run(pair.now + 2);
    }
    assert.equal(pair.b.engine.halfOpen, 3);
  });
});

describe('Messages in the wrong state', () => {
  it('exchanges before authentication never reach a handler', () => {
    const pair = pairOf();
    pair.inject({ ...firstRequest(3) });
    pair.run(10);
    const reply = pair.flights.at(-1);
    assert.ok(reply);
    const { responderSpi, initiatorSpi } = decodeHeader(reply.octets);
    for (const exchangeType of [
      ExchangeType.IKE_AUTH,
      ExchangeType.CREATE_CHILD_SA,
      ExchangeType.INFORMATIONAL,
    ]) {
      const octets = encodeMessage({
        header: {
          initiatorSpi,
          responderSpi,
          majorVersion: 2,
          minorVersion: 0,
          exchangeType,
          fromInitiator: true,
          higherVersion: false,
          isResponse: false,
          messageId: messageId(1),
        },
        payloads: [{ kind: 'SK', firstPayload: 0, sealed: new Uint8Array(80) }],
      });
      pair.inject({ from: endpoint(A), to: endpoint(B), octets });
      pair.run(pair.now + 10);
    }
    assert.equal(pair.b.established, 0);
    assert.equal(
      pair.b.seen('ike-drop').filter(({ reason }) => reason === 'bad-ike-icv').length,
      3,
    );
  });

  it('an IKE_SA_INIT request with a responder SPI or message id is dropped', () => {
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    for (const change of [
      { responderSpi: ikeSpi(new Uint8Array(8).fill(1)) },
      { messageId: messageId(1) },
      { initiatorSpi: NO_IKE_SPI },
    ]) {
      const pair = pairOf();
      pair.inject({
        from: endpoint(A),
        to: endpoint(B),
        octets: encodeMessage({ header: { ...header, ...change }, payloads }),
      });
      pair.run(10);
      assert.equal(pair.b.engine.halfOpen, 0);
      assert.equal(pair.flights.length, 1);
    }
  });
});
