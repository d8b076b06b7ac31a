/** FORWARD as octets: what comes back, and what hostile octets do. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MessageType } from '../../../src/cluster/bus/message.ts';
import {
  decodeForward,
  encodeForward,
  type ForwardedPacket,
} from '../../../src/gateway/cluster/forward-message.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { MalformedError } from '../../../src/wire/octets.ts';

const V4 = ipAddress(Uint8Array.of(192, 0, 2, 1));
const V6 = ipAddress(Uint8Array.from({ length: 16 }, (_, at) => at));
const ESP = Uint8Array.from({ length: 60 }, (_, at) => at + 1);

const PACKETS: readonly ForwardedPacket[] = [
  { kind: 'arrival', octets: ESP, local: V4, remote: { address: V4, port: 4500 }, trafficClass: 3 },
  { kind: 'arrival', octets: ESP, local: V6, remote: { address: V6, port: 0 }, trafficClass: 0 },
  { kind: 'read', octets: new Uint8Array(65_545).fill(7), spiIn: spi(0xc0000001) },
  {
    kind: 'ike',
    octets: new Uint8Array(28).fill(1),
    local: { address: V6, port: 500 },
    remote: { address: V6, port: 61_234 },
  },
];

describe('A packet on its way to another node', () => {
  for (const [index, packet] of PACKETS.entries()) {
    it(`comes back as it was: ${packet.kind} ${index}`, () => {
      const message = encodeForward({ hops: 2, packet });
      assert.equal(message.type, MessageType.FORWARD);
      assert.deepEqual(decodeForward(message), { hops: 2, packet });
    });
  }

  it('costs little beside itself', () => {
    const [packet] = PACKETS;
    assert.ok(packet);
    assert.ok(encodeForward({ hops: 1, packet }).body.length <= packet.octets.length + 48);
  });

  it('is no message of another type', () => {
    assert.equal(decodeForward({ type: MessageType.PROBE, body: new Uint8Array(0) }), undefined);
  });

  it('says what is wrong with it, and nothing else happens', () => {
    const bodies = PACKETS.map((packet) => encodeForward({ hops: 1, packet }).body);
    for (const body of bodies.filter(({ length }) => length < 1000)) {
      for (let length = 0; length < body.length; length++) refuses(body.subarray(0, length));
    }
    const [arrival] = PACKETS;
    assert.ok(arrival?.kind === 'arrival');
    refuses(encodeForward({ hops: 0, packet: arrival }).body);
    refuses(encodeForward({ hops: 1, packet: { ...arrival, local: V6 } }).body);
    for (const octets of [ESP.subarray(0, 7), Uint8Array.of(0, 0, 0, 9, 1, 1, 1, 1)]) {
      refuses(encodeForward({ hops: 1, packet: { ...arrival, octets } }).body);
    }
    const spiIn = spi(300);
    refuses(
      encodeForward({ hops: 1, packet: { kind: 'read', octets: ESP.subarray(0, 10), spiIn } }).body,
    );
    const ike = PACKETS[3] ?? assert.fail('there are four');
    refuses(encodeForward({ hops: 1, packet: { ...ike, octets: new Uint8Array(27) } }).body);
  });

  it('of any octets is a message or malformed', () => {
    const bodies = PACKETS.map((packet) => encodeForward({ hops: 1, packet }).body.slice(0, 200));
    const parts = fc.record({
      body: fc.constantFrom(...bodies),
      at: fc.nat(120),
      octets: fc.uint8Array({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(parts, ({ body, at, octets }) => {
        const mutated = body.slice();
        mutated.set(
          octets.subarray(0, Math.max(0, mutated.length - at)),
          Math.min(at, mutated.length),
        );
        for (const one of [octets, mutated]) tolerates(one);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });
});

function refuses(body: Uint8Array): void {
  assert.throws(() => decodeForward({ type: MessageType.FORWARD, body }), MalformedError);
}

function tolerates(body: Uint8Array): void {
  try {
    decodeForward({ type: MessageType.FORWARD, body });
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
}
