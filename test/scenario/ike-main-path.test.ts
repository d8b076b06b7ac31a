import assert from 'node:assert/strict';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  fqdn,
  ikeProposal,
  loadSecret,
  mirrored,
  NO_ESN,
  network,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';
import { A, B, endpoint, Pair, type Side } from '../support/pair.ts';

const SECRET = 'a secret both ends know';

function pairOf(
  one: Connection = connection(),
  other: Connection = mirrored(one),
  options: ConstructorParameters<typeof Pair>[0] = {},
): Pair {
  const pair = new Pair(options);
  pair.a.pad.load(one);
  pair.b.pad.load(other);
  for (const side of [pair.a, pair.b]) loadSecret(side.pad, SECRET);
  return pair;
}

function initiate(pair: Pair, side: Side = pair.a, request = 1): void {
  const [local, remote] = side === pair.a ? [A, B] : [B, A];
  pair.handle(side, {
    kind: 'initiate',
    request,
    connection: 'peer',
    child: 'net',
    local: endpoint(local),
    remote: endpoint(remote),
  });
}

/** Each side holds the same single Child SA, keys crossed. */
function assertTunnel(pair: Pair): void {
  assert.equal(pair.a.established, 1);
  assert.equal(pair.b.established, 1);
  const [a, b] = [[...pair.a.children.values()], [...pair.b.children.values()]];
  assert.equal(a.length, 1);
  assert.equal(b.length, 1);
  assert.ok(a[0] && b[0]);
  assert.equal(a[0].spiIn, b[0].spiOut);
  assert.equal(a[0].spiOut, b[0].spiIn);
  assert.deepEqual(a[0].keysIn.encryption.reveal(), b[0].keysOut.encryption.reveal());
  assert.deepEqual(a[0].keysOut.encryption.reveal(), b[0].keysIn.encryption.reveal());
  assert.deepEqual(a[0].localTs, b[0].remoteTs);
}

describe('An IKE SA and its first Child SA (RFC 7296 §1.2)', () => {
  it('come up in two exchanges', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
    assert.deepEqual(pair.a.outcomes.get(1), { kind: 'done', matches: 1, terminated: 0 });
    assert.deepEqual(pair.ladder, [
      '-> IKE_SA_INIT request 0 [SA KE No N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(REDIRECT_SUPPORTED)]',
      '<- IKE_SA_INIT response 0 [SA KE No N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(CHILDLESS_IKEV2_SUPPORTED)]',
      '-> IKE_AUTH request 1 [IDi N(INITIAL_CONTACT) IDr AUTH SA TSi TSr]',
      '<- IKE_AUTH response 1 [IDr AUTH SA TSi TSr]',
    ]);
  });

  it('come up when datagrams are lost, reordered and repeated', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const wire = { loss: 0.1, duplicate: 0.2, delayMs: 5, jitterMs: 3000 };
      const pair = pairOf(connection(), undefined, { seed, wire });
      initiate(pair);
      pair.run(400_000, () => pair.a.outcomes.has(1));
      assert.equal(pair.a.outcomes.get(1)?.kind, 'done', `seed ${seed}`);
      pair.wire = {};
      pair.run(pair.now + 5000);
      assertTunnel(pair);
    }
  });

  it('answer a repeated request from the cache, octet by octet', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    const [request, response] = pair.flights.filter(
      ({ octets }) => decodeHeader(octets).exchangeType === ExchangeType.IKE_AUTH,
    );
    assert.ok(request && response);
    const before = pair.flights.length;
    pair.inject(request);
    pair.run(2000);
    assert.equal(pair.flights.length, before + 2);
    assert.deepEqual(pair.flights.at(-1)?.octets, response.octets);
    assertTunnel(pair);
  });

  it('narrow the selectors to what both configured (§2.9)', () => {
    const one = connection({ children: [child({ remoteTs: [network('10.0.0.0/8')] })] });
    const other = mirrored(
      connection({ children: [child({ remoteTs: [network('10.2.7.0/24')] })] }),
    );
    const pair = pairOf(one, other);
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
    assert.deepEqual(
      [...pair.a.children.values()][0]?.remoteTs.map(({ range }) => [...range.first.octets]),
      [[10, 2, 7, 0]],
    );
  });
});

describe('A key exchange method the responder did not choose (RFC 7296 §1.2)', () => {
  it('costs a round trip and no state', () => {
    const one = connection({
      proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519, ECP_256)],
    });
    const other = mirrored(
      connection({ proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, ECP_256)] }),
    );
    const pair = pairOf(one, other);
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
    assert.equal(pair.ladder[1], '<- IKE_SA_INIT response 0 [N(INVALID_KE_PAYLOAD)]');
  });
});

describe('Cookies (RFC 7296 §2.6)', () => {
  it('are asked for above the threshold and open the way', () => {
    const pair = pairOf(connection(), undefined, { b: { cookieThreshold: 0 } });
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
    assert.equal(pair.ladder[1], '<- IKE_SA_INIT response 0 [N(COOKIE)]');
    assert.match(pair.ladder[2] ?? '', /request 0 \[N\(COOKIE\) SA KE No/);
  });

  it('work together with INVALID_KE_PAYLOAD', () => {
    const other = mirrored(
      connection({ proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, ECP_256)] }),
    );
    const pair = pairOf(connection(), other, { b: { cookieThreshold: 0 } });
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
  });
});

