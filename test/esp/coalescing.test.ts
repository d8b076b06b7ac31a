import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import {
  childSa,
  EspGateway,
  espPair,
  mirrored,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { icmpPacket, udpPacket } from '../support/inner-packets.ts';
import { streams } from '../support/stream-arbitrary.ts';
import { type Stream, segmentsOf, superPacket } from '../support/super-packets.ts';

const OFFLOAD = { offload: { udp: true } };
const PLAIN = '00000000000000000000';
const SOUND = '02000000000000000000';
const counting = (length: number) => Uint8Array.from({ length }, (_, index) => index * 7);
const stream = {
  ...{ family: 4, protocol: 'tcp', payload: counting(3500), segment: 1000 },
} as const satisfies Stream;

/** What the device is given for these inner packets, which arrive in one batch. */
function deliver(
  packets: readonly Uint8Array[],
  options: { readonly offload?: { readonly udp: boolean } } = OFFLOAD,
): EspGateway {
  const { a, b } = espPair({}, options);
  a.fromTun(...packets);
  b.fromSocket(UDP, ...a.sent);
  return b;
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');

describe('Coalescing of packets', () => {
  it('makes one super-packet of what segmentation made of one', () => {
    fc.assert(
      fc.property(streams(), (one) => {
        const b = deliver(segmentsOf(one));
        const expected = superPacket(one);
        assert.deepEqual(b.delivered.map(hex), [hex(expected.octets)]);
        assert.deepEqual(b.vnets.map(hex), [hex(expected.vnet)]);
        assert.equal(b.counter(0, SaCounter.PACKETS), segmentsOf(one).length);
        assert.deepEqual(b.drops(), {});
      }),
      { numRuns: 150 },
    );
  });

  it('keeps flows apart and each in its order, however they come', () => {
    const other = { ...stream, sourcePort: 40_001, payload: counting(2000), segment: 500 };
    const [first, second] = [segmentsOf(stream), segmentsOf(other)];
    const mixed = first.flatMap((packet, index) => [packet, second[index]!]);
    const b = deliver([...mixed, udpPacket('10.1.0.10', '10.2.0.10', 5)]);
    assert.deepEqual(b.delivered.map(hex), [
      hex(superPacket(stream).octets),
      hex(superPacket(other).octets),
      hex(udpPacket('10.1.0.10', '10.2.0.10', 5)),
    ]);
    assert.equal(hex(b.vnets[2]!), SOUND);
  });

  it('joins nothing that is not the next octets with the same headers', () => {
    const packets = segmentsOf(stream);
    const changed: readonly [string, Partial<Stream>][] = [
      ['acknowledgment', { acknowledgment: 78 }],
      ['traffic class', { trafficClass: 4 }],
      ['options', { options: new Uint8Array(12).fill(1) }],
      ['DF', { dontFragment: true }],
      ['identification', { identification: 99 }],
      ['port', { sourcePort: 9 }],
      ['ECE', { flags: TcpFlag.ACK | TcpFlag.ECE }],
      ['a gap', { sequence: 1 }],
      ['an overlap', { sequence: 0xffff_ffff }],
    ];
    for (const [what, change] of changed) {
      const odd = segmentsOf({ ...stream, ...change })[1]!;
      const b = deliver([packets[0]!, odd]);
      assert.deepEqual(b.delivered.map(hex), [packets[0]!, odd].map(hex), what);
      assert.deepEqual(b.vnets.map(hex), [SOUND, SOUND], what);
    }
  });

  it('ends with PSH, with a shorter packet, and never begins or goes on with FIN, SYN, RST, URG or CWR', () => {
    const [one, two, three] = segmentsOf(stream);
    const pushed = segmentsOf({
      ...stream,
      flags: TcpFlag.ACK | TcpFlag.PSH,
      payload: counting(2000),
    })[1]!;
    assert.equal(deliver([one!, pushed, three!]).delivered.length, 2);
    const short = segmentsOf({ ...stream, payload: counting(1500) })[1]!;
    assert.equal(deliver([one!, short, three!]).delivered.length, 2);
    for (const flag of ['FIN', 'SYN', 'RST', 'URG', 'CWR'] as const) {
      const flags = TcpFlag.ACK | TcpFlag[flag];
      const odd = segmentsOf({ ...stream, flags, payload: counting(1000), sequence: 1000 })[0]!;
      assert.deepEqual(deliver([one!, odd]).delivered.map(hex), [one!, odd].map(hex), flag);
      assert.equal(deliver([odd, three!]).delivered.length, 2, flag);
    }
    assert.equal(deliver([one!, two!]).delivered.length, 1);
  });

  it('leaves what has a wrong checksum alone and does not vouch for it', () => {
    for (const at of [25, 36, 60, 1039]) {
      const packets = segmentsOf(stream).map((packet) => packet.slice());
      packets[1]![at]! ^= 1;
      const b = deliver(packets);
      assert.equal(b.delivered.length, 3);
      assert.equal(hex(b.delivered[1]!), hex(packets[1]!));
      assert.deepEqual(b.vnets.map(hex)[1], PLAIN, `octet ${at}`);
    }
  });

  it('sees that two checksums are wrong by as much', () => {
    const packets = segmentsOf(stream).map((packet) => packet.slice());
    // Of IPv4 and of TCP.
    packets[1]![11]! += 1;
    packets[1]![37]! -= 1;
    assert.ok(packets[1]![11] !== 0 && packets[1]![37] !== 0xff, 'nothing is carried');
    const b = deliver(packets);
    assert.equal(b.delivered.length, 3);
    assert.equal(hex(b.delivered[1]!), hex(packets[1]!));
    assert.deepEqual(b.vnets.map(hex)[1], PLAIN);
  });

  it('does not take the selectors of one SA for those of another', () => {
    const { a, b } = espPair({}, OFFLOAD);
    const [one, two] = segmentsOf(stream);
    a.fromTun(one!, two!);
    // A second SA for the same traffic, and a packet through it between the two of the first.
    const second = childSa({ id: 2, spiIn: 0x5001, spiOut: 0x5002, rowIn: 2, rowOut: 3 });
    const keys = testKeys(second, 3);
    const sender = new EspGateway(OFFLOAD);
    sender.install(second, keys, keys);
    b.install({ ...mirrored(second), remoteTs: [selector('10.1.9.0/24')] }, keys, keys);
    sender.fromTun(two!);
    b.fromSocket(UDP, a.sent[0]!, sender.sent[0]!);
    assert.deepEqual(b.delivered.map(hex), [hex(one!)]);
    assert.deepEqual(b.drops(), { 'inbound-policy-mismatch': 1 });
  });

  it('joins nothing that met congestion to what did not (RFC 6040 §4.2)', () => {
    const [one, two] = segmentsOf({ ...stream, trafficClass: 2 });
    const { a, b } = espPair({}, OFFLOAD);
    a.fromTun(one!, two!);
    b.fromSocket(UDP, { ...a.sent[0]!, tos: 2 }, { ...a.sent[1]!, tos: 3 });
    const marked = segmentsOf({ ...stream, trafficClass: 3 })[1]!;
    assert.deepEqual(b.delivered.map(hex), [one!, marked].map(hex));
  });

  it('leaves other protocols, fragments and datagrams without a checksum alone', () => {
    const zero = segmentsOf({ ...stream, protocol: 'udp' }).map((packet) => packet.slice());
    for (const packet of zero) packet.fill(0, 26, 28);
    const ping = icmpPacket('10.1.0.10', '10.2.0.10', 8);
    for (const packets of [zero.slice(0, 2), [ping, ping]]) {
      const b = deliver(packets);
      assert.deepEqual(b.delivered.map(hex), packets.map(hex));
      assert.equal(b.vnets.map(hex)[0], PLAIN);
    }
  });

  it('joins datagrams only for a device that knows them', () => {
    const packets = segmentsOf({ ...stream, protocol: 'udp' });
    assert.equal(deliver(packets, { offload: { udp: false } }).delivered.length, 4);
    assert.equal(deliver(packets).delivered.length, 1);
  });

  it('stays below the largest packet there is', () => {
    const payload = counting(59_000);
    const b = deliver(
      segmentsOf({ ...stream, payload: concatOctets(payload, payload), segment: 1180 }),
    );
    assert.ok(b.delivered.every(({ length }) => length <= 65_535));
    assert.ok(b.delivered.length <= 3);
    const octets = b.delivered.reduce((sum, { length }) => sum + length - 40, 0);
    assert.equal(octets, 118_000);
  });

  it('counts every packet of a write that the device refuses', () => {
    const { a, b } = espPair({}, OFFLOAD);
    a.fromTun(...segmentsOf(stream));
    b.deviceStatus = -11;
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.drops(), { 'device-full': 4 });
    assert.equal(b.counter(0, SaCounter.DROPS), 4);
  });

  it('ends when the device refuses a super-packet for good, not when it is full', () => {
    const { a, b } = espPair({}, OFFLOAD);
    const arrive = (status: number): number => {
      a.fromTun(...segmentsOf(stream));
      b.deviceStatus = status;
      b.fromSocket(UDP, ...a.sent.splice(0));
      return b.delivered.splice(0).length;
    };
    assert.deepEqual([arrive(-11), arrive(0), arrive(-22), arrive(0)], [0, 1, 0, 4]);
    assert.equal(b.dropped('device-failed'), 4);
  });

  it('works on datagrams that came merged, and tells them apart', () => {
    const { a, b } = espPair({}, OFFLOAD);
    const whole = { ...stream, payload: counting(4000) };
    a.fromDevice(superPacket(whole));
    const octets = concatOctets(...a.sent.map((packet) => packet.octets));
    b.fromSocket(UDP, { octets, segment: a.sent[0]!.octets.length });
    assert.deepEqual(b.delivered.map(hex), [hex(superPacket(whole).octets)]);
    b.fromSocket(UDP, { octets, segment: a.sent[0]!.octets.length });
    assert.deepEqual(b.drops(), { 'replayed-sequence-number': 4 });
  });
});
