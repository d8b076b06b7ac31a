/**
 * Segmentation and coalescing against two that know nothing of tsgw: scapy builds the packets and
 * super-packets, the kernel cuts super-packets in a namespace of its own.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TcpFlag } from '../../src/wire/tcp.ts';
import { espPair, UDP } from '../support/esp-gateway.ts';
import { NativeSealer } from '../support/native-sealer.ts';
import {
  build,
  kernelCuts,
  type ScapyStream,
  scapyStream,
  scapyStreams,
} from '../support/scapy-streams.ts';

/** Nothing is said of the packet behind it. */
const PLAIN = '00000000000000000000';
const octetsOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hexOf = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

const UDP_SUM_OFFSET = 6;

/** What stands in front of a packet of the device, and the packet. */
interface Write {
  readonly octets: string;
  readonly vnet?: string;
}

/** Three packets for every octet of flags there is. */
const flagged = Array.from({ length: 256 }, (_, flags) =>
  scapyStream({ flags, octets: 25, segment: 10, family: flags % 3 === 0 ? 6 : 4 }),
);

describe('Super-packets from the device', () => {
  it('are cut as the kernel cuts them, into what scapy builds', () => {
    const wire = new Wire({ a: true, b: false });
    const streams = [...flagged, ...fc.sample(scapyStreams(), { numRuns: 250, seed: 4303 })];
    const built = build(streams);
    const wholes = built.map(({ whole, vnet }) => ({ octets: whole, vnet }));
    const kernel = kernelCuts(wholes);
    for (const [index, whole] of wholes.entries()) {
      const text = JSON.stringify(streams[index]);
      const expected = kernel[index] ?? [];
      assert.deepEqual(expected, built[index]?.packets, `kernel and scapy: ${text}`);
      const cut = wire.carry([whole]).map(({ octets }) => octets);
      assert.deepEqual(withoutZeroSum(cut, whole.vnet), withoutZeroSum(expected, whole.vnet), text);
    }
  });

  it('that are none have the checksum made that was left to be made', () => {
    const wire = new Wire({ a: true, b: false });
    const streams = fc.sample(scapyStreams(), { numRuns: 60, seed: 768 }).map((stream) => {
      const octets = Math.min(stream.octets, 8000);
      return { ...stream, octets, segment: octets, zero: false };
    });
    for (const { packets, whole, vnet } of build(streams)) {
      const plain = { octets: whole, vnet: `0100${'00'.repeat(4)}${vnet.slice(12)}` };
      const octets = wire.carry([plain]).map((write) => write.octets);
      assert.deepEqual(octets, packets);
    }
  });
});

describe('Packets that arrive together', () => {
  it('are joined to what the kernel cuts into the same packets', () => {
    const streams = [...flagged, ...joinable(250, 4301)];
    const { writes, packets } = joined(streams, (one) => one);
    const count = (lists: readonly (readonly unknown[])[]) => lists.slice(256).flat().length;
    assert.ok(count(writes) < count(packets) / 2, `${count(writes)} writes`);
  });

  it('are joined with none whose checksum is wrong, and that stays as wrong as it came', () => {
    const { writes, packets } = joined(joinable(150, 1071), (list, index) =>
      list.with(index % list.length, spoilt(list[index % list.length] ?? '', index)),
    );
    for (const [index, list] of packets.entries()) {
      const odd = list[index % list.length];
      const alone = writes[index]?.find(({ octets }) => octets === odd);
      assert.equal(alone?.vnet, PLAIN, odd);
    }
  });

  it('are not taken for sound with a wrong IPv4 checksum, which the kernel would not forward', () => {
    const wire = new Wire({ a: false, b: true });
    const [one] = build([scapyStream()]);
    const [first = '', second = '', ...more] = one?.packets ?? [];
    const wrong = `${second.slice(0, 20)}${second.slice(20, 24) === '0000' ? '0001' : '0000'}${second.slice(24)}`;
    const writes = wire.carry([first, wrong, ...more].map((octets) => ({ octets })));
    assert.deepEqual(writes[1], { octets: wrong, vnet: PLAIN });
    assert.equal(writes.length, 3);
  });

  it('come out in the order of their flow, whatever other flows come between', () => {
    const plain = { nops: 0, extensions: [] };
    const streams = joinable(160, 6864).map((one, index) => ({
      ...one,
      ...plain,
      port: 1000 + index,
    }));
    const packets = build(streams).map((one, index) => swapped(one.packets, index));
    const wire = new Wire({ a: false, b: true });
    const groups = Array.from({ length: 32 }, (_, at) =>
      interleaved(packets.slice(at * 5, at * 5 + 5)),
    );
    const cut = kernelCuts(
      groups.flatMap((group) => wire.carry(group.map((octets) => ({ octets })))),
    );
    const seen = cut.flat();
    for (const [index, list] of packets.entries()) {
      const own = seen.filter((packet) => portOf(packet) === 1000 + index);
      assert.deepEqual(own.map(comparable), list.map(comparable), JSON.stringify(streams[index]));
    }
  });
});

