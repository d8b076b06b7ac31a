/**
 * Practice of the packet loop, before it says it is ready: packets go through two loops of its own, over
 * devices and wires that are only memory.
 *
 * JavaScript is compiled as it turns out to be used. Without practice it would learn from the first
 * packets of peers, at several times the time of later ones, and a gateway that carries little would
 * stay slow for long. Two loops, and packets of many kinds, because what is compiled for one of a
 * kind is thrown away when another comes along. Bounded in time; what the practice counts and reports is
 * nobody's.
 */
import { createSharedCounters } from '../events/shared-counters.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { type IpAddress, ipAddress, parsePrefix, prefixRange } from '../wire/address.ts';
import { now } from './clock.ts';
import { type Native, native } from './native.ts';
import type { InstalledChildSa, PacketLoopSetup } from './packet-loop-protocol.ts';
import { PacketWorker } from './packet-worker.ts';
import { PracticeField } from './practice-field.ts';
import {
  HERE,
  NATT_PORT,
  practicePackets,
  SPI_HERE,
  SPI_THERE,
  THERE,
} from './practice-packets.ts';

/** Enough for what each packet uses to be compiled well. */
const ROUNDS = 600;
const MOST_MS = 300;
/** One round in so many has large packets, and several small ones at once. */
const LARGE_EVERY = 25;

export interface PracticeOptions {
  readonly setup: Pick<PacketLoopSetup, 'offload' | 'mssClamp' | 'tunMtu' | 'outerMtu'>;
  readonly addon?: Native;
  readonly rounds?: number;
  readonly mostMilliseconds?: number;
}

/** Answers how many packets went through, there and back. */
export function practise(options: PracticeOptions): number {
  const { setup, addon = native(), rounds = ROUNDS, mostMilliseconds = MOST_MS } = options;
  const courts = [new Court(setup, addon), new Court(setup, addon)];
  const { small, large, strangers } = practicePackets(setup.offload);
  const end = now() + mostMilliseconds;
  for (let round = 0; round < rounds && now() < end; round++) {
    for (const { field } of courts) {
      // One at a time is what a gateway sees that has little to do.
      for (const packet of small) field.pass([packet]);
      if (round % LARGE_EVERY !== 0) continue;
      for (const packet of large) field.pass([packet]);
      field.receive(strangers);
      field.pass(small);
    }
  }
  return courts.reduce((sum, court) => sum + court.close(), 0);
}

/** A loop that has both ends of its SAs. */
class Court {
  readonly field: PracticeField;
  readonly #worker: PacketWorker;

  constructor({ offload, mssClamp, tunMtu, outerMtu }: PracticeOptions['setup'], addon: Native) {
    this.field = new PracticeField(addon);
    const { tun, natt } = this.field;
    const closed = { natt6: undefined, esp4: undefined, esp6: undefined };
    this.#worker = new PacketWorker(
      {
        ...{ counters: createSharedCounters(8), tun, natt4: natt, nattPort: NATT_PORT, ...closed },
        ...{ offload, mssClamp, tunMtu, outerMtu, plain4: undefined, plain6: undefined },
      },
      () => {},
      this.field.layer,
    );
    this.#worker.start();
    for (const sa of bothEnds()) this.#worker.perform({ kind: 'install', sa });
  }

  /** Answers how many packets came out. */
  close(): number {
    this.#worker.perform({ kind: 'stop' });
    this.field.close();
    return this.field.delivered;
  }
}

/** SAs that are each other's peers: what one seals comes back to the other. */
function bothEnds(): readonly InstalledChildSa[] {
  const [here, there] = [endpoint(HERE), endpoint(THERE)];
  const [west, east] = [
    networks('10.1.0.0/16', '2001:db8:1::/48'),
    networks('10.2.0.0/16', '2001:db8:2::/48'),
  ];
  const [oneHere, oneThere] = [networks('10.3.0.1/32'), networks('10.4.0.0/24')];
  const ends = { local: here, remote: there };
  const others = { local: there, remote: here };
  const first = { spiIn: SPI_HERE, spiOut: SPI_THERE, ...ends };
  const second = { spiIn: SPI_THERE, spiOut: SPI_HERE, ...others };
  const third = { spiIn: SPI_HERE + 16, spiOut: SPI_THERE + 16, ...ends };
  const fourth = { spiIn: SPI_THERE + 16, spiOut: SPI_HERE + 16, ...others };
  return [
    { id: 1, ...first, ...common(1), localTs: west, remoteTs: east },
    { id: 2, ...second, ...common(2), localTs: east, remoteTs: west },
    { id: 3, ...third, ...common(3), localTs: ports(oneHere), remoteTs: oneThere },
    { id: 4, ...fourth, ...common(4), localTs: oneThere, remoteTs: ports(oneHere) },
  ];
}

function common(id: number) {
  return {
    encr: { id: AES_GCM_16, keyLength: 128 },
    mode: 'tunnel',
    esn: id > 2,
    encryptionKeyIn: new Uint8Array(AES_128_WITH_SALT),
    encryptionKeyOut: new Uint8Array(AES_128_WITH_SALT),
    integrityKeyIn: new Uint8Array(0),
    integrityKeyOut: new Uint8Array(0),
    udpEncapsulation: true,
    replayWindow: 64,
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    icmpErrors: true,
    priority: 0,
    nonFirstFragments: false,
    tfcPadding: 0,
    dummyPackets: 0,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
    rowIn: id * 2 - 2,
    rowOut: id * 2 - 1,
  } as const;
}

function endpoint(octets: Uint8Array): { readonly address: IpAddress; readonly port: number } {
  return { address: ipAddress(octets), port: NATT_PORT };
}

function networks(...prefixes: readonly string[]): readonly TrafficSelector[] {
  return prefixes.flatMap((text) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined) throw new RangeError(`${text} is no prefix`);
    return [{ range: prefixRange(prefix), protocol: 0, startPort: 0, endPort: 65_535 }];
  });
}

/** UDP, and some of its ports. */
function ports(selectors: readonly TrafficSelector[]): readonly TrafficSelector[] {
  return selectors.map((selector) => ({ ...selector, protocol: UDP, startPort: 1, endPort: 9999 }));
}

const AES_GCM_16 = 20;
const AES_128_WITH_SALT = 20;
const UDP = 17;