describe('Refusals', () => {
  it('a wrong shared secret fails on the responder and tells the initiator (§2.21.2)', () => {
    const pair = pairOf();
    pair.b.pad.clear();
    loadSecret(pair.b.pad, 'another secret');
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'authentication-failed');
    assert.equal(pair.b.seen('authentication-failed')[0]?.by, 'us');
    assert.equal(pair.a.established + pair.b.established, 0);
    assert.equal(pair.a.children.size + pair.b.children.size, 0);
  });

  it('no common IKE proposal', () => {
    const other = mirrored(
      connection({
        proposals: [
          ikeProposal({ ...AES_CBC_256, keyLength: 128 }, SHA2_256, PRF_SHA2_256, X25519),
        ],
      }),
    );
    const pair = pairOf(connection(), other);
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'refused');
    const [refused] = pair.b.seen('refused');
    assert.deepEqual(
      refused?.transforms.map(({ type }) => type),
      ['ENCR'],
    );
  });

  it('no common ESP proposal leaves the IKE SA in place (§1.2)', () => {
    const other = mirrored(
      connection({
        children: [child({ proposals: [espProposal({ ...AES_GCM_256, keyLength: 128 }, NO_ESN)] })],
      }),
    );
    const pair = pairOf(connection(), other);
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'refused');
    assert.equal(pair.a.established, 1);
    assert.equal(pair.a.children.size + pair.b.children.size, 0);
  });

  it('selectors without a common address leave the IKE SA in place (§2.9)', () => {
    const other = mirrored(
      connection({ children: [child({ remoteTs: [network('10.9.0.0/16')] })] }),
    );
    const pair = pairOf(connection(), other);
    initiate(pair);
    pair.run(1000);
    assert.match(JSON.stringify(pair.a.outcomes.get(1)), /TS_UNACCEPTABLE/);
    assert.equal(pair.b.established, 1);
  });

  it('an unknown identity', () => {
    const other = mirrored(
      connection({ local: { method: 'psk', id: { text: 'c.lab', identity: fqdn('c.lab') } } }),
    );
    const pair = pairOf(connection(), other);
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'authentication-failed');
  });
});

describe('The end of SAs (RFC 7296 §1.4.1)', () => {
  it('a deleted IKE SA takes its Child SAs on both sides', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    pair.handle(pair.a, { kind: 'terminate', request: 2, selector: { ike: 'peer' }, force: false });
    pair.run(2000);
    assert.deepEqual(pair.a.outcomes.get(2), { kind: 'done', matches: 1, terminated: 1 });
    assert.equal(pair.a.children.size + pair.b.children.size, 0);
    assert.equal(pair.a.established + pair.b.established, 0);
    assert.match(pair.ladder.at(-2) ?? '', /INFORMATIONAL request 2 \[D\]/);
    assert.match(pair.ladder.at(-1) ?? '', /INFORMATIONAL response 2 \[\]/);
  });

  it('a deleted Child SA leaves the IKE SA', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    pair.handle(pair.b, {
      kind: 'terminate',
      request: 2,
      selector: { child: 'net' },
      force: false,
    });
    pair.run(2000);
    assert.equal(pair.b.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.a.children.size + pair.b.children.size, 0);
    assert.equal(pair.a.established + pair.b.established, 2);
  });

  it('both delete the same Child SA at once', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    for (const side of [pair.a, pair.b]) {
      pair.handle(side, {
        kind: 'terminate',
        request: 2,
        selector: { child: 'net' },
        force: false,
      });
    }
    pair.run(2000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.b.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.a.children.size + pair.b.children.size, 0);
    assert.equal(pair.a.established + pair.b.established, 2);
  });

  it('both delete the IKE SA at once', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    for (const side of [pair.a, pair.b]) pair.handle(side, { kind: 'shutdown', request: 2 });
    pair.run(2000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.b.outcomes.get(2)?.kind, 'done');
    assert.equal(pair.a.established + pair.b.established, 0);
  });

  it('close_action = start asks to come up again', () => {
    const pair = pairOf(
      connection({ children: [child({ closeAction: 'start' })] }),
      mirrored(connection()),
    );
    initiate(pair);
    pair.run(1000);
    pair.handle(pair.b, { kind: 'terminate', request: 2, selector: { ike: 'peer' }, force: false });
    pair.run(2000);
    assert.deepEqual(pair.a.reinitiated, ['peer/net']);
  });
});

