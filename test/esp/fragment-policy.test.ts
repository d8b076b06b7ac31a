import assert from 'node:assert/strict';
import { UNMATCHED } from '../../src/esp/fragment-policy.ts';
import { Policy } from '../../src/ipsec/spd.ts';
import { instant } from '../../src/wire/instant.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  espPair,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { fragmentsOf, udpPacket } from '../support/inner-packets.ts';

/** An SA for answers of name servers in both families. */
const dns: ChildSaOptions = {
  localTs: [selector('10.1.0.0/16'), selector('2001:db8:1::/48')],
  remoteTs: [
    selector('10.2.0.0/16', { protocol: 17, startPort: 53, endPort: 53 }),
    selector('2001:db8:2::/48', { protocol: 17, startPort: 53, endPort: 53 }),
  ],
  nonFirstFragments: true,
};

const large = {
  ipv4: udpPacket('10.1.0.5', '10.2.0.9', 2000),
  ipv6: udpPacket('2001:db8:1::5', '2001:db8:2::9', 2000),
};

function carry(pair: ReturnType<typeof espPair>, packets: readonly Uint8Array[]): number {
  const before = pair.b.delivered.length;
  const sent = pair.a.sent.length;
  pair.a.fromTun(...packets);
  pair.b.fromSocket(UDP, ...pair.a.sent.slice(sent).map(({ octets }) => ({ octets })));
  return pair.b.delivered.length - before;
}

function three(packet: Uint8Array): readonly [Uint8Array, Uint8Array, Uint8Array] {
  const [first, second, last, ...more] = fragmentsOf(packet, 800);
  assert.ok(first && second && last && more.length === 0);
  return [first, second, last];
}

describe('Fragments and selectors with ports (RFC 4301 §7)', () => {
  for (const [family, packet] of Object.entries(large)) {
    it(`follow their first one both ways where that was agreed on, ${family}`, () => {
      const pair = espPair(dns);
      assert.equal(carry(pair, three(packet)), 3);
      assert.deepEqual(pair.b.delivered, three(packet));
      assert.deepEqual([pair.a.drops(), pair.b.drops()], [{}, {}]);
    });

    it(`do not where it was not, ${family}`, () => {
      const pair = espPair({ ...dns, nonFirstFragments: false });
      assert.equal(carry(pair, three(packet)), 1);
      assert.deepEqual(pair.a.drops(), { 'outbound-fragment-unmatched': 2 });
      const sender = espPair(dns).a;
      sender.fromTun(...three(packet));
      pair.b.fromSocket(UDP, ...sender.sent.slice(1).map(({ octets }) => ({ octets })));
      assert.deepEqual(pair.b.drops(), { 'inbound-policy-mismatch': 2 });
    });

    it(`are dropped and counted before their first one was seen, ${family}`, () => {
      const [first, second, last] = three(packet);
      const pair = espPair(dns);
      assert.equal(carry(pair, [last, first, second]), 2);
      assert.deepEqual(pair.a.drops(), { 'outbound-fragment-unmatched': 1 });
      const late = espPair(dns);
      late.a.fromTun(first, second, last);
      const [one, two, three_] = late.a.sent;
      assert.ok(one && two && three_);
      late.b.fromSocket(UDP, two, one, three_);
      assert.deepEqual(late.b.drops(), { 'inbound-fragment-unmatched': 1 });
      assert.equal(late.b.delivered.length, 2);
    });
  }

  it('reach into the first one in vain (RFC 1858 §4)', () => {
    const [first] = three(large.ipv4);
    const [, inside] = fragmentsOf(large.ipv4, 8);
    assert.ok(inside);
    const pair = espPair(dns);
    assert.equal(carry(pair, [first, inside]), 1);
    assert.deepEqual(pair.a.drops(), { 'outbound-fragment-unmatched': 1 });
  });

  it('of another packet, host or protocol are not those of this one', () => {
    const [first, second] = three(large.ipv4);
    const pair = espPair(dns);
    carry(pair, [first]);
    const others = [
      udpPacket('10.1.0.5', '10.2.0.9', 2000, { identification: 7 }),
      udpPacket('10.1.0.6', '10.2.0.9', 2000),
      udpPacket('10.1.0.5', '10.2.0.8', 2000),
      udpPacket('10.1.0.5', '10.2.0.9', 2000, { protocol: 132 }),
    ];
    for (const other of others) assert.equal(carry(pair, [three(other)[1]]), 0);
    assert.equal(carry(pair, [second]), 1);
  });

  it('are forgotten after 30 s', () => {
    const [first, second, last] = three(large.ipv4);
    const pair = espPair(dns);
    carry(pair, [first]);
    pair.a.now = instant(pair.a.now + 29_999);
    pair.b.now = pair.a.now;
    assert.equal(carry(pair, [second]), 1);
    pair.a.now = instant(pair.a.now + 100);
    assert.equal(carry(pair, [last]), 0);
  });

  it('need no first one where selectors ask for no ports', () => {
    const pair = espPair();
    assert.equal(carry(pair, three(large.ipv4).toReversed()), 3);
  });

  it('go by an SA for what shows no ports, where theirs takes none (§7.2)', () => {
    const { a } = espPair({ ...dns, nonFirstFragments: false });
    const opaque = { protocol: 17, startPort: 65_535, endPort: 0 };
    const other = childSa({
      id: 2,
      spiIn: 0xc000_0003,
      remoteTs: [selector('10.2.0.0/16', opaque)],
    });
    a.install(other, testKeys(other, 1), testKeys(other, 2));
    a.fromTun(...three(large.ipv4));
    assert.deepEqual(
      a.sent.map(({ path }) => path),
      [1, 2, 2],
    );
  });

  it('do not leave in the clear where their first one is protected, or not known (§7.4)', () => {
    const { a } = espPair({ ...dns, nonFirstFragments: false });
    a.engine.installPolicy(
      {
        id: -1,
        action: 'bypass',
        localTs: [selector('0.0.0.0/0')],
        remoteTs: [selector('0.0.0.0/0')],
        priority: 900_000,
      },
      a.now,
    );
    const [first, second, last] = three(large.ipv4);
    a.fromTun(second, first, last);
    assert.deepEqual(a.drops(), { 'outbound-fragment-unmatched': 2 });
    assert.equal(a.bypassed.length, 0);
    // Those of a packet that itself passes do.
    const plain = three(udpPacket('10.1.0.5', '10.9.0.9', 2000));
    a.fromTun(...plain);
    assert.equal(a.bypassed.length, 3);
  });

  it('leave in the clear after a first one that does so for its port (§7.4)', () => {
    const a = new EspGateway();
    a.engine.installPolicy(
      {
        id: -1,
        action: 'bypass',
        localTs: [selector('10.1.0.0/16')],
        remoteTs: [selector('10.2.0.0/16', { protocol: 17, startPort: 53, endPort: 53 })],
        priority: 0,
      },
      a.now,
    );
    a.fromTun(...three(large.ipv4));
    assert.equal(a.bypassed.length, 3);
  });

  it('have an answer that no policy has', () => {
    for (const policy of Object.values(Policy)) assert.ok(UNMATCHED < policy - 1_000_000);
  });
});
