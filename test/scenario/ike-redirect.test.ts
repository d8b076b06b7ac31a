import assert from 'node:assert/strict';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType, ikeSpi } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { decodeRedirect, encodeRedirect } from '../../src/ike/message/redirect.ts';
import { payloadOf, statusNotify } from '../../src/ike/payload-access.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { endpoint, type Flight, type Pair } from '../support/pair.ts';
import { tunnel } from '../support/rekeying.ts';
import { initiate, sealed, sites } from '../support/sites.ts';

const ELSEWHERE = '192.0.2.9';

describe('Data of REDIRECT (RFC 5685 §8)', () => {
  it('names an IPv4 address, an IPv6 address or a host', () => {
    const nonce = Uint8Array.of(1, 2, 3);
    for (const gateway of [ELSEWHERE, '2001:db8::9', 'gw.example.org']) {
      assert.deepEqual(decodeRedirect(encodeRedirect({ gateway, nonce })), { gateway, nonce });
    }
    assert.deepEqual(encodeRedirect({ gateway: ELSEWHERE, nonce }), fromHex('0104c0000209010203'));
  });

  it('is nothing where it is short, of another type, or no host name', () => {
    const whole = encodeRedirect({ gateway: ELSEWHERE, nonce: new Uint8Array() });
    for (let length = 0; length < whole.length; length++) {
      assert.equal(decodeRedirect(whole.subarray(0, length)), undefined);
    }
    for (const hex of ['0404c0000209', '0103c00002', '0304', '0303612062', '03032d6162']) {
      assert.equal(decodeRedirect(fromHex(hex)), undefined, hex);
    }
  });
});

/** The gateway answers the first request with REDIRECT and this nonce. */
function redirecting(pair: Pair, nonce: (own: Uint8Array) => Uint8Array): void {
  pair.translate = ({ from, to, octets }: Flight) => {
    const { header, payloads } = decodeMessage(octets);
    if (header.exchangeType !== ExchangeType.IKE_SA_INIT || header.isResponse) return undefined;
    const own = payloadOf(payloads, 'NONCE')?.nonce ?? new Uint8Array();
    const data = encodeRedirect({ gateway: ELSEWHERE, nonce: nonce(own) });
    pair.handle(pair.a, {
      kind: 'datagram',
      local: from,
      remote: to,
      octets: encodeMessage({
        header: {
          ...header,
          fromInitiator: false,
          isResponse: true,
          responderSpi: ikeSpi(new Uint8Array(8)),
        },
        payloads: [statusNotify(NotifyType.REDIRECT, data)],
      }),
    });
    return undefined;
  };
}

describe('A client that is sent elsewhere (RFC 5685)', () => {
  it('goes where IKE_SA_INIT is answered with its nonce (§3), and says who sent it (§4)', () => {
    const pair = sites();
    redirecting(pair, (own) => own);
    initiate(pair);
    pair.run(1000);
    assert.deepEqual(pair.a.reinitiated, ['peer/net']);
    const [redirected] = pair.a.redirects;
    assert.deepEqual(redirected?.requests, [1]);
    assert.equal(redirected?.redirected?.gateway, ELSEWHERE);
    assert.equal(pair.a.engine.ikeSas().length, 0);
    // The operator's request goes along and is not answered yet.
    assert.equal(pair.a.outcomes.has(1), false);
    pair.translate = (flight) => flight;
    pair.b.places.push(ELSEWHERE);
    pair.handle(pair.a, {
      kind: 'initiate',
      request: 2,
      connection: 'peer',
      child: 'net',
      local: endpoint('192.0.2.1'),
      remote: endpoint(ELSEWHERE),
      ...(redirected?.redirected && { redirected: redirected.redirected }),
    });
    pair.run(3000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    const first = pair.flights.findLast(
      ({ to, octets }) =>
        to.address.octets[3] === 9 &&
        decodeHeader(octets).exchangeType === ExchangeType.IKE_SA_INIT,
    );
    const notifies = first && decodeMessage(first.octets).payloads;
    assert.ok(
      notifies?.some((one) => one.kind === 'NOTIFY' && one.type === NotifyType.REDIRECTED_FROM),
    );
  });

  it('does not believe an answer without its nonce', () => {
    const pair = sites();
    redirecting(pair, () => new Uint8Array(32));
    initiate(pair);
    pair.run(1000);
    assert.deepEqual(pair.a.reinitiated, []);
    assert.equal(pair.a.engine.ikeSas().length, 1);
  });

  it('follows five times in five minutes and no more (§10)', () => {
    const pair = sites();
    redirecting(pair, (own) => own);
    for (let request = 1; request <= 8; request++) {
      initiate(pair, pair.a, { request });
      pair.run(pair.now + 1000);
    }
    assert.equal(pair.a.reinitiated.length, 5);
    pair.run(pair.now + 400_000);
    initiate(pair, pair.a, { request: 9 });
    pair.run(pair.now + 1000);
    assert.equal(pair.a.reinitiated.length, 6);
  });

  it('takes its Child SAs along when an established IKE SA is redirected (§5)', () => {
    const pair = tunnel();
    pair.handle(pair.b, { kind: 'redirect', request: 5, selector: {}, gateway: ELSEWHERE });
    pair.run(3000);
    assert.equal(pair.b.outcomes.get(5)?.kind, 'done');
    assert.equal(pair.a.redirects.length, 1);
    const [order] = pair.a.redirects;
    assert.ok(order?.redirected);
    pair.b.places.push(ELSEWHERE);
    pair.handle(pair.a, {
      kind: 'initiate',
      request: 6,
      connection: 'peer',
      child: 'net',
      local: endpoint('192.0.2.1'),
      remote: endpoint(ELSEWHERE),
      redirected: order.redirected,
    });
    pair.run(5000);
    // Make before break: the old IKE SA is gone only now that the new one is there.
    const remotes = pair.a.engine.ikeSas().map(({ remote }) => remote.address.octets.join('.'));
    assert.deepEqual(remotes, [ELSEWHERE]);
    assert.equal(pair.b.established, 1);
  });

  it('is no gateway: an initiator does not tell its responder where to go', () => {
    const pair = tunnel();
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    const data = encodeRedirect({ gateway: ELSEWHERE, nonce: new Uint8Array() });
    const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 2 };
    const octets = sealed(sa, about, [statusNotify(NotifyType.REDIRECT, data)]);
    pair.handle(pair.b, { kind: 'datagram', local: sa.remote, remote: sa.local, octets });
    pair.run(2000);
    assert.deepEqual(pair.b.redirects, []);
  });
});

describe('Sending clients elsewhere (RFC 5685)', () => {
  it('leaves out clients that never said they would go, and says so', () => {
    const pair = tunnel();
    const [sa] = pair.b.engine.ikeSas();
    if (sa) sa.announced = [];
    pair.handle(pair.b, { kind: 'redirect', request: 5, selector: {}, gateway: ELSEWHERE });
    const outcome = pair.b.outcomes.get(5);
    assert.equal(outcome?.kind, 'failed');
    assert.match(outcome && 'what' in outcome ? outcome.what : '', /^1 SAs match, none/);
  });
});