/** Streams of which most packets can be joined. */
function joinable(count: number, seed: number): readonly ScapyStream[] {
  const { ACK, PSH, ECE } = TcpFlag;
  const flags = [ACK, ACK | ECE, ACK, ACK | PSH];
  return fc.sample(scapyStreams(), { numRuns: count, seed }).map((stream, index) => ({
    ...stream,
    flags: stream.protocol === 'udp' ? 0 : (flags[index % 4] ?? ACK),
    nops: index % 11 === 1 ? stream.nops : 0,
    extensions: index % 7 === 2 ? stream.extensions : [],
    step: [1, 1, 1, 0, 7][index % 5] ?? 1,
    length: index % 6 === 0 && stream.protocol === 'udp' ? 9 : null,
    zero: false,
  }));
}

/** What the device is given for the packets of each stream, which the kernel cuts into them again. */
function joined(
  streams: readonly ScapyStream[],
  change: (packets: readonly string[], index: number) => readonly string[],
) {
  const wire = new Wire({ a: false, b: true });
  const packets = build(streams).map((one, index) => change(one.packets, index));
  const writes = packets.map((list) => wire.carry(list.map((octets) => ({ octets }))));
  const cut = kernelCuts(writes.flat());
  let next = 0;
  for (const [index, list] of writes.entries()) {
    const own = cut.slice(next, next + list.length).flat();
    next += list.length;
    const text = JSON.stringify(streams[index]);
    assert.deepEqual(own.map(comparable), packets[index]?.map(comparable), text);
  }
  return { packets, writes };
}

/** One bit of the last octets is another. */
function spoilt(packet: string, seed: number): string {
  const octets = octetsOf(packet);
  const at = octets.length - 1 - (seed % 8);
  octets[at] = (octets[at] ?? 0) ^ (1 << (seed % 8));
  return hexOf(octets);
}

/** Two packets behind one another have changed places. */
function swapped(packets: readonly string[], index: number): readonly string[] {
  const first = index % (packets.length - 1);
  const [one = '', other = ''] = packets.slice(first, first + 2);
  return packets.with(first, other).with(first + 1, one);
}

/** One packet of each list, then the next of each. */
function interleaved(lists: readonly (readonly string[])[]): readonly string[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}

/** The source port of a packet without options. */
function portOf(packet: string): number {
  return Number.parseInt(packet.slice(...(packet.startsWith('6') ? [80, 84] : [40, 44])), 16);
}

/** RFC 6864 §4.1: where DF is set the identification means nothing, and the kernel counts it up. */
function comparable(packet: string): string {
  const octets = octetsOf(packet);
  if ((octets[0] ?? 0) >> 4 === 6 || ((octets[6] ?? 0) & 0x40) === 0) return packet;
  octets.fill(0, 4, 6).fill(0, 10, 12);
  return hexOf(octets);
}

/**
 * The native layer, as the kernel where a checksum is left to it, writes a sum of zero as all ones,
 * which RFC 1071 counts as the same; where the kernel cuts TCP it leaves zeros.
 */
function withoutZeroSum(packets: readonly string[], vnet: string): readonly string[] {
  const [, start = 0, offset = 0] = new Uint16Array(octetsOf(vnet).slice(4).buffer);
  const at = 2 * (start + offset);
  if (offset === UDP_SUM_OFFSET) return packets;
  return packets.map((packet) =>
    packet.slice(at, at + 4) === 'ffff'
      ? `${packet.slice(0, at)}0000${packet.slice(at + 4)}`
      : packet,
  );
}

/** Packets sealed and opened by the native layer; a path that takes all, and a SYN left as it is. */
class Wire {
  readonly #ends;

  constructor(offload: { readonly a: boolean; readonly b: boolean }) {
    const common = { outerMtu: 9000, tunMtu: 9000, mssClamp: false, sealer: new NativeSealer() };
    const options = (one: boolean) => ({ ...common, ...(one && { offload: { udp: true } }) });
    const { a } = espPair({}, options(offload.a));
    const { b } = espPair({}, options(offload.b));
    this.#ends = { a, b };
  }

  /** What the far device is given when these come together. */
  carry(packets: readonly Write[]): readonly Required<Write>[] {
    const { a, b } = this.#ends;
    a.fromDevice(
      ...packets.map(({ octets, vnet = '' }) => ({
        octets: octetsOf(octets),
        vnet: octetsOf(vnet),
      })),
    );
    b.fromSocket(UDP, ...a.sent.splice(0));
    assert.deepEqual([a.drops(), b.drops()], [{}, {}]);
    const vnets = b.vnets.splice(0);
    return b.delivered.splice(0).map((octets, index) => ({
      octets: hexOf(octets),
      vnet: hexOf(vnets[index] ?? new Uint8Array(0)),
    }));
  }
}
