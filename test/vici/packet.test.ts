import assert from 'node:assert/strict';
import fc from 'fast-check';
import { viciSection } from '../../src/vici/message.ts';
import {
  decodePacket,
  encodePacket,
  encodeSegment,
  MAX_SEGMENT_OCTETS,
  type Packet,
  SegmentReader,
} from '../../src/vici/packet.ts';
import { concatOctets, fromHex, MalformedError, toHex } from '../../src/wire/octets.ts';
import { viciMessages } from './arbitraries.ts';

const packetNames = fc.stringMatching(/^[a-z-]{1,20}$/);

const plain = { noNullPrototype: true } as const;
const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({ kind: fc.constant('request'), name: packetNames, message: viciMessages }, plain),
  fc.record({ kind: fc.constant('response'), message: viciMessages }, plain),
  fc.record({ kind: fc.constant('command-unknown') }, plain),
  fc.record({ kind: fc.constant('register'), name: packetNames }, plain),
  fc.record({ kind: fc.constant('unregister'), name: packetNames }, plain),
  fc.record({ kind: fc.constant('event-confirm') }, plain),
  fc.record({ kind: fc.constant('event-unknown') }, plain),
  fc.record({ kind: fc.constant('event'), name: packetNames, message: viciMessages }, plain),
);

describe('vici packet', () => {
  const examples: readonly (readonly [Packet, string])[] = [
    [{ kind: 'request', name: 'version', message: new Map() }, '000776657273696f6e'],
    [
      { kind: 'response', message: viciSection([['success', 'yes']]) },
      '01030773756363657373000379' + '6573',
    ],
    [{ kind: 'command-unknown' }, '02'],
    [{ kind: 'register', name: 'log' }, '03036c6f67'],
    [{ kind: 'unregister', name: 'log' }, '04036c6f67'],
    [{ kind: 'event-confirm' }, '05'],
    [{ kind: 'event-unknown' }, '06'],
    [{ kind: 'event', name: 'log', message: viciSection([['k', '']]) }, '07036c6f6703016b0000'],
  ];
  for (const [packet, hex] of examples) {
    it(`encodes and decodes ${packet.kind}`, () => {
      assert.equal(toHex(encodePacket(packet)), hex);
      assert.deepEqual(decodePacket(fromHex(hex)), packet);
    });
  }

  const malformed: readonly (readonly [string, string, RegExp])[] = [
    ['no octets', '', /packet type/],
    ['an unknown type', '08', /packet type 8/],
    ['a name cut short', '00056162', /packet name: 5 octets needed, 2 present/],
    ['a name with control characters', '03020a0a', /not printable ASCII/],
    ['content behind a confirmation', '0500', /1 octets left over/],
    ['content behind a registration', '03036c6f6700', /1 octets left over/],
  ];
  for (const [name, hex, what] of malformed) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => decodePacket(fromHex(hex)),
        (error) => error instanceof MalformedError && what.test(error.what),
      );
    });
  }

  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        assert.deepEqual(decodePacket(encodePacket(packet)), packet);
      }),
      { numRuns: 200 },
    );
  });

  it('answers any octets with a packet that encodes back, or MalformedError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
        try {
          assert.deepEqual(encodePacket(decodePacket(octets)), octets);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('vici segments', () => {
  it('reassembles packets from a stream cut anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(packets, { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (sent, cuts) => {
          const stream = concatOctets(...sent.map(encodeSegment));
          const reader = new SegmentReader();
          const received: Packet[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const length = cuts[turn % cuts.length] ?? 1;
            const segments = reader.push(stream.subarray(at, at + length));
            at += length;
            assert.equal(segments.kind, 'segments');
            if (segments.kind === 'segments') received.push(...segments.packets.map(decodePacket));
          }
          assert.deepEqual(received, sent);
          assert.equal(reader.pending, 0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('takes a packet of 512 KiB and refuses one octet more', () => {
    const segment = new Uint8Array(4 + MAX_SEGMENT_OCTETS);
    segment.set([0, 8, 0, 0]);
    const whole = new SegmentReader().push(segment);
    assert.equal(whole.kind === 'segments' && whole.packets[0]?.length, MAX_SEGMENT_OCTETS);
    const larger = new SegmentReader().push(Uint8Array.of(0, 8, 0, 1));
    assert.deepEqual(larger, {
      kind: 'malformed',
      what: 'segment of 524289 octets; 1 to 524288 are allowed',
    });
  });

  it('takes a packet of 512 KiB that arrives octet by octet', () => {
    const reader = new SegmentReader();
    reader.push(Uint8Array.of(0, 8, 0, 0));
    const octet = Uint8Array.of(2);
    for (let sent = 1; sent < MAX_SEGMENT_OCTETS; sent++) {
      const segments = reader.push(octet);
      assert.ok(segments.kind === 'segments' && segments.packets.length === 0);
    }
    assert.equal(reader.pending, MAX_SEGMENT_OCTETS + 3);
    const last = reader.push(octet);
    assert.equal(last.kind === 'segments' && last.packets[0]?.length, MAX_SEGMENT_OCTETS);
  });

  it('stays malformed', () => {
    const reader = new SegmentReader();
    assert.equal(reader.push(Uint8Array.of(0, 0, 0, 0)).kind, 'malformed');
    assert.equal(reader.push(encodeSegment({ kind: 'event-confirm' })).kind, 'malformed');
  });

  it('does not keep the octets it was given', () => {
    const reader = new SegmentReader();
    const octets = Uint8Array.of(0, 0, 0, 2, 5);
    reader.push(octets);
    octets.fill(0xff);
    const segments = reader.push(Uint8Array.of(6));
    assert.deepEqual(segments, { kind: 'segments', packets: [Uint8Array.of(5, 6)] });
  });

  it('refuses to encode a packet larger than a segment', () => {
    const value = 'x'.repeat(60_000);
    const message = viciSection(Array.from({ length: 9 }, (_, n) => [`k${n}`, value] as const));
    assert.throws(() => encodeSegment({ kind: 'response', message }), RangeError);
  });
});
