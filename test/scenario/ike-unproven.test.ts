import assert from 'node:assert/strict';
import { IkeEndpoint } from '../../src/ike/endpoint.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType, ikeSpi, type Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { instant } from '../../src/wire/instant.ts';
import { connection, loadSecret, mirrored } from '../support/connections.ts';
import { A, B, endpoint, type Pair } from '../support/pair.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { firstRequest, initiate, sealed, sites, terminate } from '../support/sites.ts';

const DELETE_IKE: Payload = { kind: 'DELETE', protocol: ProtocolId.IKE, spiSize: 0, spis: [] };
const CRITICAL: Payload = { kind: 'unknown', type: 200, critical: true, body: Uint8Array.of(1) };

function isAuth(octets: Uint8Array): boolean {
  return decodeHeader(octets).exchangeType === ExchangeType.IKE_AUTH;
}

/** IKE_SA_INIT is done, IKE_AUTH never arrives. */
function halfWay(): Pair {
  const pair = sites();
  pair.translate = (flight) => (isAuth(flight.octets) ? undefined : flight);
  initiate(pair);
  pair.run(1000);
  return pair;
}

function only(pair: Pair, side: 'a' | 'b'): IkeSa {
  const [sa] = pair[side].engine.ikeSas();
  assert.ok(sa);
  return sa;
}

describe('A responder that has not authenticated (RFC 7296 §2.15)', () => {
  it('cannot use its keys for requests', () => {
    for (const payloads of [[DELETE_IKE], [statusNotify(NotifyType.AUTHENTICATION_FAILED)], []]) {
      const pair = halfWay();
      const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 0 };
      const octets = sealed(only(pair, 'b'), about, payloads);
      const before = pair.flights.length;
      pair.inject({ from: endpoint(B), to: endpoint(A), octets });
      pair.run(2000);
      assert.equal(pair.flights.length, before + 1);
      assert.equal(only(pair, 'a').state.name, 'AwaitingIkeAuthResponse');
    }
  });

  it('whose request overtook its IKE_AUTH response is answered when it repeats it', () => {
    const pair = sites();
    pair.translate = (flight) =>
      isAuth(flight.octets) && decodeHeader(flight.octets).isResponse ? undefined : flight;
    initiate(pair);
    pair.run(1000);
    terminate(pair, pair.b, 2);
    pair.run(2000);
    assert.equal(pair.b.outcomes.has(2), false);
    pair.translate = (flight) => flight;
    pair.run(60_000);
    assert.equal(pair.b.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.a.established + pair.b.established, 0);
  });
});

describe('An initiator that has not authenticated (RFC 7296 §2.6, §2.21.2)', () => {
  it('counts as half-open after its AUTH was refused, and needs a cookie', () => {
    const pair = sites(connection(), undefined, { b: { cookieThresholdPerAddress: 3 } });
    pair.b.pad.clear();
    loadSecret(pair.b.pad, 'another secret');
    for (let request = 1; request <= 4; request++) {
      initiate(pair, pair.a, { request });
      pair.run(pair.now + 100);
      assert.equal(pair.a.outcomes.get(request)?.kind, 'authentication-failed');
    }
    const cookies = pair.ladder.filter((line) => line.includes('response 0 [N(COOKIE)]'));
    assert.equal(cookies.length, 1);
    pair.run(pair.now + 60_000);
    assert.equal(pair.b.engine.halfOpen, 0);
  });

  it('pays for a refused key exchange value as for a half-open IKE SA', () => {
    const pair = sites(connection(), undefined, { b: { cookieThreshold: 5 } });
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    const zeros = payloads.map((one) =>
      one.kind === 'KE' ? { ...one, data: new Uint8Array(one.data.length) } : one,
    );
    const random = seededRandom(4);
    for (let round = 0; round < 20; round++) {
      const initiatorSpi = ikeSpi(random(8));
      const octets = encodeMessage({ header: { ...header, initiatorSpi }, payloads: zeros });
      pair.inject({ from: endpoint(`198.51.100.${round}`), to: endpoint(B), octets });
      pair.run(pair.now + 2);
    }
    const notifies = pair.flights
      .flatMap(({ octets }) => decodeMessage(octets).payloads)
      .flatMap((one) => (one.kind === 'NOTIFY' ? [one.type] : []));
    const count = (type: number) => notifies.filter((one) => one === type).length;
    assert.equal(count(NotifyType.INVALID_SYNTAX), 5);
    assert.equal(count(NotifyType.COOKIE), 15);
    pair.run(pair.now + 60_000);
    assert.equal(pair.b.engine.halfOpen, 0);
    assert.equal(pair.b.engine.nextDeadline(), undefined);
  });

  it('from one address holds a tenth of the room, with a cookie or without', () => {
    const pair = sites(connection(), undefined, { b: { maxHalfOpen: 50 } });
    pair.translate = (flight) => (isAuth(flight.octets) ? undefined : flight);
    for (let request = 1; request <= 20; request++) {
      initiate(pair, pair.a, { request });
      terminate(pair, pair.a, 100 + request);
      initiate(pair, pair.a, { request: 200 + request });
      pair.run(pair.now + 10);
      terminate(pair, pair.a, 300 + request);
    }
    assert.equal(pair.b.engine.halfOpen, 5);
    const [flight] = [firstRequest(9)];
    pair.inject({ ...flight, from: endpoint('198.51.100.1') });
    pair.run(pair.now + 10);
    assert.equal(pair.b.engine.halfOpen, 6);
  });

  it('ends with the first fault of its IKE_AUTH', () => {
    const pair = halfWay();
    const about = { exchangeType: ExchangeType.IKE_AUTH, id: 1 };
    pair.translate = (flight) => flight;
    pair.inject({
      from: endpoint(A),
      to: endpoint(B),
      octets: sealed(only(pair, 'a'), about, [CRITICAL]),
    });
    pair.run(1500);
    assert.equal(pair.b.engine.ikeSas().length, 0);
  });
});

