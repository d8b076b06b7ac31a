import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Word } from '../../src/esp/batch.ts';
import { instant } from '../../src/wire/instant.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { concatOctets, toHex } from '../../src/wire/octets.ts';
import { type ChildSaOptions, type EspGateway, espPair, selector } from '../support/esp-gateway.ts';
import { innerPacket, udpPacket } from '../support/inner-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;
type Ends = readonly [string, string];

/** A gateway with an SA in transport mode between the two. */
function sender([local, remote]: Ends): EspGateway {
  const bits = local.includes(':') ? 128 : 32;
  const options: ChildSaOptions = {
    mode: 'transport',
    localTs: [selector(`${local}/${bits}`)],
    remoteTs: [selector(`${remote}/${bits}`)],
  };
  return espPair(options).a;
}

/** What a host makes of a datagram for a device that takes `room` octets behind the header. */
function cut(packet: Uint8Array, room: number, identification = 7): readonly Uint8Array[] {
  const six = (packet[0] ?? 0) >>> 4 === 6;
  const header = packet.slice(0, six ? 40 : 20);
  const body = packet.slice(header.length);
  const count = Math.ceil(body.length / room);
  return Array.from({ length: count }, (_, index) => {
    const part = body.slice(index * room, (index + 1) * room);
    const more = index < count - 1 ? 1 : 0;
    return six
      ? fragmentOf6(header, part, index * room, more, identification)
      : fragmentOf4(header, part, index * room, more, identification);
  });
}

function fragmentOf4(
  header: Uint8Array,
  part: Uint8Array,
  offset: number,
  more: number,
  identification: number,
): Uint8Array {
  const octets = concatOctets(header, part);
  const view = new DataView(octets.buffer);
  view.setUint16(2, octets.length);
  view.setUint16(4, identification);
  view.setUint16(6, (more << 13) | (offset / 8));
  return octets;
}

function fragmentOf6(
  header: Uint8Array,
  part: Uint8Array,
  offset: number,
  more: number,
  identification: number,
): Uint8Array {
  const fragment = new Uint8Array(8);
  const view = new DataView(fragment.buffer);
  view.setUint8(0, header[6] ?? 0);
  view.setUint16(2, offset | more);
  view.setUint32(4, identification);
  const octets = concatOctets(header, fragment, part);
  octets[6] = IpProtocol.IPV6_FRAG;
  new DataView(octets.buffer).setUint16(4, octets.length - 40);
  return octets;
}

/** What is inside the ESP packets that left. */
function inside(gateway: EspGateway): readonly string[] {
  return gateway.unsealed.map((octets) => {
    const body = octets.slice(16, -16);
    const padding = body.at(-2) ?? 0;
    return toHex(body.slice(0, body.length - 2 - padding));
  });
}

function upper(packet: Uint8Array): string {
  return toHex(packet.slice((packet[0] ?? 0) >>> 4 === 6 ? 40 : 20));
}

