/**
 * Practice of the packet loop, before it says it is ready: packets go through a loop of its own, over a
 * device and a wire that are only memory.
 *
 * JavaScript is compiled as it turns out to be used. Without practice it would learn from the first
 * packets of peers, at several times the time of later ones, and a gateway that carries little would
 * stay slow for long. Bounded in time; what the practice counts and reports is nobody's.
 */
import { createSharedCounters } from '../events/shared-counters.ts';
import { type IpAddress, ipAddress } from '../wire/address.ts';
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
const ROUNDS = 4000;
const MOST_MS = 500;
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
  const { offload, mssClamp, tunMtu, outerMtu } = setup;
  const field = new PracticeField(addon);
  const closed = { natt6: undefined, esp4: undefined, esp6: undefined };
  const worker = new PacketWorker(
    {
      ...{
        counters: createSharedCounters(4),
        tun: field.tun,
        natt4: field.natt,
        nattPort: NATT_PORT,
      },
      ...{ offload, mssClamp, tunMtu, outerMtu, plain4: undefined, plain6: undefined, ...closed },
    },
    () => {},
    field,
  );
  worker.start();
  for (const sa of bothEnds()) worker.perform({ kind: 'install', sa });
  const { small, large } = practicePackets(offload);
  const end = now() + mostMilliseconds;
  for (let round = 0; round < rounds && now() < end; round++) {
    // One at a time is what a gateway sees that has little to do.
    for (const packet of small) field.pass([packet]);
    if (round % LARGE_EVERY !== 0) continue;
    for (const packet of large) field.pass([packet]);
    field.pass(small);
  }
  worker.perform({ kind: 'stop' });
  field.close();
  return field.delivered;
}

/** Two SAs in one loop: what the first seals comes back to the second, and the other way round. */
function bothEnds(): readonly InstalledChildSa[] {
  const [here, there] = [endpoint(HERE), endpoint(THERE)];
  const ours = { localTs: [everything(HERE)], remoteTs: [everything(THERE)] };
  const theirs = { localTs: ours.remoteTs, remoteTs: ours.localTs };
  const one = { id: 1, spiIn: SPI_HERE, spiOut: SPI_THERE, local: here, remote: there, ...ours };
  const other = {
    id: 2,
    spiIn: SPI_THERE,
    spiOut: SPI_HERE,
    local: there,
    remote: here,
    ...theirs,
  };
  return [
    { ...one, ...common(), rowIn: 0, rowOut: 1 },
    { ...other, ...common(), rowIn: 2, rowOut: 3 },
  ];
}

function common() {
  return {
    encr: { id: AES_GCM_16, keyLength: 128 },
    mode: 'tunnel',
    esn: false,
    encryptionKeyIn: new Uint8Array(AES_128_WITH_SALT),
    encryptionKeyOut: new Uint8Array(AES_128_WITH_SALT),
    integrityKeyIn: new Uint8Array(0),
    integrityKeyOut: new Uint8Array(0),
    udpEncapsulation: true,
    replayWindow: 64,
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    priority: 0,
    nonFirstFragments: false,
    tfcPadding: 0,
    dummyPackets: 0,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
  } as const;
}

function endpoint(octets: Uint8Array) {
  return { address: ipAddress(octets), port: NATT_PORT };
}

function everything(octets: Uint8Array) {
  const address: IpAddress = ipAddress(octets);
  return { range: { first: address, last: address }, protocol: 0, startPort: 0, endPort: 65_535 };
}

const AES_GCM_16 = 20;
const AES_128_WITH_SALT = 20;
