/**
 * Packets that are here before their SA.
 */
import assert from 'node:assert/strict';
import { instant } from '../../src/wire/instant.ts';
import { childSa, EspGateway, mirrored, RAW4, testKeys, UDP } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

const PARAMETERS = childSa();
const OURS = mirrored(PARAMETERS);
const [A_TO_B, B_TO_A] = [testKeys(PARAMETERS, 1), testKeys(PARAMETERS, 2)];

/** So many packets of a peer that has the SA already, and how they look inside. */
function early(count: number) {
  const peer = new EspGateway();
  peer.install(PARAMETERS, B_TO_A, A_TO_B);
  const inner = Array.from({ length: count }, (_, port) =>
    udpPacket('10.1.0.10', '10.2.0.10', port + 1),
  );
  peer.fromTun(...inner);
  return { inner, packets: peer.sent.map(({ octets }) => ({ octets })) };
}

function install(gateway: EspGateway): void {
  gateway.install(OURS, A_TO_B, B_TO_A);
}

/** The IPv4 header that a raw socket hands over in front of ESP. */
function withIpv4Header(octets: Uint8Array): Uint8Array {
  const packet = new Uint8Array(20 + octets.length);
  packet[0] = 0x45;
  packet[2] = packet.length >> 8;
  packet[3] = packet.length & 0xff;
  packet[9] = 50;
  packet.set(octets, 20);
  return packet;
}

describe('Packets that overtake the answer their SA is made of (RFC 7296 §2.8)', () => {
  it('wait for it and are delivered in order', () => {
    const { inner, packets } = early(5);
    const gateway = new EspGateway();
    gateway.engine.expect(OURS.spiIn);
    gateway.fromSocket(UDP, ...packets);
    assert.deepEqual(gateway.delivered, []);
    assert.deepEqual(gateway.drops(), {});
    install(gateway);
    assert.deepEqual(gateway.delivered, inner);
    gateway.fromSocket(UDP, ...packets);
    assert.deepEqual(gateway.drops(), { 'replayed-sequence-number': 5 });
  });

  it('may come as IP protocol 50', () => {
    const { inner, packets } = early(2);
    const gateway = new EspGateway();
    gateway.engine.expect(OURS.spiIn);
    gateway.fromSocket(RAW4, ...packets.map(({ octets }) => ({ octets: withIpv4Header(octets) })));
    install(gateway);
    assert.deepEqual(gateway.delivered, inner);
  });

  it('are checked like all others', () => {
    const { packets } = early(1);
    const gateway = new EspGateway();
    gateway.engine.expect(OURS.spiIn);
    for (const { octets } of packets) {
      gateway.fromSocket(UDP, { octets: octets.with(-1, octets.at(-1)! ^ 1) });
    }
    install(gateway);
    assert.deepEqual(gateway.delivered, []);
    assert.deepEqual(gateway.drops(), { 'bad-icv': 1 });
  });

  it('are held for SPIs that were offered, so many of each, and for a second', () => {
    const { inner, packets } = early(300);
    const stranger = new EspGateway();
    stranger.engine.expect(OURS.spiIn + 1);
    stranger.fromSocket(UDP, ...packets);
    assert.equal(stranger.dropped('unknown-spi'), 300);
    const crowded = new EspGateway();
    crowded.engine.expect(OURS.spiIn);
    crowded.fromSocket(UDP, ...packets);
    assert.equal(crowded.dropped('unknown-spi'), 44);
    install(crowded);
    assert.deepEqual(crowded.delivered, inner.slice(0, 256), 'in several batches');
    const slow = new EspGateway();
    slow.engine.expect(OURS.spiIn);
    slow.fromSocket(UDP, ...packets.slice(0, 3));
    slow.now = instant(slow.now + 1001);
    install(slow);
    assert.deepEqual(slow.delivered, []);
    assert.deepEqual(slow.drops(), { 'unknown-spi': 3 });
  });

  it('cost a bounded amount of memory, whatever is offered', () => {
    const { packets } = early(1);
    const gateway = new EspGateway();
    for (let spi = 0x1000; spi < 0x3000; spi++) gateway.engine.expect(spi);
    gateway.engine.expect(OURS.spiIn);
    gateway.fromSocket(UDP, ...packets);
    install(gateway);
    assert.equal(gateway.delivered.length, 1, 'the newest stay');
    assert.deepEqual(gateway.drops(), {});
    const oldest = packets.map(({ octets }) => ({
      octets: Uint8Array.from([0, 0, 0x10, 0, ...octets.subarray(4)]),
    }));
    gateway.fromSocket(UDP, ...oldest);
    assert.equal(gateway.dropped('unknown-spi'), 1);
  });
});
