import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import type { EspSa } from '../../src/esp/esp-sa.ts';
import type { EspTransforms } from '../../src/esp/esp-suite.ts';
import { readU32 } from '../../src/wire/field.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import { backEnds } from '../support/back-ends.ts';
import { BadWire, type InFlight, type WireFaults } from '../support/bad-wire.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  mirrored,
  RAW4,
  RAW6,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { icmpPacket, innerPacket } from '../support/inner-packets.ts';
import { describeNative } from '../support/native-addon.ts';
import { NativeSealer } from '../support/native-sealer.ts';
import { seededNumbers } from '../support/seeded-random.ts';
import {
  type DevicePacket,
  packetsOfWrite,
  type Stream,
  segmentsOf,
  superPacket,
} from '../support/super-packets.ts';

/** Every cipher with every length of its key, with every integrity algorithm where it needs one. */
const SUITES: readonly EspTransforms[] = ENCRYPTION_ALGORITHMS.flatMap(
  ({ id, aead, keyLengths, variableKey }) =>
    keyLengths.flatMap((keyLength) => {
      const encr = variableKey ? { id, keyLength } : { id };
      if (aead) return [{ encr }];
      return INTEGRITY_ALGORITHMS.map((integrity) => ({ encr, integ: { id: integrity.id } }));
    }),
);

/** What a run is made of; it repeats with the same world. */
interface World {
  readonly transforms: EspTransforms;
  readonly esn: boolean;
  /** Packets before the 32-bit boundary where numbers are extended. */
  readonly before: number;
  readonly replayWindow: number;
  readonly carried: 'udp' | 'protocol 50, IPv4' | 'protocol 50, IPv6';
  readonly superIn: boolean;
  readonly joinedOut: boolean;
  readonly faults: WireFaults;
  readonly seed: number;
  /** Turns in which the device is read, and from which of them on another SA sends. */
  readonly turns: number;
  readonly rekeyAt: number;
  /** Numbers that a turn leaves out, as if as many packets were lost. */
  readonly jump: number;
  /** Datagrams of one receive. */
  readonly batch: number;
}

const worlds: fc.Arbitrary<World> = fc.record({
  transforms: fc.constantFrom(...SUITES),
  esn: fc.boolean(),
  before: fc.integer({ min: 0, max: 120 }),
  replayWindow: fc.constantFrom(0, 32, 64, 1024, 65_536),
  carried: fc.constantFrom('udp', 'udp', 'protocol 50, IPv4', 'protocol 50, IPv6'),
  superIn: fc.boolean(),
  joinedOut: fc.boolean(),
  faults: fc.record({
    loss: fc.constantFrom(0, 0.02, 0.2),
    duplication: fc.constantFrom(0, 0.05, 0.4),
    depth: fc.constantFrom(0, 3, 40, 100),
  }),
  seed: fc.integer({ min: 0, max: 0x7fff_ffff }),
  turns: fc.integer({ min: 2, max: 6 }),
  rekeyAt: fc.integer({ min: 1, max: 8 }),
  jump: fc.constantFrom(0, 0, 30, 1000, 65_500, 70_000),
  batch: fc.integer({ min: 1, max: 64 }),
});

describeNative('A stream of packets over a wire that reorders, loses and duplicates', () => {
  it('arrives as what was sent, each at most once, whatever happens to it on the way', () => {
    fc.assert(fc.property(worlds, carry), { numRuns: 120 });
  });

  it('arrives so with every suite', () => {
    const samples = fc.sample(worlds, SUITES.length);
    for (const [index, transforms] of SUITES.entries()) {
      carry({ ...samples[index]!, transforms });
    }
  });
});

function carry(world: World): void {
  const run = new Run(world);
  try {
    for (let turn = 0; turn < world.turns; turn++) {
      if (turn === world.rekeyAt) run.rekey();
      run.turn();
      if (turn === 1) run.jump();
    }
    run.end();
  } finally {
    run.close();
  }
}

/** RFC 4303 §3.4.3 with a set instead of a bitmap. */
class PlainWindow {
  readonly #size: number;
  readonly #seen: Set<number>;
  #top: number;

