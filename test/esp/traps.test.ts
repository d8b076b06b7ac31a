/**
 * Policies without an SA: what a trap holds, reports, releases and drops; what passes unprotected.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EspSa } from '../../src/esp/esp-sa.ts';
import type { EspPolicy } from '../../src/esp/esp-sa-table.ts';
import { HELD_OCTETS, HELD_PACKETS } from '../../src/esp/held-packets.ts';
import { HOLD_MS, Traps } from '../../src/esp/traps.ts';
import { instant } from '../../src/wire/instant.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  mirrored,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { icmpPacket, udpPacket } from '../support/inner-packets.ts';

const HOST = '10.1.0.10';
const THERE = [HOST, '10.2.0.10'] as const;
const ELSEWHERE = [HOST, '10.2.9.9'] as const;

function policy(action: EspPolicy['action'], more: Partial<EspPolicy> = {}): EspPolicy {
  const [localTs, remoteTs] = [[selector('10.1.0.0/16')], [selector('10.2.0.0/16')]];
  return { id: -1, action, localTs, remoteTs, priority: 0, ...more };
}

function withTrap(): EspGateway {
  const gateway = new EspGateway();
  gateway.engine.installPolicy(policy('trap'), gateway.now);
  return gateway;
}

function install(gateway: EspGateway, options: ChildSaOptions = {}): EspSa {
  const sa = childSa(options);
  return gateway.install(sa, testKeys(sa, 2), testKeys(sa, 1));
}

/** Data lengths of what was sealed, in order: each test packet has its own. */
function sealed({ unsealed }: EspGateway): readonly number[] {
  const trailer = (packet: Uint8Array): number => packet[packet.length - 2 - 16] ?? 0;
  return unsealed.map((packet) => packet.length - 16 - 2 - 16 - 28 - trailer(packet));
}

