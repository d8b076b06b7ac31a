import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clampFlow } from '../../src/esp/mss-clamp.ts';
import { createFlow, FlowFault, readFlow } from '../../src/wire/flow.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import { tcpPacket, upperChecksum } from '../support/inner-packets.ts';

const flow = createFlow();
const MSS_1460 = Uint8Array.of(2, 4, 1460 >> 8, 1460 & 0xff);

function clamp(packet: Uint8Array, innerMtu: number): boolean {
  assert.equal(readFlow(packet, 0, packet.length, flow), FlowFault.NONE);
  return clampFlow(packet, 0, flow, innerMtu);
}

describe('MSS clamping (RFC 9293 §3.7.1)', () => {
  it('lowers the MSS of an IPv4 SYN to the MTU less 40', () => {
    const packet = tcpPacket('10.1.0.1', '10.2.0.1', TcpFlag.SYN, MSS_1460);
    assert.equal(clamp(packet, 1400), true);
    assert.deepEqual(packet.subarray(40, 44), Uint8Array.of(2, 4, 1360 >> 8, 1360 & 0xff));
    assert.equal(upperChecksum(packet, 20, IpProtocol.TCP), 0);
  });

  it('lowers the MSS of an IPv6 SYN to the MTU less 60', () => {
    const packet = tcpPacket('2001:db8::1', '2001:db8::2', TcpFlag.SYN | TcpFlag.ACK, MSS_1460);
    assert.equal(clamp(packet, 1400), true);
    assert.deepEqual(packet.subarray(60, 64), Uint8Array.of(2, 4, 1340 >> 8, 1340 & 0xff));
    assert.equal(upperChecksum(packet, 40, IpProtocol.TCP), 0);
  });

  it('never raises it', () => {
    assert.equal(clamp(tcpPacket('10.1.0.1', '10.2.0.1', TcpFlag.SYN, MSS_1460), 1500), false);
  });

  it('leaves segments without SYN and SYNs without the option alone', () => {
    assert.equal(clamp(tcpPacket('10.1.0.1', '10.2.0.1', TcpFlag.ACK, MSS_1460), 1400), false);
    assert.equal(clamp(tcpPacket('10.1.0.1', '10.2.0.1', TcpFlag.SYN), 1400), false);
  });

  it('leaves fragments alone', () => {
    const packet = tcpPacket('10.1.0.1', '10.2.0.1', TcpFlag.SYN, MSS_1460);
    packet[6] = 0x20;
    assert.equal(clamp(packet, 1400), false);
  });

  it('keeps the checksum right wherever the option stands, and all else unchanged', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('10.1.0.1', '2001:db8::1'),
        fc.integer({ min: 0, max: 7 }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.integer({ min: 600, max: 9000 }),
        (address, nops, mss, innerMtu) => {
          const options = new Uint8Array(12).fill(1);
          options.set([2, 4, mss >> 8, mss & 0xff], nops);
          const packet = tcpPacket(address, address, TcpFlag.SYN, options);
          const before = packet.slice();
          const header = address.includes(':') ? 40 : 20;
          const limit = innerMtu - header - 20;
          assert.equal(clamp(packet, innerMtu), mss > limit);
          assert.equal(upperChecksum(packet, header, IpProtocol.TCP), 0);
          const valueAt = header + 20 + nops + 2;
          assert.equal((packet[valueAt]! << 8) | packet[valueAt + 1]!, Math.min(mss, limit));
          for (const at of [valueAt, valueAt + 1, header + 16, header + 17])
            packet[at] = before[at]!;
          assert.deepEqual(packet, before);
        },
      ),
      { numRuns: 200 },
    );
  });
});
