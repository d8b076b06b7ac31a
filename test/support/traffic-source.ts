/**
 * What a host sends in a test: streams that go on, as super-packets or cut, and single packets between
 * them; no two packets are alike, and a seed repeats all of it.
 */
import { TcpFlag } from '../../src/wire/tcp.ts';
import { icmpPacket } from './inner-packets.ts';
import { seededNumbers } from './seeded-random.ts';
import { type DevicePacket, type Stream, segmentsOf, superPacket } from './super-packets.ts';

export const NO_HEADER = new Uint8Array(10);

/** What one read of the device gives, and the packets it stands for. */
export interface Given {
  readonly given: DevicePacket;
  readonly flow: string;
  readonly packets: readonly Uint8Array[];
}

/** Streams of TCP and UDP that go on from burst to burst, and single packets between them. */
export class Traffic {
  readonly #next: () => number;
  readonly #whole: boolean;
  readonly #streams: Stream[];
  readonly #pings: boolean;
  #pinged = 0;

  constructor(seed: number, whole: boolean, family: 4 | 6 | undefined) {
    this.#next = seededNumbers(seed);
    this.#whole = whole;
    this.#pings = family !== 6;
    this.#streams = Array.from({ length: 4 }, (_, index) => ({
      family: family ?? (index % 2 === 0 ? 4 : 6),
      protocol: this.#next() < 0.7 ? 'tcp' : 'udp',
      payload: new Uint8Array(0),
      segment: this.#below(1400) + 8,
      sequence: this.#below(2 ** 32),
      identification: this.#below(2 ** 16),
      sourcePort: 1000 + index,
      trafficClass: this.#below(64) << 2,
      dontFragment: false,
      options: new Uint8Array(12 * this.#below(2)).fill(1),
    }));
  }

  burst(): readonly Given[] {
    const count = 1 + this.#below(6);
    return Array.from({ length: count }, () =>
      this.#pings && this.#next() < 0.1 ? [this.#ping()] : this.#part(),
    ).flat();
  }

  #part(): readonly Given[] {
    const index = this.#below(this.#streams.length);
    const before = this.#streams[index]!;
    const packets = 1 + this.#below(9);
    const length = (packets - 1) * before.segment + 1 + this.#below(before.segment);
    // Every four octets are others, so that no two packets are alike.
    const words = Uint32Array.from({ length: Math.ceil(length / 4) }, () => this.#below(2 ** 32));
    const stream: Stream = {
      ...before,
      payload: new Uint8Array(words.buffer).slice(0, length),
      flags: TcpFlag.ACK | (this.#next() < 0.3 ? TcpFlag.PSH : 0),
    };
    this.#streams[index] = {
      ...before,
      sequence: ((before.sequence ?? 0) + length) >>> 0,
      identification: ((before.identification ?? 0) + packets) & 0xffff,
    };
    const segments = segmentsOf(stream);
    const flow = flowOf(segments[0]!);
    // Now and then one has a wrong checksum, which is the far host's to find.
    const spoilt = this.#next() < 0.15 ? segments[this.#below(packets)] : undefined;
    if (spoilt !== undefined) spoilt[spoilt.length - 1]! ^= 1;
    if (this.#whole && packets > 1 && spoilt === undefined)
      return [{ given: superPacket(stream), flow, packets: segments }];
    return segments.map((octets) => ({
      given: { octets, vnet: NO_HEADER },
      flow,
      packets: [octets],
    }));
  }

  #ping(): Given {
    const octets = icmpPacket('10.1.0.10', '10.2.0.10', 8);
    // The sequence number of the echo, where others have their ports.
    octets[24] = this.#pinged >> 8;
    octets[25] = this.#pinged++;
    return { given: { octets, vnet: NO_HEADER }, flow: flowOf(octets), packets: [octets] };
  }

  #below(end: number): number {
    return Math.floor(this.#next() * end);
  }
}

/** Family, protocol and ports; nothing here has options. */
export function flowOf(packet: Uint8Array): string {
  const six = packet[0]! >> 4 === 6;
  const upper = six ? 40 : 20;
  return `${six ? 6 : 4} ${packet[six ? 6 : 9]} ${Buffer.from(packet.slice(upper, upper + 4)).toString('hex')}`;
}