describe('A trap (RFC 4301 §4.4.1)', () => {
  it('holds its packets, asks once, and sends them in order when an SA covers them', () => {
    const gateway = withTrap();
    for (const data of [11, 12, 13]) gateway.fromTun(udpPacket(...THERE, data));
    gateway.fromTun(udpPacket(...THERE, 14), udpPacket(...THERE, 15));
    assert.deepEqual(gateway.reports, ['acquire -1 10.1.0.10 10.2.0.10 17 40000 53']);
    assert.equal(gateway.sent.length, 0);
    install(gateway);
    gateway.fromTun(udpPacket(...THERE, 16));
    assert.deepEqual(sealed(gateway), [11, 12, 13, 14, 15, 16]);
    assert.equal(gateway.engine.nextDeadline(), undefined);
    assert.deepEqual(gateway.drops(), {});
    assert.equal(gateway.reports.length, 1);
  });

  it('says what its packet shows: type and code of ICMP, no ports of a later fragment', () => {
    const gateway = withTrap();
    gateway.fromTun(icmpPacket(...THERE, 8));
    gateway.engine.removePolicy(-1, gateway.now);
    gateway.engine.installPolicy(policy('trap'), gateway.now);
    const fragment = udpPacket(...THERE, 40);
    fragment[7] = 100;
    gateway.fromTun(fragment);
    assert.deepEqual(gateway.reports, [
      'acquire -1 10.1.0.10 10.2.0.10 1 2048 2048',
      'acquire -1 10.1.0.10 10.2.0.10 17 -1 -1',
    ]);
  });

  it('holds so many packets and so many octets, and no more', () => {
    const many = withTrap();
    many.fromTun(
      ...Array.from({ length: HELD_PACKETS + 6 }, (_, data) => udpPacket(...THERE, data)),
    );
    assert.deepEqual(many.drops(), { 'trap-full': 6 });
    install(many);
    assert.equal(many.sent.length, HELD_PACKETS);
    const large = withTrap();
    const room = Math.floor(HELD_OCTETS / 2028);
    large.fromTun(...Array.from({ length: room + 2 }, () => udpPacket(...THERE, 2000)));
    assert.deepEqual(large.drops(), { 'trap-full': 2 });
    large.engine.expire(instant(large.now + HOLD_MS));
    large.fromTun(...Array.from({ length: room }, () => udpPacket(...THERE, 2000)));
    assert.deepEqual(large.drops(), { 'trap-full': 2, 'trap-timeout': room }, 'all the room again');
  });

  it('has an index that is used again when it is gone', () => {
    const traps = new Traps(() => undefined);
    assert.deepEqual([traps.add(-1), traps.add(-2)], [0, 1]);
    traps.remove(-1);
    traps.remove(-9);
    assert.deepEqual([traps.add(-3), traps.add(-4)], [0, 2]);
  });

  it('drops what waited too long, and the next packet asks again', () => {
    const gateway = withTrap();
    const start = gateway.now;
    gateway.fromTun(udpPacket(...THERE, 1));
    gateway.now = instant(start + 5000);
    gateway.fromTun(udpPacket(...THERE, 2));
    assert.equal(gateway.engine.nextDeadline(), start + HOLD_MS);
    gateway.engine.expire(instant(start + HOLD_MS - 1));
    assert.deepEqual(gateway.drops(), {});
    gateway.engine.expire(instant(start + HOLD_MS));
    assert.deepEqual(gateway.drops(), { 'trap-timeout': 2 });
    assert.equal(gateway.engine.nextDeadline(), undefined);
    install(gateway, { outbound: 'never' });
    gateway.fromTun(udpPacket(...THERE, 3));
    assert.equal(gateway.reports.length, 2);
    assert.equal(gateway.sent.length, 0);
  });

  it('does not ask again for a packet that the SA it asked for does not cover', () => {
    const gateway = withTrap();
    gateway.fromTun(udpPacket(...THERE, 1));
    for (let id = 1; id < 5; id++) {
      const remoteTs = [selector('10.2.77.0/24')];
      install(gateway, { id, spiIn: 0x1000 + id, spiOut: 0x2000 + id, remoteTs });
    }
    assert.equal(gateway.reports.length, 1);
    gateway.engine.expire(instant(gateway.now + HOLD_MS));
    assert.deepEqual(gateway.drops(), { 'trap-timeout': 1 });
  });

  it('asks for the next packet when the SA covers only the first', () => {
    const gateway = withTrap();
    gateway.fromTun(udpPacket(...THERE, 1), udpPacket(...ELSEWHERE, 2), udpPacket(...THERE, 3));
    const [narrow, other] = [[selector('10.2.0.10/32')], [selector('10.2.9.9/32')]];
    install(gateway, { remoteTs: narrow });
    assert.deepEqual(sealed(gateway), [1, 3]);
    assert.deepEqual(gateway.reports.slice(1), ['acquire -1 10.1.0.10 10.2.9.9 17 40000 53']);
    install(gateway, { id: 2, spiIn: 0xc011, spiOut: 0xc012, remoteTs: other });
    assert.deepEqual(sealed(gateway), [1, 3, 2]);
    assert.equal(gateway.reports.length, 2);
  });

  it('waits for an SA that waits for its peer', () => {
    const gateway = withTrap();
    gateway.fromTun(udpPacket(...THERE, 1));
    const sa = childSa({ outbound: 'after-inbound' });
    gateway.install(sa, testKeys(sa, 2), testKeys(sa, 1));
    assert.equal(gateway.sent.length, 0);
    const peer = new EspGateway();
    peer.install(mirrored({ ...sa, outbound: 'now' }), testKeys(sa, 1), testKeys(sa, 2));
    peer.fromTun(udpPacket('10.2.0.10', HOST, 9));
    gateway.fromSocket(UDP, { octets: peer.sent[0]!.octets });
    assert.deepEqual(sealed(gateway), [1]);
    const told = withTrap();
    told.fromTun(udpPacket(...THERE, 5));
    told.engine.setOutbound(install(told, { outbound: 'never' }), 'now', told.now);
    assert.deepEqual(sealed(told), [5]);
  });

  it('stands below its SA and catches again what comes when that is gone', () => {
    const gateway = withTrap();
    install(gateway);
    gateway.fromTun(udpPacket(...THERE, 1));
    gateway.engine.installPolicy(policy('trap'), gateway.now);
    gateway.fromTun(udpPacket(...THERE, 2));
    assert.deepEqual(gateway.reports, []);
    gateway.engine.remove(1);
    gateway.fromTun(udpPacket(...THERE, 3));
    assert.equal(gateway.reports.length, 1);
    assert.deepEqual(sealed(gateway), [1, 2]);
  });

  it('that goes leaves its packets to the other policies', () => {
    const gateway = withTrap();
    const wide = policy('discard', { id: -2, remoteTs: [selector('10.2.0.0/24')] });
    gateway.engine.installPolicy(wide, gateway.now);
    gateway.fromTun(udpPacket(...THERE, 1), udpPacket(...ELSEWHERE, 2));
    gateway.engine.removePolicy(-1, gateway.now);
    assert.deepEqual(gateway.drops(), { 'discard-policy': 1, 'no-policy': 1 });
    gateway.engine.removePolicy(-7, gateway.now);
    gateway.fromTun(udpPacket(...THERE, 1));
    assert.equal(gateway.dropped('discard-policy'), 2);
  });

  it('asks anew when it is replaced while it holds packets', () => {
    const gateway = withTrap();
    gateway.fromTun(udpPacket(...THERE, 1));
    gateway.engine.installPolicy(policy('trap'), gateway.now);
    assert.equal(gateway.reports.length, 2);
    install(gateway);
    assert.deepEqual(sealed(gateway), [1]);
  });

  it('has room of its own', () => {
    const gateway = withTrap();
    const other = { localTs: [selector('10.1.0.0/16')], remoteTs: [selector('10.3.0.0/16')] };
    gateway.engine.installPolicy(policy('trap', { id: -2, ...other }), gateway.now);
    gateway.fromTun(
      ...Array.from({ length: HELD_PACKETS }, (_, data) => udpPacket(...THERE, data)),
    );
    gateway.fromTun(udpPacket(HOST, '10.3.0.1', 1));
    assert.deepEqual(gateway.drops(), {});
    assert.equal(gateway.reports[1], 'acquire -2 10.1.0.10 10.3.0.1 17 40000 53');
  });
});