  constructor(size: number, top: number) {
    this.#size = size;
    this.#top = top;
    this.#seen = new Set([top]);
  }

  accepts(sequence: number): boolean {
    if (this.#size === 0) return true;
    if (sequence <= this.#top - this.#size || this.#seen.has(sequence)) return false;
    this.#seen.add(sequence);
    this.#top = Math.max(this.#top, sequence);
    return true;
  }
}

/** A packet inside and which SA carries it with what number. */
interface Carried {
  readonly octets: Uint8Array;
  readonly flow: string;
  readonly spi: number;
  readonly sequence: number;
}

class Run {
  readonly #world: World;
  readonly #sealers = [new NativeSealer(), new NativeSealer(backEnds.at(-1))] as const;
  readonly #a: EspGateway;
  readonly #b: EspGateway;
  readonly #wire: BadWire;
  readonly #traffic: Traffic;
  readonly #sent: Carried[] = [];
  readonly #windows = new Map<number, PlainWindow>();
  /** What must come out, and how many datagrams went in. */
  readonly #expected: Carried[] = [];
  #arrived = 0;
  #saA: EspSa | undefined;
  #spi = 0;
  #sequence = 0;

  constructor(world: World) {
    this.#world = world;
    const options = (offload: boolean) => ({
      ...{ outerMtu: 9000, tunMtu: 9000, mssClamp: false },
      ...(offload && { offload: { udp: true } }),
    });
    this.#a = new EspGateway({ ...options(world.superIn), sealer: this.#sealers[0] });
    this.#b = new EspGateway({ ...options(world.joinedOut), sealer: this.#sealers[1] });
    this.#wire = new BadWire(world.seed, world.faults);
    this.#traffic = new Traffic(world.seed + 1, world.superIn);
    this.#install(1);
  }

  /** The second SA sends; the first one still receives. */
  rekey(): void {
    this.#install(2);
  }

  /** Many packets are lost at once; some that were before them are still on their way. */
  jump(): void {
    const { jump, esn, replayWindow } = this.#world;
    // Without a window nobody can tell which high half a packet has that is very late.
    this.#sequence += esn && replayWindow === 0 ? Math.min(jump, 1000) : jump;
    this.#saA?.sequence.resumeAfter(Math.floor(this.#sequence / 2 ** 32), this.#sequence % 2 ** 32);
  }

  #install(id: number): void {
    const { transforms, esn, before, replayWindow, carried } = this.#world;
    const options: ChildSaOptions = {
      ...transforms,
      ...{ id, esn, replayWindow, udpEncapsulation: carried === 'udp' },
      ...{ spiIn: 0xc000_0000 + id, spiOut: 0xd000_0000 + id, rowIn: 2 * id, rowOut: 2 * id + 1 },
    };
    const parameters = childSa(options);
    const [out, into] = [testKeys(parameters, 2 * id), testKeys(parameters, 2 * id + 1)];
    const saA = this.#a.install(parameters, into, out);
    const saB = this.#b.install(mirrored(parameters), out, into);
    this.#spi = parameters.spiOut;
    this.#sequence = 0;
    if (esn) {
      const last = 2 ** 32 - 1 - before;
      saA.sequence.resumeAfter(0, last);
      saB.window.update(0, last);
      this.#sequence = last;
    }
    this.#saA = saA;
    this.#windows.set(this.#spi, new PlainWindow(replayWindow, this.#sequence));
  }

  /** Some packets of the device, and what arrives meanwhile. */
  turn(): void {
    const burst = this.#traffic.burst();
    for (const { flow, packets } of burst) {
      for (const octets of packets) {
        this.#sent.push({ octets, flow, spi: this.#spi, sequence: ++this.#sequence });
      }
    }
    this.#a.fromDevice(...burst.map(({ given }) => given));
    this.#wire.send(this.#a.sent.splice(0));
    this.#receive(this.#wire.arrivals());
  }

  end(): void {
    this.#receive(this.#wire.arrivals(true));
    const given = this.#b.delivered.map((octets, index) => ({
      octets,
      vnet: this.#world.joinedOut ? (this.#b.vnets[index] ?? NO_HEADER) : NO_HEADER,
    }));
    const arrived = given.flatMap(packetsOfWrite);
    const text = JSON.stringify(this.#world);
    assert.deepEqual(this.#a.drops(), {}, text);
    assert.equal(arrived.length, this.#expected.length, text);
    // Packets of one flow come in the order in which their datagrams came.
    const flows = new Map<string, string[]>();
    for (const octets of arrived) {
      const flow = flowOf(octets);
      flows.set(flow, [...(flows.get(flow) ?? []), hexOf(octets)]);
    }
    for (const flow of new Set(this.#expected.map((one) => one.flow))) {
      const expected = this.#expected.filter((one) => one.flow === flow);
      assert.deepEqual(
        flows.get(flow),
        expected.map(({ octets }) => hexOf(octets)),
        text,
      );
    }
    const dropped = this.#b.counters.drops.reduce((sum, count) => sum + count, 0);
    assert.equal(dropped + arrived.length, this.#arrived, text);
  }

  close(): void {
    for (const sealer of this.#sealers) sealer.close();
  }

  #receive(arrivals: readonly InFlight[]): void {
    const { carried, batch } = this.#world;
    const udp = carried === 'udp';
    for (const { number, packet } of arrivals) {
      const sent = this.#sent[number];
      assert.ok(sent !== undefined, 'no more datagrams than packets');
      assert.equal(readU32(packet.octets, 0), sent.spi);
      assert.equal(readU32(packet.octets, 4), sent.sequence % 2 ** 32);
      this.#arrived++;
      if (this.#windows.get(sent.spi)?.accepts(sent.sequence)) this.#expected.push(sent);
    }
    const groups = udp ? this.#wire.merged(arrivals) : arrivals.map((one) => [one]);
    const datagrams = groups.map((group) => datagramOf(group, carried));
    const arrival = udp ? UDP : carried === 'protocol 50, IPv4' ? RAW4 : RAW6;
    for (let at = 0; at < datagrams.length; at += batch) {
      this.#b.fromSocket(arrival, ...datagrams.slice(at, at + batch));
    }
  }
}

const NO_HEADER = new Uint8Array(10);
const hexOf = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

function datagramOf(group: readonly InFlight[], carried: World['carried']) {
  const [first] = group;
  assert.ok(first !== undefined);
  const octets = concatOctets(...group.map(({ packet }) => packet.octets));
  const { tos } = first.packet;
  if (carried === 'protocol 50, IPv4') {
    const ends = { source: '192.0.2.1', destination: '192.0.2.2' };
    return { octets: innerPacket({ ...ends, protocol: 50, upper: octets, trafficClass: tos }) };
  }
  const segment = group.length === 1 ? {} : { segment: first.packet.octets.length };
  return { octets, tos, ...segment };
}

/** Family, protocol and ports; nothing here has options. */
function flowOf(packet: Uint8Array): string {
  const six = packet[0]! >> 4 === 6;
  const upper = six ? 40 : 20;
  return `${six ? 6 : 4} ${packet[six ? 6 : 9]} ${hexOf(packet.slice(upper, upper + 4))}`;
}

/** What one read of the device gives, and the packets it stands for. */
interface Given {
  readonly given: DevicePacket;
  readonly flow: string;
  readonly packets: readonly Uint8Array[];
}

/** Streams of TCP and UDP that go on from burst to burst, and single packets between them. */
class Traffic {
  readonly #next: () => number;
  readonly #whole: boolean;
  readonly #streams: Stream[];
  #pings = 0;

  constructor(seed: number, whole: boolean) {
    this.#next = seededNumbers(seed);
    this.#whole = whole;
    this.#streams = Array.from({ length: 4 }, (_, index) => ({
      family: index % 2 === 0 ? 4 : 6,
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
      this.#next() < 0.1 ? [this.#ping()] : this.#part(),
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
    octets[24] = this.#pings >> 8;
    octets[25] = this.#pings++;
    return { given: { octets, vnet: NO_HEADER }, flow: flowOf(octets), packets: [octets] };
  }

  #below(end: number): number {
    return Math.floor(this.#next() * end);
  }
}
