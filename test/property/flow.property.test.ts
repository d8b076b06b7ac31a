import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatAddress, ipAddress } from '../../src/wire/address.ts';
import {
  addressFromWords,
  addressToWords,
  createFlow,
  FlowFault,
  Fragment,
  OPAQUE,
  readFlow,
} from '../../src/wire/flow.ts';

/** What a plain parser, free to allocate and throw, says about a packet. */
interface PlainFlow {
  readonly family: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ports: readonly [number, number];
  readonly fragment: number;
  readonly headerLength: number;
  readonly totalLength: number;
}

const SKIPPED = [0, 43, 44, 60];
const MINIMUM = new Map([
  [6, 20],
  [17, 8],
  [136, 8],
  [132, 12],
  [33, 12],
  [1, 8],
  [58, 4],
  [135, 4],
]);

function demand(condition: boolean): void {
  if (!condition) throw new RangeError('malformed');
}

function plainParse(packet: Uint8Array): PlainFlow {
  demand(packet.length > 0);
  const bits = [...packet].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  const field = (bit: number, width: number): number =>
    Number.parseInt(bits.slice(bit, bit + width), 2);
  const address = (at: number, length: number): string =>
    formatAddress(ipAddress(packet.slice(at, at + length)));
  const version = field(0, 4);
  if (version === 4) {
    demand(packet.length >= 20);
    const headerLength = field(4, 4) * 4;
    const totalLength = field(16, 16);
    demand(headerLength >= 20 && headerLength <= totalLength && totalLength <= packet.length);
    const later = field(51, 13) > 0;
    const protocol = field(72, 8);
    return {
      family: 4,
      source: address(12, 4),
      destination: address(16, 4),
      protocol,
      ports: later
        ? [OPAQUE, OPAQUE]
        : plainPorts(protocol, packet.slice(headerLength, totalLength)),
      fragment: later ? Fragment.LATER : field(50, 1) === 1 ? Fragment.FIRST : Fragment.WHOLE,
      headerLength,
      totalLength,
    };
  }
  demand(version === 6 && packet.length >= 40);
  const totalLength = 40 + field(32, 16);
  demand(totalLength <= packet.length);
  let protocol = field(48, 8);
  let at = 40;
  let fragment: number = Fragment.WHOLE;
  for (let headers = 0; SKIPPED.includes(protocol) && fragment !== Fragment.LATER; headers++) {
    demand(headers < 8 && at + 8 <= totalLength);
    if (protocol === 44) {
      if (field((at + 2) * 8, 13) > 0) fragment = Fragment.LATER;
      else if (field((at + 3) * 8 + 7, 1) === 1) fragment = Fragment.FIRST;
    }
    const octets = protocol === 44 ? 8 : 8 * (field((at + 1) * 8, 8) + 1);
    protocol = field(at * 8, 8);
    at += octets;
    demand(at <= totalLength);
  }
  const later = fragment === Fragment.LATER;
  return {
    family: 6,
    source: address(8, 16),
    destination: address(24, 16),
    protocol: later && SKIPPED.includes(protocol) ? OPAQUE : protocol,
    ports: later ? [OPAQUE, OPAQUE] : plainPorts(protocol, packet.slice(at, totalLength)),
    fragment,
    headerLength: at,
    totalLength,
  };
}

function plainPorts(protocol: number, upper: Uint8Array): [number, number] {
  demand(upper.length >= (MINIMUM.get(protocol) ?? 0));
  const word = (at: number): number => (upper[at] ?? 0) * 256 + (upper[at + 1] ?? 0);
  if ([6, 17, 136, 132, 33].includes(protocol)) return [word(0), word(2)];
  if (protocol === 1 || protocol === 58) return [word(0), word(0)];
  if (protocol === 135) return [(upper[2] ?? 0) * 256, (upper[2] ?? 0) * 256];
  return [OPAQUE, OPAQUE];
}

const protocols = fc.constantFrom(0, 1, 6, 17, 33, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 136);

/** Mostly plausible IPv4: the interesting header fields drawn, the rest noise. */
const ipv4Packets = fc
  .record({
    noise: fc.uint8Array({ minLength: 20, maxLength: 80 }),
    words: fc.constantFrom(5, 5, 5, 6, 15, 4),
    fragment: fc.constantFrom(0, 0, 0x4000, 0x2000, 0x2001, 0x00b9),
    protocol: protocols,
    slack: fc.integer({ min: -2, max: 8 }),
  })
  .map(({ noise, words, fragment, protocol, slack }) => {
    const total = Math.max(0, noise.length - slack);
    noise.set([
      0x40 | words,
      0,
      total >>> 8,
      total & 0xff,
      0,
      0,
      fragment >>> 8,
      fragment & 0xff,
      64,
      protocol,
    ]);
    return noise;
  });

