import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import { EspGateway, espPair, selector } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { streams } from '../support/stream-arbitrary.ts';
import { type Stream, segmentsOf, superPacket, vnetHeader } from '../support/super-packets.ts';

const OFFLOAD = { offload: { udp: true } };
const counting = (length: number) => Uint8Array.from({ length }, (_, index) => index * 7);

/** The inner packets that leave for what the device gave. */
function cut(stream: Stream): readonly Uint8Array[] {
  const { a, saA } = espPair({}, OFFLOAD);
  a.fromDevice(superPacket(stream));
  const front = 8 + saA.suite.ivLength;
  return a.unsealed.map((packet) => {
    const trailer = packet.length - saA.suite.icvLength - 2;
    return packet.slice(front, trailer - (packet[trailer] ?? 0));
  });
}

describe('Segmentation of super-packets', () => {
  it('makes the packets that the host would have sent, octet by octet', () => {
    fc.assert(
      fc.property(streams(), (stream) => {
        assert.deepEqual(cut(stream), segmentsOf(stream));
      }),
      { numRuns: 150 },
    );
  });

  it('leaves CWR with the first, FIN and PSH with the last (RFC 3168 §6.1.2)', () => {
    const flags = TcpFlag.ACK | TcpFlag.CWR | TcpFlag.FIN | TcpFlag.PSH | TcpFlag.ECE;
    const payload = counting(2500);
    const packets = cut({ family: 4, protocol: 'tcp', payload, segment: 1000, flags });
    assert.deepEqual(
      packets.map((packet) => packet[33]),
      [
        TcpFlag.ACK | TcpFlag.CWR | TcpFlag.ECE,
        TcpFlag.ACK | TcpFlag.ECE,
        TcpFlag.ACK | TcpFlag.FIN | TcpFlag.PSH | TcpFlag.ECE,
      ],
    );
  });

  it('carries more packets than rows or room, each with a number of its own', () => {
    const { a, saA } = espPair({}, OFFLOAD);
    const payload = counting(60_000);
    const stream = { family: 4, protocol: 'tcp', payload, segment: 100 } as const;
    a.fromDevice(superPacket(stream), superPacket(stream));
    assert.equal(a.sent.length, 1200);
    assert.equal(saA.sequence.low, 1200);
    assert.equal(a.counter(1, SaCounter.PACKETS), 1200);
    assert.deepEqual(a.drops(), {});
  });

  it('makes the checksum a host left to us in a packet that is none', () => {
    const { a } = espPair({}, OFFLOAD);
    const whole = superPacket({ family: 4, protocol: 'udp', payload: counting(99), segment: 500 });
    a.fromDevice({ octets: whole.octets, vnet: vnetHeader(1, 0, 0, 0, 20, 6) });
    const [packet] = a.unsealed;
    const expected = segmentsOf({
      ...{ family: 4, protocol: 'udp', payload: counting(99), segment: 500 },
    });
    assert.deepEqual(packet?.slice(16, 16 + 127), expected[0]);
  });

  it('drops what makes no sense, and counts it', () => {
    const sound = superPacket({ family: 4, protocol: 'tcp', payload: counting(900), segment: 100 });
    for (const vnet of [
      vnetHeader(1, 1, 40, 0, 20, 16),
      vnetHeader(0, 1, 40, 100, 20, 16),
      vnetHeader(1, 2, 40, 100, 20, 16),
      vnetHeader(1, 5, 40, 100, 20, 16),
      vnetHeader(1, 0, 0, 0, 939, 0),
      vnetHeader(1, 0, 0, 0, 0xffff, 0xffff),
    ]) {
      const { a } = espPair({}, OFFLOAD);
      a.fromDevice({ octets: sound.octets, vnet });
      assert.deepEqual(a.drops(), { 'malformed-packet': 1 });
      assert.equal(a.sent.length, 0);
    }
  });

  it('answers a super-packet whose segments are too big for the path', () => {
    const { a } = espPair({}, { ...OFFLOAD, outerMtu: 1000 });
    const stream = { family: 4, protocol: 'tcp', payload: counting(5000), segment: 1200 } as const;
    a.fromDevice(superPacket({ ...stream, dontFragment: true }));
    assert.deepEqual(a.drops(), { 'packet-too-big': 1 });
    assert.equal(a.answered.length, 1);
    a.fromDevice(superPacket({ ...stream, segment: 800, dontFragment: true }));
    assert.equal(a.sent.length, 7);
  });

  it('lets a super-packet pass unprotected, cut as well', () => {
    const gateway = new EspGateway(OFFLOAD);
    const any = [selector('0.0.0.0/0')];
    const policy = { id: -1, action: 'bypass', localTs: any, remoteTs: any, priority: 1 } as const;
    gateway.engine.installPolicy(policy, gateway.now);
    const stream = { family: 4, protocol: 'tcp', payload: counting(2500), segment: 1000 } as const;
    gateway.fromDevice(superPacket(stream), { octets: udpPacket('10.1.0.10', '10.2.0.10', 9) });
    assert.deepEqual(
      gateway.bypassed.map(({ octets }) => octets),
      [...segmentsOf(stream), udpPacket('10.1.0.10', '10.2.0.10', 9)],
    );
  });

  it('stops with the sequence numbers and counts the rest (RFC 4303 §3.3.3)', () => {
    const { a, saA } = espPair({}, OFFLOAD);
    saA.sequence.resumeAfter(0, 0xffff_fffd);
    a.fromDevice(superPacket({ family: 4, protocol: 'tcp', payload: counting(500), segment: 100 }));
    assert.equal(a.sent.length, 2);
    assert.deepEqual(a.drops(), { 'sequence-exhausted': 3 });
  });
});
