import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import type { EspSa } from '../../src/esp/esp-sa.ts';
import type { EspTransforms } from '../../src/esp/esp-suite.ts';
import { readU32 } from '../../src/wire/field.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { backEnds } from '../support/back-ends.ts';
import { BadWire, type InFlight, type WireFaults } from '../support/bad-wire.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  mirrored,
  RAW4,
  RAW6,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { innerPacket } from '../support/inner-packets.ts';
import { describeNative } from '../support/native-addon.ts';
import { NativeSealer } from '../support/native-sealer.ts';
import { packetsOfWrite } from '../support/super-packets.ts';
import { flowOf, NO_HEADER, Traffic } from '../support/traffic-source.ts';

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
  /** Between two networks, or between two hosts of a family. */
  readonly mode: 'tunnel' | 'transport' | 'beet';
  readonly family: 4 | 6;
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
  mode: fc.constantFrom('tunnel', 'tunnel', 'transport', 'beet'),
  family: fc.constantFrom(4, 6),
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
    const family = world.mode === 'tunnel' ? undefined : world.family;
    this.#traffic = new Traffic(world.seed + 1, world.superIn, family);
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
      ...this.#ends(),
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

  #ends(): ChildSaOptions {
    const { mode, family } = this.#world;
    if (mode === 'tunnel') return {};
    const [local, remote, bits] =
      family === 4 ? ['10.1.0.10', '10.2.0.10', 32] : ['2001:db8:1::10', '2001:db8:2::10', 128];
    const [localTs, remoteTs] = [[selector(`${local}/${bits}`)], [selector(`${remote}/${bits}`)]];
    return { mode, localTs, remoteTs };
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
      flows.set(flow, [...(flows.get(flow) ?? []), this.#comparable(octets)]);
    }
    for (const flow of new Set(this.#expected.map((one) => one.flow))) {
      const expected = this.#expected.filter((one) => one.flow === flow);
      assert.deepEqual(
        flows.get(flow),
        expected.map(({ octets }) => this.#comparable(octets)),
        text,
      );
    }
    const dropped = this.#b.counters.drops.reduce((sum, count) => sum + count, 0);
    assert.equal(dropped + arrived.length, this.#arrived, text);
  }

  /** Between hosts the IPv4 header is made where the packet arrives, with DF and no number. */
  #comparable(octets: Uint8Array): string {
    if (this.#world.mode === 'tunnel' || octets[0] !== 0x45) return hexOf(octets);
    return hexOf(octets.slice().fill(0, 4, 8).fill(0, 10, 12));
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