describe('Liveness and retransmission (RFC 7296 §2.4)', () => {
  it('an unanswered request is repeated with back-off and then given up', () => {
    const pair = pairOf(connection(), undefined, { wire: { loss: 1 } });
    initiate(pair);
    pair.run(600_000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'timeout');
    assert.equal(pair.flights.length, 6);
    assert.equal(pair.a.engine.ikeSas().length, 0);
  });

  it('keyingtries starts over', () => {
    const pair = pairOf(connection({ keyingTries: 2 }), undefined, { wire: { loss: 1 } });
    initiate(pair);
    pair.run(600_000);
    assert.equal(pair.flights.length, 12);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'timeout');
  });

  it('a peer that is gone is noticed, and dpd_action = restart asks to come up again', () => {
    const one = connection({ dpdDelaySeconds: 10, children: [child({ dpdAction: 'restart' })] });
    const pair = pairOf(one, mirrored(connection()));
    initiate(pair);
    pair.run(1000);
    pair.wire = { loss: 1 };
    pair.run(400_000);
    assert.equal(pair.a.established, 0);
    assert.equal(pair.a.children.size, 0);
    assert.deepEqual(pair.a.reinitiated, ['peer/net']);
    assert.equal(pair.a.seen('peer-unreachable').length, 1);
  });

  it('no probe is sent while packets arrive', () => {
    const pair = pairOf(connection({ dpdDelaySeconds: 10 }));
    initiate(pair);
    pair.run(1000);
    const before = pair.flights.length;
    for (let second = 2; second < 60; second++) {
      pair.a.lastInbound = pair.now;
      pair.b.lastInbound = pair.now;
      pair.run(second * 1000);
    }
    assert.equal(pair.flights.length, before);
    pair.run(100_000);
    assert.ok(pair.flights.length > before);
  });

  it('half-open IKE SAs end after their time', () => {
    const pair = pairOf();
    initiate(pair);
    pair.translate = (flight) =>
      decodeHeader(flight.octets).exchangeType === ExchangeType.IKE_AUTH ? undefined : flight;
    pair.run(1000);
    assert.equal(pair.b.engine.halfOpen, 1);
    pair.run(40_000);
    assert.equal(pair.b.engine.halfOpen, 0);
    assert.equal(pair.b.engine.ikeSas().length, 0);
  });
});

describe('NAT traversal (RFC 7296 §2.23)', () => {
  it('a NAT before the initiator moves both to port 4500 and encapsulates', () => {
    const pair = pairOf();
    const inside = endpoint(A).address;
    const outside = endpoint('198.51.100.7').address;
    pair.translate = ({ from, to, octets }) => {
      const hide = (address: typeof inside) =>
        address.octets.join() === inside.octets.join() ? outside : address;
      const show = (address: typeof inside) =>
        address.octets.join() === outside.octets.join() ? inside : address;
      return {
        from: { ...from, address: hide(from.address) },
        to: { ...to, address: show(to.address) },
        octets,
      };
    };
    initiate(pair);
    pair.run(1000);
    assertTunnel(pair);
    const [a] = [...pair.a.children.values()];
    const [b] = [...pair.b.children.values()];
    assert.equal(a?.udpEncapsulation, true);
    assert.equal(b?.udpEncapsulation, true);
    assert.equal(a?.remote.port, 4500);
    assert.deepEqual(b?.remote.address.octets, outside.octets);
    assert.deepEqual(pair.a.seen('nat-detected')[0]?.localBehindNat, true);
    assert.deepEqual(pair.b.seen('nat-detected')[0]?.remoteBehindNat, true);
    pair.run(100_000);
    assert.ok(pair.a.keepalives >= 4);
    assert.equal(pair.b.keepalives, 0);
  });

  it('without a NAT ESP needs no UDP', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    assert.equal([...pair.a.children.values()][0]?.udpEncapsulation, false);
  });

  it('encap = yes fakes one, from either side', () => {
    for (const [one, other] of [
      [true, false],
      [false, true],
    ]) {
      const pair = pairOf(
        connection({ encap: one ?? false }),
        mirrored(connection({ encap: other ?? false })),
      );
      initiate(pair);
      pair.run(1000);
      assertTunnel(pair);
      assert.equal([...pair.a.children.values()][0]?.udpEncapsulation, true);
      assert.equal([...pair.b.children.values()][0]?.udpEncapsulation, true);
    }
  });

  it('a peer may start on port 4500', () => {
    const pair = pairOf();
    pair.handle(pair.a, {
      kind: 'initiate',
      request: 1,
      connection: 'peer',
      child: 'net',
      local: endpoint(A, 4500),
      remote: endpoint(B, 4500),
    });
    pair.run(1000);
    assertTunnel(pair);
  });
});

describe('Several IKE SAs of one peer (RFC 7296 §2.4)', () => {
  it('INITIAL_CONTACT removes what an earlier life of the peer left', () => {
    const pair = pairOf();
    initiate(pair);
    pair.run(1000);
    const reborn = pairOf(connection(), undefined, { seed: 99 });
    const [init] = reborn.flights;
    assert.equal(init, undefined);
    pair.a.engine.ikeSas()[0]?.children.clear();
    pair.handle(pair.a, { kind: 'terminate', request: 9, selector: { ike: 'peer' }, force: true });
    pair.wire = { loss: 1 };
    pair.run(2000);
    pair.wire = {};
    initiate(pair, pair.a, 2);
    pair.run(4000);
    assert.equal(pair.b.established, 1);
    assert.equal(pair.b.children.size, 1);
  });
});
