import assert from 'node:assert/strict';
import {
  type CapturedLot,
  TAP_BYPASS,
  TAP_CREDIT,
  TAP_DUMMY,
  TAP_HELD,
  TAP_PACKET_COST,
  TAP_WORDS,
  type TapSettings,
  TapWord,
} from '../../src/esp/captured-lot.ts';
import { HandOver, HandOverRing } from '../../src/esp/hand-over.ts';
import { dropReasonName } from '../../src/events/drop-reason.ts';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { checksum, sumPseudoHeader } from '../../src/wire/checksum.ts';
import { createFlow, FlowFault, readFlow } from '../../src/wire/flow.ts';
import { toHex } from '../../src/wire/octets.ts';
import {
  childSa,
  EspGateway,
  espPair,
  mirrored,
  RAW4,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { octetsOf, udpPacket } from '../support/inner-packets.ts';
import { type Stream, segmentsOf, superPacket } from '../support/super-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const BACK = ['10.2.0.10', '10.1.0.10'] as const;
const ALL: TapSettings = { snapLength: 65_535, dropsOnly: false };
const FROM = {
  from: { address: { family: 4, octets: octetsOf('192.0.2.2') }, port: 4500 },
  to: { family: 4, octets: octetsOf('192.0.2.1') },
} as const;

const POINTS = ['received', 'delivered', 'read', 'sent', 'answered'];

interface Seen {
  readonly octets: Uint8Array;
  readonly row: (column: number) => number;
}

/** A tapped gateway and an untapped peer. */
function tapped(settings: TapSettings | undefined, options: Parameters<typeof espPair>[0] = {}) {
  const lots: CapturedLot[] = [];
  const tap = { post: (lot: CapturedLot) => void lots.push(lot), nattPort: 4500 };
  const parameters = childSa(options);
  const a = new EspGateway({ tap });
  const b = new EspGateway();
  const [aToB, bToA] = [testKeys(parameters, 1), testKeys(parameters, 2)];
  a.install(parameters, bToA, aToB);
  b.install(mirrored(parameters), aToB, bToA);
  if (settings) a.engine.tap.begin(settings);
  return { a, b, lots };
}

function seen(lots: readonly CapturedLot[]): readonly Seen[] {
  return lots.flatMap(({ octets, rows }) => {
    let end = 0;
    return Array.from({ length: rows.length / TAP_WORDS }, (_, index) => {
      const row = (column: number): number => rows[index * TAP_WORDS + column] ?? 0;
      end += row(TapWord.LENGTH);
      return { octets: octets.slice(end - row(TapWord.LENGTH), end), row };
    });
  });
}

/** `received 1 bad-icv`: where, of which Child SA, and what became of it. */
function said(lots: readonly CapturedLot[]): readonly string[] {
  return seen(lots).map(({ row }) => {
    const reason = row(TapWord.REASON);
    const fate =
      reason > 0
        ? dropReasonName(reason)
        : new Map([
            [0, ''],
            [TAP_HELD, 'held'],
            [TAP_BYPASS, 'bypass'],
            [TAP_DUMMY, 'dummy'],
          ]).get(reason);
    return `${POINTS[row(TapWord.POINT)]} ${row(TapWord.CHILD_SA)} ${fate}`.trimEnd();
  });
}

describe('What a capture sees of the packet path', () => {
  it('is nothing before it begins and after it ended', () => {
    const { a, lots } = tapped(undefined);
    a.fromTun(udpPacket(...FOUR, 8));
    a.engine.tap.begin(ALL);
    assert.equal(a.engine.tap.on, true);
    assert.equal(a.engine.tap.end(), 0);
    a.fromTun(udpPacket(...FOUR, 8));
    assert.deepEqual(lots, []);
  });

  it('is nothing where no copies are taken', () => {
    const { a } = espPair();
    a.engine.tap.begin(ALL);
    assert.equal(a.engine.tap.on, false);
  });

  it('is what was read, then the packet it became, as the socket will send it', () => {
    const { a, lots } = tapped(ALL);
    const inner = udpPacket(...FOUR, 100);
    a.fromTun(inner);
    assert.deepEqual(said(lots), ['read 1', 'sent 1']);
    const [read, sent] = seen(lots);
    assert.equal(toHex(read?.octets ?? inner.subarray(0, 0)), toHex(inner));
    const outer = sent?.octets ?? inner.subarray(0, 0);
    assert.equal(toHex(outer.subarray(28)), toHex(a.sent[0]?.octets ?? outer));
    const flow = createFlow();
    assert.equal(readFlow(outer, 0, outer.length, flow), FlowFault.NONE);
    assert.deepEqual(
      [flow.protocol, flow.sourcePort, flow.destinationPort, flow.totalLength],
      [17, 4500, 4500, outer.length],
    );
    assert.equal(toHex(outer.subarray(12, 20)), 'c0000201c0000202');
    assert.equal(checksum(outer, 0, 20), 0, 'the header checksum is right');
    assert.equal((sent?.row(TapWord.SPI) ?? 0) >>> 0, 0xc000_0002);
  });

  it('is what arrived, still sealed, then what was in it', () => {
    const { a, b, lots } = tapped(ALL);
    const inner = udpPacket(...BACK, 100);
    b.fromTun(inner);
    const [{ octets = inner } = {}] = b.sent;
    const sealed = octets.slice();
    a.fromSocket(UDP, { octets, ...FROM });
    assert.deepEqual(said(lots), ['received 1', 'delivered 1']);
    const [outer, delivered] = seen(lots).map((one) => one.octets);
    assert.equal(toHex(outer?.subarray(28) ?? inner), toHex(sealed));
    assert.equal(toHex(outer?.subarray(12, 20) ?? inner), 'c0000202c0000201');
    assert.equal(toHex(delivered ?? sealed), toHex(inner));
  });

  it('has IP protocol 50 for what a raw socket received', () => {
    const { a, b, lots } = tapped(ALL);
    b.fromTun(udpPacket(...BACK, 100));
    const [{ octets = new Uint8Array(0) } = {}] = b.sent;
    const { from, to } = FROM;
    const header = Uint8Array.of(0x45, 3, ...new Uint8Array(18));
    const packet = Uint8Array.of(...header, ...octets);
    a.fromSocket(RAW4, { octets: packet, from: { ...from, port: 0 }, to });
    const [outer] = seen(lots);
    assert.deepEqual([outer?.octets[1], outer?.octets[9]], [3, 50]);
    assert.equal(outer?.octets.length, 20 + octets.length);
  });

  it('has a checksum over UDP in IPv6, where zero is none (RFC 8200 §8.1)', () => {
    const six = (text: string) => ({ family: 6 as const, octets: octetsOf(text) });
    const { a, lots } = tapped(ALL, {
      local: { address: six('2001:db8:f::1'), port: 4500 },
      remote: { address: six('2001:db8:f::2'), port: 4500 },
    });
    a.fromTun(udpPacket(...FOUR, 33));
    const outer = seen(lots)[1]?.octets ?? new Uint8Array(0);
    const upper = outer.length - 40;
    assert.ok(upper > 0 && (outer[46] !== 0 || outer[47] !== 0));
    assert.equal(checksum(outer, 40, upper, sumPseudoHeader(outer, 8, 16, 17, upper)), 0);
  });

  it('has the reason of each drop, also of one that comes after the ICV and of the device', () => {
    const { a, b, lots } = tapped({ ...ALL, dropsOnly: true });
    b.fromTun(udpPacket(...BACK, 8), udpPacket('10.2.0.10', '10.2.0.11', 8));
    // The peer's SA does not cover the second: it never leaves. What it sends is what it may.
    const [first] = b.sent;
    assert.ok(first);
    const broken = first.octets.slice();
    broken[broken.length - 1]! ^= 1;
    a.fromSocket(UDP, { octets: broken, ...FROM }, { octets: first.octets.slice(), ...FROM });
    a.fromSocket(UDP, { octets: first.octets.slice(), ...FROM });
    a.fromSocket(UDP, {
      octets: Uint8Array.of(0xc0, 0xff, 0xee, 0, ...new Uint8Array(8)),
      ...FROM,
    });
    a.deviceStatus = -11;
    b.fromTun(udpPacket(...BACK, 8));
    a.fromSocket(UDP, { octets: b.sent[1]?.octets ?? broken, ...FROM });
    a.fromTun(udpPacket('10.1.0.10', '10.3.0.1', 8), Uint8Array.of(0));
    a.sendStatus = -101;
    a.fromTun(udpPacket(...FOUR, 8));
    assert.deepEqual(said(lots), [
      'received 1 bad-icv',
      'received 1 replayed-sequence-number',
      'received -1 unknown-spi',
      'received 1 device-full',
      'read -1 no-policy',
      'read -1 malformed-packet',
      'sent 1 send-unreachable',
    ]);
    assert.equal((seen(lots)[2]?.row(TapWord.SPI) ?? 0) >>> 0, 0xc0ff_ee00);
  });

  it('has what is too big with its SA, and the answer to it', () => {
    const { a, lots } = tapped(ALL);
    const packet = udpPacket(...FOUR, 1472);
    packet[6] = 0x40;
    a.fromTun(packet);
    assert.deepEqual(said(lots), ['read 1 packet-too-big', 'answered -1']);
  });

  it('has what waits for an SA, again when it goes, and what passes unprotected', () => {
    const { a, lots } = tapped(ALL);
    const ends = { localTs: [selector('10.1.0.0/16')], priority: 0 };
    const remoteTs = [selector('10.3.0.0/16')];
    a.engine.installPolicy({ id: -1, action: 'trap', remoteTs, ...ends }, a.now);
    a.fromTun(udpPacket('10.1.0.10', '10.3.0.1', 8));
    assert.deepEqual(said(lots.splice(0)), ['read -1 held']);
    a.engine.installPolicy({ id: -1, action: 'bypass', remoteTs, ...ends }, a.now);
    assert.deepEqual(said(lots.splice(0)), ['read -1 bypass', 'sent -1 bypass']);
    const octets = Uint8Array.of(0, 0, 0x10, 0, ...new Uint8Array(20));
    a.engine.expect(0x1000);
    a.fromSocket(UDP, { octets, ...FROM });
    assert.deepEqual(said(lots), ['received -1 held']);
  });

  it('is of the SA that was asked for, by SPI in either direction or by its number', () => {
    for (const [settings, packets] of [
      [{ spi: 0xc000_0001 }, 2],
      [{ spi: 0xc000_0002 }, 2],
      [{ spi: 0xc000_0003 }, 0],
      [{ childSas: [1] }, 2],
      [{ childSas: [] }, 0],
      [{ childSas: [1], spi: 0xc000_0003 }, 0],
    ] as const) {
      const { a, lots } = tapped({ ...ALL, ...settings });
      a.fromTun(udpPacket(...FOUR, 8), udpPacket('10.1.0.10', '10.3.0.1', 8));
      assert.equal(seen(lots).length, packets, JSON.stringify(settings));
    }
    const { a, lots } = tapped({ ...ALL, childSas: [] });
    a.engine.tap.follow(1);
    a.fromTun(udpPacket(...FOUR, 8));
    assert.equal(seen(lots).length, 2);
  });

  it('keeps no more octets of a packet than it was told, and says how many there were', () => {
    const { a, lots } = tapped({ ...ALL, snapLength: 30 });
    a.fromTun(udpPacket(...FOUR, 100));
    for (const { octets, row } of seen(lots)) {
      assert.equal(octets.length, 30);
      assert.ok(row(TapWord.ORIGINAL) >= 128);
    }
  });

  it('counts what nobody has room for, and goes on when there is room again', () => {
    const { a, lots } = tapped(ALL);
    const packet = udpPacket(...FOUR, 1300);
    const most = Math.ceil(TAP_CREDIT / (1328 + TAP_PACKET_COST));
    for (let sent = 0; sent < most; sent++) a.fromTun(packet);
    assert.equal(a.sent.length, most, 'packets go their way all the same');
    const taken = lots.splice(0);
    const held = taken.reduce((sum, { octets }) => sum + octets.length, 0);
    const credit = held + seen(taken).length * TAP_PACKET_COST;
    assert.ok(credit <= TAP_CREDIT && credit > TAP_CREDIT - 4000, `${credit}`);
    a.engine.tap.taken(credit);
    a.fromTun(packet);
    assert.equal(seen(lots).length, 2);
    const missed = [...taken, ...lots].reduce((sum, lot) => sum + lot.missed, 0);
    assert.equal(seen(taken).length + missed, 2 * most);
    assert.equal(a.engine.tap.end(), 0);
  });

  it('has dummy packets as what they are, at either end', () => {
    const { a, b, lots } = tapped(ALL, { dummyPackets: 20 });
    const deadline = a.engine.nextDeadline();
    assert.ok(deadline !== undefined);
    a.engine.expire(deadline);
    assert.deepEqual(said(lots.splice(0)), ['sent 1 dummy']);
    b.engine.expire(b.engine.nextDeadline() ?? deadline);
    a.fromSocket(UDP, ...b.sent.map(({ octets }) => ({ octets, ...FROM })));
    assert.deepEqual(said(lots), ['received 1 dummy-packet']);
  });

  it('has no IKE message', () => {
    const { a, lots } = tapped(ALL);
    a.fromSocket(UDP, { octets: new Uint8Array(40), ...FROM });
    assert.deepEqual([a.ike.length, lots], [1, []]);
  });

  it('is once where a packet comes to another worker than its SA', () => {
    const [there, back] = [0, 1].map(() => new HandOverRing(HandOverRing.memory()));
    assert.ok(there && back);
    const lots: [CapturedLot[], CapturedLot[]] = [[], []];
    const [other, owner] = ([0, 1] as const).map((worker) => {
      const pair = worker === 0 ? { to: there, from: back } : { to: back, from: there };
      const rings = worker === 0 ? [undefined, pair] : [pair, undefined];
      const counters = createSharedCounters(1);
      const handOver = new HandOver({ worker, rings, counters, front: 0, wake: () => undefined });
      const tap = { post: (lot: CapturedLot) => void lots[worker].push(lot), nattPort: 4500 };
      const gateway = new EspGateway({ tap, handOver });
      gateway.engine.tap.begin(ALL);
      return gateway;
    });
    assert.ok(other && owner);
    const parameters = childSa();
    const [aToB, bToA] = [testKeys(parameters, 1), testKeys(parameters, 2)];
    const { id, localTs, remoteTs, priority } = parameters;
    owner.install(parameters, bToA, aToB);
    const foreign = { id, action: 'protect', worker: 1, localTs, remoteTs, priority } as const;
    other.engine.installPolicy(foreign, other.now);
    other.fromTun(udpPacket(...FOUR, 8));
    const peer = new EspGateway();
    peer.install(mirrored(parameters), aToB, bToA);
    peer.fromTun(udpPacket(...BACK, 8));
    other.fromSocket(UDP, ...peer.sent.map(({ octets }) => ({ octets, ...FROM })));
    while (owner.engine.takeOver(() => undefined, owner.now));
    assert.equal(owner.delivered.length, 1);
    assert.deepEqual(lots.map(said), [[], ['read 1', 'sent 1', 'received 1', 'delivered 1']]);
  });

  it('has joined packets as the device is given them', () => {
    const lots: CapturedLot[] = [];
    const tap = { post: (lot: CapturedLot) => void lots.push(lot), nattPort: 4500 };
    const { a, b } = espPair({}, { offload: { udp: true }, tap });
    const payload = Uint8Array.from({ length: 3000 }, (_, index) => index);
    const stream: Stream = { family: 4, protocol: 'tcp', payload, segment: 1000 };
    a.fromTun(...segmentsOf(stream));
    b.engine.tap.begin(ALL);
    b.fromSocket(UDP, ...a.sent.map(({ octets }) => ({ octets, ...FROM })));
    assert.deepEqual(said(lots), ['received 1', 'received 1', 'received 1', 'delivered 1']);
    const whole = seen(lots)[3]?.octets ?? new Uint8Array(0);
    assert.equal(toHex(whole), toHex(superPacket(stream).octets));
  });
});