describe('Datagrams that the host cut (RFC 4303 §3.3.4)', () => {
  it('are sealed whole, whatever order their fragments come in', () => {
    const gateways = [sender(FOUR), sender(SIX)];
    const cases = fc.record({
      six: fc.boolean(),
      data: fc.integer({ min: 200, max: 9000 }),
      room: fc.integer({ min: 1, max: 180 }).map((units) => units * 8),
      order: fc.infiniteStream(fc.nat()),
      batches: fc.boolean(),
      identification: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(cases, ({ six, data, room, order, batches, identification }) => {
        const gateway = gateways[six ? 1 : 0]!;
        gateway.unsealed.length = 0;
        gateway.sent.length = 0;
        const [source, destination] = six ? SIX : FOUR;
        const packet = udpPacket(source, destination, data);
        const fragments = cut(packet, room, identification)
          .map((fragment) => ({ fragment, at: order.next().value ?? 0 }))
          .toSorted((one, other) => one.at - other.at)
          .map(({ fragment }) => fragment);
        if (batches) for (const fragment of fragments) gateway.fromTun(fragment);
        else gateway.fromTun(...fragments);
        assert.deepEqual(inside(gateway), [upper(packet)]);
        assert.deepEqual(gateway.drops(), {});
      }),
      { numRuns: 200 },
    );
  });

  it('may be larger than the path: what is outside is cut', () => {
    for (const ends of [FOUR, SIX]) {
      const gateway = sender(ends === FOUR ? FOUR : SIX);
      gateway.fromTun(...cut(udpPacket(ends[0], ends[1], 3000), 1400));
      assert.equal(gateway.sent[0]?.flags, 0, 'not to be kept whole');
      assert.equal(gateway.answered.length, 0);
    }
  });

  it('are told apart by all that they have in common, and held together by it', () => {
    const gateway = sender(FOUR);
    const [one, two] = [100, 101].map((data) => udpPacket(...FOUR, data + 1000));
    const other = innerPacket({
      source: FOUR[0],
      destination: FOUR[1],
      upper: new Uint8Array(1000),
      protocol: 47,
    });
    const [a, b, c] = [cut(one!, 800, 1), cut(two!, 800, 2), cut(other, 800, 1)];
    gateway.fromTun(a[0]!, b[0]!, c[0]!, b[1]!, a[1]!, c[1]!);
    assert.deepEqual(inside(gateway), [upper(two!), upper(one!), upper(other)]);
  });

  it('are nothing when fragments overlap, contradict each other or are no whole units', () => {
    const packet = udpPacket(...FOUR, 3000);
    const [first, second, last] = cut(packet, 1200);
    const again = cut(packet, 1208)[1]!;
    const shorter = cut(udpPacket(...FOUR, 1800), 1200)[1]!;
    const middle = cut(udpPacket(...FOUR, 6000), 1200)[2]!;
    const odd = fragmentOf4(packet.slice(0, 20), packet.slice(20, 121), 0, 1, 7);
    for (const [what, fragments, drops] of [
      ['an overlap', [first!, second!, again], 3],
      ['another end', [shorter, last!], 2],
      ['an end before what is here', [middle, shorter], 2],
      ['octets behind the end', [shorter, middle], 2],
      ['odd', [odd], 1],
    ] as const) {
      const gateway = sender(FOUR);
      gateway.fromTun(...fragments);
      assert.deepEqual(gateway.drops(), { 'outbound-transport-fragment': drops }, what);
      assert.equal(gateway.sent.length, 0, what);
    }
  });

  it('wait no longer than hosts do, and no more than 32 at one time', () => {
    const gateway = sender(FOUR);
    const packets = Array.from({ length: 34 }, (_, index) => udpPacket(...FOUR, 1000 + index));
    const cuts = packets.map((packet, index) => cut(packet, 800, index));
    for (const [first] of cuts) {
      gateway.fromTun(first!);
      gateway.now = instant(gateway.now + 1);
    }
    assert.deepEqual(gateway.drops(), { 'outbound-transport-fragment': 2 });
    gateway.fromTun(cuts[2]![1]!);
    assert.deepEqual(inside(gateway), [upper(packets[2]!)]);
    gateway.now = instant(gateway.now + 30_001);
    gateway.fromTun(cuts[3]![1]!);
    assert.equal(gateway.sent.length, 1);
    assert.equal(gateway.dropped('outbound-transport-fragment'), 33);
  });

  it('leave the same batch in any number that fits into it', () => {
    const gateway = sender(FOUR);
    const packets = Array.from({ length: 32 }, (_, index) => udpPacket(...FOUR, 1000 + index));
    gateway.fromTun(...packets.flatMap((packet, index) => cut(packet, 800, index)));
    assert.deepEqual(inside(gateway), packets.map(upper));
    gateway.unsealed.length = 0;
    gateway.fromTun(...packets.flatMap((packet, index) => cut(packet, 800, index)));
    assert.deepEqual(inside(gateway), packets.map(upper));
  });

  it('are whole for selectors that name ports, too, which later fragments do not show', () => {
    const dns = { protocol: 17, startPort: 53, endPort: 53 };
    const { a } = espPair({
      mode: 'transport',
      localTs: [selector(`${FOUR[0]}/32`)],
      remoteTs: [selector(`${FOUR[1]}/32`, dns)],
    });
    const packet = udpPacket(...FOUR, 3000);
    a.fromTun(...cut(packet, 1400));
    assert.deepEqual(inside(a), [upper(packet)]);
    assert.deepEqual(a.drops(), {});
  });

  it('are of the largest size there is', () => {
    const gateway = sender(FOUR);
    const packet = udpPacket(...FOUR, 65_507);
    gateway.fromTun(...cut(packet, 1440));
    assert.deepEqual(inside(gateway), [upper(packet)]);
    assert.equal(gateway.engine.outbound.words[Word.INNER], 65_535);
  });
});