describe('Versions (RFC 7296 §2.5)', () => {
  it('AUTH covers the response that was sent, whatever minor version asked for it', () => {
    const pair = sites();
    const { header, payloads } = decodeMessage(firstRequest(3).octets);
    const newer = { ...header, minorVersion: 7, higherVersion: true };
    const octets = encodeMessage({ header: newer, payloads });
    pair.inject({ from: endpoint(A), to: endpoint(B), octets });
    pair.run(0.5);
    pair.run(10, () => pair.flights.length === 2);
    const sent = pair.flights.at(-1)?.octets;
    const { state } = only(pair, 'b');
    assert.ok(state.name === 'AwaitingIkeAuthRequest');
    assert.deepEqual(state.handshake.responseOctets, sent);
    assert.equal(decodeHeader(sent ?? new Uint8Array()).minorVersion, 0);
  });
});

describe('A response that cannot be understood', () => {
  it('takes the IKE SA down on both sides', () => {
    const pair = sites(connection({ dpdDelaySeconds: 10 }));
    initiate(pair);
    pair.run(1000);
    pair.translate = (flight) => (flight.from.address.octets[3] === 2 ? undefined : flight);
    pair.run(12_000);
    const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 2, isResponse: true };
    const octets = sealed(only(pair, 'b'), about, [CRITICAL]);
    pair.translate = (flight) => flight;
    pair.inject({ from: endpoint(B), to: endpoint(A), octets });
    pair.run(13_000);
    assert.equal(pair.a.established + pair.b.established, 0);
    assert.equal(pair.b.children.size, 0);
  });
});

describe('SPIs of Child SAs that never came up', () => {
  it('are free again', () => {
    let draws = 0;
    const random = seededRandom(1);
    const pair = sites();
    const engine = new IkeEndpoint({
      random: (length) => {
        if (length !== 4) return random(length);
        assert.ok(++draws < 100, 'no free SPI');
        return Uint8Array.of(9, 9, 9, draws % 2);
      },
      pad: pair.a.pad,
      pools: pair.a.pools,
      settings: DEFAULT_IKE_SETTINGS,
      traffic: { lastInbound: () => undefined, lastOutbound: () => undefined },
      keyLog: false,
    });
    const ends = { local: endpoint(A), remote: endpoint(B) };
    for (let request = 1; request < 10; request++) {
      const now = instant(request);
      const input = { kind: 'initiate', request, connection: 'peer', child: 'net' } as const;
      const [sent] = engine
        .handle({ ...input, ...ends }, now)
        .filter(({ kind }) => kind === 'send');
      assert.ok(sent?.kind === 'send');
      pair.inject({ from: sent.local, to: sent.remote, octets: sent.octets });
      pair.translate = (flight) => (flight.to.address.octets[3] === 1 ? undefined : flight);
      pair.run(pair.now + 40_000);
      const answer = pair.flights.findLast(({ from }) => from.address.octets[3] === 2);
      assert.ok(answer);
      engine.handle({ kind: 'datagram', ...ends, octets: answer.octets }, now);
      assert.equal(engine.ikeSas()[0]?.state.name, 'AwaitingIkeAuthResponse');
      engine.handle({ kind: 'terminate', request: 99, selector: {}, force: false }, now);
    }
  });
});

describe('The path of messages (RFC 7296 §2.11)', () => {
  it('a response goes to where the request came from', () => {
    const pair = sites();
    const moved = endpoint('198.51.100.77', 12_345);
    initiate(pair);
    pair.translate = (flight) => (isAuth(flight.octets) ? { ...flight, from: moved } : flight);
    pair.run(1000);
    const answer = pair.flights.at(-1);
    assert.ok(answer && isAuth(answer.octets) && decodeHeader(answer.octets).isResponse);
    assert.deepEqual([answer.to, answer.from], [moved, endpoint(B)]);
    assert.deepEqual(only(pair, 'b').remote, moved);
  });

  it('a repeated first request with another source is another peer (§2.1)', () => {
    const pair = sites(connection(), mirrored(connection()));
    const flight = firstRequest(3);
    for (const from of [endpoint(A), endpoint('198.51.100.2'), endpoint(A)]) {
      pair.inject({ ...flight, from });
      pair.run(pair.now + 10);
    }
    assert.equal(pair.b.engine.halfOpen, 2);
    assert.deepEqual(pair.flights[1]?.octets, pair.flights[5]?.octets);
  });
});