/** Mostly plausible IPv6 with a few extension headers. */
const ipv6Packets = fc
  .record({
    noise: fc.uint8Array({ minLength: 40, maxLength: 140 }),
    protocol: protocols,
    chain: fc.array(
      fc.record({
        next: protocols,
        length: fc.constantFrom(0, 0, 0, 1),
        offset: fc.constantFrom(0, 0, 1, 8),
      }),
      { maxLength: 10 },
    ),
    slack: fc.integer({ min: -2, max: 8 }),
  })
  .map(({ noise, protocol, chain, slack }) => {
    const payload = Math.max(0, noise.length - 40 - slack);
    noise.set([0x60, 0, 0, 0, payload >>> 8, payload & 0xff, protocol]);
    for (const [index, { next, length, offset }] of chain.entries()) {
      const at = 40 + index * 8;
      if (at + 8 <= noise.length) noise.set([next, length, 0, offset], at);
    }
    return noise;
  });

describe('Flow of an inner packet (RFC 4301 §4.4.1.1)', () => {
  const flow = createFlow();

  function compare(packet: Uint8Array, before: number): void {
    const room = new Uint8Array(before + packet.length);
    room.set(packet, before);
    const fault = readFlow(room, before, packet.length, flow);
    let expected: PlainFlow;
    try {
      expected = plainParse(packet);
    } catch (error) {
      assert.ok(error instanceof RangeError);
      assert.notEqual(fault, FlowFault.NONE);
      return;
    }
    assert.equal(fault, FlowFault.NONE);
    assert.deepEqual(
      {
        family: flow.family,
        source: formatAddress(addressFromWords(flow.family, flow.source)),
        destination: formatAddress(addressFromWords(flow.family, flow.destination)),
        protocol: flow.protocol,
        ports: [flow.sourcePort, flow.destinationPort],
        fragment: flow.fragment,
        headerLength: flow.headerLength,
        totalLength: flow.totalLength,
      },
      expected,
    );
  }

  it('agrees with a plain parser on IPv4', () => {
    fc.assert(fc.property(ipv4Packets, fc.nat(3), compare), { numRuns: 300 });
  });

  it('agrees with a plain parser on IPv6', () => {
    fc.assert(fc.property(ipv6Packets, fc.nat(3), compare), { numRuns: 300 });
  });

  it('agrees with a plain parser on noise', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.constant(0), compare));
  });

  it('agrees with a plain parser on every truncation', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4Packets, ipv6Packets), (packet) => {
        for (let length = 0; length <= packet.length; length++) compare(packet.slice(0, length), 1);
      }),
      { numRuns: 30 },
    );
  });

  it('names the fault', () => {
    const packet = new Uint8Array(40);
    const fault = (head: readonly number[], length = packet.length): number => {
      packet.fill(0).set(head);
      return readFlow(packet, 0, length, flow);
    };
    assert.equal(fault([0x50]), FlowFault.BAD_VERSION);
    assert.equal(fault([0x45], 19), FlowFault.BAD_HEADER_LENGTH);
    assert.equal(fault([0x44, 0, 0, 40]), FlowFault.BAD_HEADER_LENGTH);
    assert.equal(fault([0x45, 0, 0, 41]), FlowFault.BAD_TOTAL_LENGTH);
    assert.equal(fault([0x45, 0, 0, 20]), FlowFault.NONE);
    assert.equal(fault([0x45, 0, 0, 27, 0, 0, 0, 0, 64, 17]), FlowFault.TRUNCATED_UPPER_LAYER);
    assert.equal(fault([0x60, 0, 0, 0, 0, 0, 0]), FlowFault.BAD_EXTENSION_HEADERS);
    assert.equal(fault([0x45, 0, 0, 20], 41), FlowFault.BAD_TOTAL_LENGTH);
  });

  it('holds addresses in words both ways', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }),
        ),
        (octets) => {
          const address = ipAddress(octets);
          const words = new Uint32Array(8);
          addressToWords(address, words, 3);
          assert.deepEqual(addressFromWords(address.family, words, 3), address);
        },
      ),
    );
  });
});