describe('A bypass (RFC 4301 §4.4.1)', () => {
  it('lets packets pass as they are, beside others that are protected', () => {
    const gateway = new EspGateway();
    install(gateway);
    const dns = { localTs: [selector('10.1.0.0/16')], remoteTs: [selector('10.2.0.10/32')] };
    gateway.engine.installPolicy(policy('bypass', dns), gateway.now);
    const six = { localTs: [selector('::/0')], remoteTs: [selector('2001:db8:2::/48')] };
    gateway.engine.installPolicy(policy('bypass', { id: -2, ...six }), gateway.now);
    const packets = [
      udpPacket(...ELSEWHERE, 1),
      udpPacket(...THERE, 2),
      udpPacket('2001:db8:1::1', '2001:db8:2::99', 3),
      udpPacket(...ELSEWHERE, 4),
    ];
    gateway.fromTun(...packets);
    assert.deepEqual(gateway.bypassed, [
      { octets: packets[1], to: '10.2.0.10' },
      { octets: packets[2], to: '2001:db8:2::99' },
    ]);
    assert.equal(gateway.sent.length, 2);
    assert.deepEqual(gateway.drops(), {});
  });

  it('cuts what lies behind the packet, and counts what was not sent', () => {
    const gateway = new EspGateway();
    gateway.engine.installPolicy(policy('bypass'), gateway.now);
    const packet = udpPacket(...THERE, 20);
    gateway.fromTun(Uint8Array.of(...packet, 1, 2, 3));
    assert.deepEqual(gateway.bypassed, [{ octets: packet, to: '10.2.0.10' }]);
    for (const status of [-11, -90, -101]) {
      gateway.sendStatus = status;
      gateway.fromTun(packet, packet);
    }
    assert.deepEqual(gateway.drops(), {
      'send-would-block': 2,
      'send-too-big': 2,
      'send-unreachable': 2,
    });
  });

  it('counts what no socket takes', () => {
    const gateway = new EspGateway();
    gateway.bypasses = false;
    gateway.engine.installPolicy(policy('bypass'), gateway.now);
    gateway.fromTun(udpPacket(...THERE, 1));
    assert.deepEqual(gateway.drops(), { 'send-unreachable': 1 });
  });

  it('takes over what a trap holds', () => {
    const gateway = withTrap();
    const packets = [udpPacket(...THERE, 1), udpPacket(...THERE, 2)];
    gateway.fromTun(...packets);
    gateway.engine.installPolicy(policy('bypass', { id: -2 }), gateway.now);
    assert.deepEqual(
      gateway.bypassed.map(({ octets }) => octets),
      packets,
    );
  });
});

