/**
 * Two packet engines and what happens to a Child SA in its life: traffic both ways, a successor
 * while packets of the old one are still on the wire, a narrowing path, a receiver that restarts.
 */
import assert from 'node:assert/strict';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { icmpNextHopMtu } from '../../src/wire/icmp.ts';
import { ipv4TypeOfService } from '../../src/wire/ipv4.ts';
import {
  childSa,
  type EspGateway,
  espPair,
  mirrored,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { seededNumbers } from '../support/seeded-random.ts';

const THERE = ['10.1.0.10', '10.2.0.10'] as const;
const BACK = ['10.2.0.10', '10.1.0.10'] as const;

/** Takes from the wire what `from` sent since the last time. */
function flying(from: EspGateway) {
  return from.sent.splice(0).map(({ octets, tos }) => ({ octets, tos }));
}

/** A successor of the Child SA, as a rekeying installs it at both ends. */
function rekey(a: EspGateway, b: EspGateway): void {
  const successor = childSa({
    id: 2,
    spiIn: 0xc000_0011,
    spiOut: 0xc000_0012,
    rowIn: 2,
    rowOut: 3,
  });
  a.install(successor, testKeys(successor, 4), testKeys(successor, 3));
  b.install(mirrored(successor), testKeys(successor, 3), testKeys(successor, 4));
}

describe('A Child SA in its life', () => {
  it('carries a conversation', () => {
    const { a, b } = espPair();
    for (let turn = 0; turn < 50; turn++) {
      a.fromTun(udpPacket(...THERE, turn));
      b.fromSocket(UDP, ...flying(a));
      b.fromTun(udpPacket(...BACK, turn));
      a.fromSocket(UDP, ...flying(b));
    }
    assert.deepEqual([a.delivered.length, b.delivered.length], [50, 50]);
    assert.deepEqual([a.drops(), b.drops()], [{}, {}]);
  });

  it('is replaced without a loss: the newest SA sends, both receive (RFC 7296 §2.8)', () => {
    const { a, b } = espPair();
    a.fromTun(udpPacket(...THERE, 1));
    const late = flying(a);
    rekey(a, b);
    a.fromTun(udpPacket(...THERE, 2));
    b.fromSocket(UDP, ...flying(a));
    b.fromSocket(UDP, ...late);
    assert.equal(b.delivered.length, 2);
    assert.equal(a.counter(3, SaCounter.PACKETS), 1, 'the successor sent');
    a.engine.remove(1);
    b.engine.remove(1);
    b.fromSocket(UDP, ...late);
    assert.deepEqual(b.drops(), { 'unknown-spi': 1 });
  });

  it('loses nothing but what the wire loses when everything is reordered within the window', () => {
    const { a, b } = espPair({ replayWindow: 1024 });
    const random = seededNumbers(7);
    a.fromTun(...Array.from({ length: 1000 }, (_, data) => udpPacket(...THERE, data % 100)));
    const wire = flying(a)
      .filter(() => random() > 0.05)
      .flatMap((one) => (random() < 0.1 ? [one, one] : [one]))
      .map((one) => ({ one, at: random() }))
      .sort((x, y) => x.at - y.at)
      .map(({ one }) => one);
    const different = new Set(wire).size;
    b.fromSocket(UDP, ...wire);
    assert.equal(b.delivered.length, different);
    assert.deepEqual(b.drops(), { 'replayed-sequence-number': wire.length - different });
  });

  it('learns a narrower path: router, too big, smaller packets, delivery', () => {
    const { a, b } = espPair();
    const packet = (data: number) => udpPacket(...THERE, data, { dontFragment: true });
    a.fromTun(packet(1400));
    flying(a); // A router on the way drops it and says 1300.
    a.engine.learnPathMtu(0xc000_0002, childSa().remote, 1300, a.now);
    a.fromTun(packet(1400));
    const fits = icmpNextHopMtu(a.answered[0] ?? new Uint8Array(0), 20);
    assert.equal(fits, 1238);
    a.fromTun(packet(fits - 28));
    const [outer] = a.sent;
    assert.equal((outer?.octets.length ?? 0) + 28, 1300);
    b.fromSocket(UDP, ...flying(a));
    assert.equal(b.delivered.length, 1);
  });

  it('carries a congestion mark of the wire to the host (RFC 6040)', () => {
    const { a, b } = espPair();
    a.fromTun(udpPacket(...THERE, 8, { trafficClass: 2 }));
    b.fromSocket(UDP, ...flying(a).map((one) => ({ ...one, tos: one.tos | 3 })));
    assert.equal(ipv4TypeOfService(b.delivered[0] ?? new Uint8Array(2), 0), 3);
  });
});
