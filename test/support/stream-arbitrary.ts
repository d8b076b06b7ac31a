/**
 * Streams of any kind for properties.
 */
import fc from 'fast-check';
import { TcpFlag } from '../../src/wire/tcp.ts';
import type { Stream } from './super-packets.ts';

export function streams(): fc.Arbitrary<Stream> {
  return fc
    .record({
      family: fc.constantFrom(4, 6),
      protocol: fc.constantFrom('tcp', 'udp'),
      segment: fc.integer({ min: 1, max: 1300 }),
      packets: fc.integer({ min: 2, max: 12 }),
      last: fc.integer({ min: 1, max: 1300 }),
      fill: fc.integer({ min: 0, max: 255 }),
      sequence: fc.constantFrom(0, 1, 0x7fff_fff0, 0xffff_ff00),
      flags: fc.constantFrom(TcpFlag.ACK, TcpFlag.ACK | TcpFlag.PSH),
      options: fc.constantFrom(0, 4, 12, 40),
      identification: fc.constantFrom(0, 0x1234, 0xfffe),
      trafficClass: fc.constantFrom(0, 0xb8),
      dontFragment: fc.boolean(),
    })
    .map(({ family, protocol, segment, packets, last, fill, options, ...rest }) => {
      const length = (packets - 1) * segment + Math.min(last, segment);
      const payload = Uint8Array.from({ length }, (_, index) => (index * 31 + fill) & 0xff);
      const octets = new Uint8Array(options).fill(1);
      return {
        ...rest,
        ...{ family: family === 4 ? 4 : 6, protocol: protocol === 'tcp' ? 'tcp' : 'udp' },
        ...{ segment, payload, options: octets },
      };
    });
}