describe('Packets of traps, whatever comes and goes', () => {
  const remotes = ['10.2.0.0/16', '10.2.0.0/24', '10.2.9.0/24', '10.2.0.10/32'] as const;
  const step = fc.oneof(
    fc.record({ kind: fc.constant('packets' as const), count: fc.nat({ max: 40 }) }),
    fc.record({
      kind: fc.constant('install' as const),
      id: fc.integer({ min: 1, max: 4 }),
      remote: fc.constantFrom(...remotes),
    }),
    fc.record({ kind: fc.constant('remove' as const), id: fc.integer({ min: 1, max: 4 }) }),
    fc.record({
      kind: fc.constant('policy' as const),
      id: fc.constantFrom(-1, -2),
      action: fc.constantFrom('trap' as const, 'trap' as const, 'bypass' as const, undefined),
      remote: fc.constantFrom(...remotes),
    }),
    fc.record({ kind: fc.constant('time' as const), passed: fc.nat({ max: 20_000 }) }),
  );

  it('are sent once, dropped once, or held: none is lost and none is doubled', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const gateway = withTrap();
        let data = 0;
        for (const one of steps) {
          const { now, engine } = gateway;
          if (one.kind === 'packets') {
            const packets = Array.from({ length: one.count }, () =>
              udpPacket(HOST, data % 3 === 0 ? '10.2.9.9' : '10.2.0.10', data++),
            );
            gateway.fromTun(...packets);
          } else if (one.kind === 'install' && engine.find(one.id) === undefined) {
            const spis = { spiIn: 0x1000 + one.id, spiOut: 0x2000 + one.id };
            install(gateway, { id: one.id, ...spis, remoteTs: [selector(one.remote)] });
          } else if (one.kind === 'remove') engine.remove(one.id);
          else if (one.kind === 'policy' && one.action === undefined) {
            engine.removePolicy(one.id, now);
          } else if (one.kind === 'policy') {
            const { id, action = 'trap', remote } = one;
            engine.installPolicy(policy(action, { id, remoteTs: [selector(remote)] }), now);
          } else if (one.kind === 'time') {
            gateway.now = instant(now + one.passed);
            engine.expire(gateway.now);
          }
        }
        // What is held now has nowhere to go but out.
        for (const id of [-1, -2]) gateway.engine.removePolicy(id, gateway.now);
        assert.equal(gateway.engine.nextDeadline(), undefined);
        const dropped = gateway.counters.drops.reduce((sum, count) => sum + count, 0);
        assert.equal(gateway.sent.length + gateway.bypassed.length + dropped, data);
        const lengths = [
          ...sealed(gateway),
          ...gateway.bypassed.map(({ octets }) => octets.length - 28),
        ];
        assert.equal(new Set(lengths).size, lengths.length);
      }),
      { numRuns: 200 },
    );
  });
});
