/**
 * A packet engine whose doors are arrays: what it sends, delivers and answers can be looked at,
 * and it seals with the reference sealer.
 */
import {
  encryptionAlgorithm,
  encryptionKeyOctets,
  integrityAlgorithm,
} from '../../src/crypto/algorithms.ts';
import { EncryptionId } from '../../src/crypto/transform.ts';
import {
  type Batch,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  STATUS_OK,
  VNET_HEADER_OCTETS,
  WORDS,
  Word,
} from '../../src/esp/batch.ts';
import type { TapOutlet } from '../../src/esp/captured-lot.ts';
import type { ClusterParameters } from '../../src/esp/cluster-share.ts';
import type { EspSa, EspSaParameters } from '../../src/esp/esp-sa.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import type { ForeignArrival, ForeignPacket } from '../../src/esp/foreign-packets.ts';
import type { HandOver } from '../../src/esp/hand-over.ts';
import type { Arrival } from '../../src/esp/inbound.ts';
import { PacketEngine } from '../../src/esp/packet-engine.ts';
import { DropReason, dropReasonName } from '../../src/events/drop-reason.ts';
import { createSharedCounters, SA_COUNTERS, saDropsOf } from '../../src/events/shared-counters.ts';
import type { InstalledChildSa } from '../../src/io/packet-loop-protocol.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import {
  type Endpoint,
  formatAddress,
  formatEndpoint,
  type IpAddress,
  ipAddress,
  parsePrefix,
  prefixRange,
} from '../../src/wire/address.ts';
import { writeU16 } from '../../src/wire/field.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { octetsOf } from './inner-packets.ts';
import { gathered, type ReferenceKeys, ReferenceSealer } from './reference-sealer.ts';
import { seededRandom } from './seeded-random.ts';

/** What the doors saw leave. */
export interface SentPacket {
  readonly octets: Uint8Array;
  readonly path: number;
  readonly tos: number;
  readonly flags: number;
}

/** What is put in front of an engine as if a socket had received it. */
export interface ArrivingPacket {
  readonly octets: Uint8Array;
  /** The device's header in front. */
  readonly vnet?: Uint8Array;
  /** Octets of each datagram where several came merged. */
  readonly segment?: number;
  readonly tos?: number;
  readonly status?: number;
  /** Where it came from and which address it was sent to; not known without them. */
  readonly from?: Endpoint;
  readonly to?: IpAddress;
}

/** Any of these instead of what `childSa` makes up. */
export type ChildSaOptions = Partial<EspSaParameters> & {
  readonly keysOut?: TestKeys;
  readonly keysIn?: TestKeys;
};

export interface TestKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

export const UDP: Arrival = { udp: true, family: 4 };
export const RAW4: Arrival = { udp: false, family: 4 };
export const RAW6: Arrival = { udp: false, family: 6 };

/** Seals and opens rows, as the native layer does. */
export interface TestSealer {
  readonly context: (keys: ReferenceKeys, seal: boolean) => number;
  readonly seal: (batch: Batch, count: number) => void;
  readonly open: (batch: Batch, count: number) => void;
}

export interface EspGatewayOptions {
  /** The reference without it. */
  readonly sealer?: TestSealer;
  readonly outerMtu?: number;
  readonly tunMtu?: number;
  readonly mssClamp?: boolean;
  /** Super-packets come from the device and go to it. */
  readonly offload?: { readonly udp: boolean };
  /** The way to another worker. */
  readonly handOver?: HandOver;
  /** In a cluster. */
  readonly lease?: () => boolean;
  /** Where copies of packets go once `engine.tap` began. */
  readonly tap?: TapOutlet;
}

export class EspGateway {
  readonly counters = createSharedCounters(16);
  readonly engine: PacketEngine;
  readonly sealer: TestSealer;
  readonly sent: SentPacket[] = [];
  /** The packets of `sent` before they were sealed. */
  readonly unsealed: Uint8Array[] = [];
  readonly delivered: Uint8Array[] = [];
  /** What stood in front of each packet that was delivered or answered. */
  readonly vnets: Uint8Array[] = [];
  /** What left without protection, and where to. */
  readonly bypassed: { readonly octets: Uint8Array; readonly to: string }[] = [];
  readonly answered: Uint8Array[] = [];
  readonly ike: Uint8Array[] = [];
  /** What was handed on to the node that has its SA. */
  readonly foreign: { readonly childSa: number; readonly packet: ForeignPacket }[] = [];
  /** What came for SAs that are not there. */
  readonly unknown: ForeignArrival[] = [];
  readonly pathMtuChanges: number[] = [];
  /** What the engine reported of its SAs, in words. */
  readonly reports: string[] = [];
  now: Instant = instant(1_000_000);
  /** What the next sends, seals and device writes answer. */
  sendStatus = STATUS_OK;
  sealStatus = STATUS_OK;
  deviceStatus = STATUS_OK;
  takesIke = true;
  takesForeign = true;
  wantsUnknown = false;
  /** Whether there are sockets for packets that pass unprotected. */
  bypasses = true;

  constructor(options: EspGatewayOptions = {}) {
    this.sealer = options.sealer ?? new ReferenceSealer();
    this.engine = new PacketEngine({
      counters: this.counters,
      mtu: { outer: options.outerMtu ?? 1500, tun: options.tunMtu ?? 9000 },
      mssClamp: options.mssClamp ?? true,
      random: seededRandom(1),
      ...(options.offload && { offload: options.offload }),
      ...(options.tap && { tap: options.tap }),
      ...(options.handOver && { handOver: options.handOver }),
      ...(options.lease && { lease: options.lease }),
      doors: {
        open: (count) => this.sealer.open(this.engine.inbound, count),
        deliver: (count) => this.#write(this.engine.inbound, count, this.delivered),
        seal: (count) => this.#seal(count),
        send: (count) => this.#send(count),
        bypass: (count) => this.#bypass(count),
        answer: (count) => this.#write(this.engine.answers, count, this.answered),
        ike: (row) => this.#takeIke(row),
        handOn: (childSa, packet) => {
          if (this.takesForeign) this.foreign.push({ childSa, packet });
          return this.takesForeign;
        },
        unknown: {
          wanted: () => this.wantsUnknown,
          take: (packet) => this.unknown.push(packet),
        },
      },
      reports: {
        pathMtuChanged: (sa) => this.pathMtuChanges.push(sa.innerMtu),
        outboundActivated: ({ parameters: { id } }) => this.reports.push(`activated ${id}`),
        limitReached: ({ parameters: { id } }, limit) => this.reports.push(`${limit} limit ${id}`),
        peerMoved: ({ parameters: { id } }, local, remote) =>
          this.reports.push(`moved ${id} ${formatEndpoint(local)} ${formatEndpoint(remote)}`),
        policyMismatch: ({ parameters: { id } }, packet, suppressed) =>
          this.reports.push(
            `mismatch ${id} ${formatAddress(packet.source)} ${formatAddress(packet.destination)} ` +
              `${packet.protocol} ${packet.sourcePort} ${packet.destinationPort} +${suppressed}`,
          ),
        sequenceWanted: ({ parameters: { id } }, { high, low }) =>
          this.reports.push(`wanted ${id} ${high} ${low}`),
        acquire: (policy, { local, remote, protocol, localPort, remotePort }) =>
          this.reports.push(
            `acquire ${policy} ${formatAddress(local)} ${formatAddress(remote)} ` +
              `${protocol} ${localPort} ${remotePort}`,
          ),
      },
    });
  }

  install(parameters: EspSaParameters, keysIn: TestKeys, keysOut: TestKeys): EspSa {
    const suite = espSuite(parameters);
    const { esn } = parameters;
    return this.engine.install(
      parameters,
      {
        contextIn: this.sealer.context({ suite, esn, ...keysIn }, false),
        contextOut: this.sealer.context({ suite, esn, ...keysOut }, true),
        path: parameters.id,
      },
      this.now,
    );
  }

  /** Runs packets through the outbound path, in batches as the loop would. */
  fromTun(...packets: readonly Uint8Array[]): void {
    this.fromDevice(...packets.map((octets) => ({ octets })));
  }

  /** As `fromTun`, with what stands in front. */
  fromDevice(...packets: readonly ArrivingPacket[]): void {
    const batch = this.engine.reads;
    for (let first = 0; first < packets.length; first += batch.size) {
      const some = packets.slice(first, first + batch.size);
      for (const [row, packet] of some.entries()) put(batch, row, packet);
      this.engine.readFromTun(some.length, this.now);
    }
  }

  /** Runs datagrams through the inbound path, in batches as the loop would. */
  fromSocket(arrival: Arrival, ...packets: readonly ArrivingPacket[]): void {
    const batch = this.engine.arrivals;
    for (let first = 0; first < packets.length; first += batch.size) {
      const some = packets.slice(first, first + batch.size);
      for (const [row, packet] of some.entries()) put(batch, row, packet);
      this.engine.received(some.length, arrival, this.now);
    }
  }

  /** Every drop so far, by name. */
  drops(): Readonly<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const [reason, count] of this.counters.drops.entries()) {
      if (count > 0) found[dropReasonName(reason)] = count;
    }
    return found;
  }

  dropped(name: keyof typeof DropReason): number {
    return this.counters.drops[DropReason[name]] ?? 0;
  }

  /** One counter of a row. */
  counter(row: number, column: number): number {
    return this.counters.sas[row * SA_COUNTERS + column] ?? 0;
  }

  /** What was dropped of a row's SA, by name. */
  saDrops(row: number): Readonly<Record<string, number>> {
    return saDropsOf(this.counters, row);
  }

  #seal(count: number): void {
    for (let row = 0; row < count; row++) {
      const context = this.engine.outbound.words[row * WORDS + Word.CONTEXT] ?? -1;
      if (context >= 0) this.unsealed.push(gathered(this.engine.outbound, row));
    }
    this.sealer.seal(this.engine.outbound, count);
    if (this.sealStatus !== STATUS_OK) setStatus(this.engine.outbound, count, this.sealStatus);
  }

  #send(count: number): void {
    const batch = this.engine.outbound;
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      const path = batch.words[at + Word.PATH] ?? -1;
      if (path < 0) continue;
      batch.words[at + Word.STATUS] = this.sendStatus;
      if (this.sendStatus !== STATUS_OK) continue;
      this.sent.push({
        octets: packetOf(batch, row),
        path,
        tos: batch.words[at + Word.TOS] ?? 0,
        flags: batch.words[at + Word.FLAGS] ?? 0,
      });
    }
  }

  #bypass(count: number): void {
    const batch = this.engine.outbound;
    if (!this.bypasses) return;
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      if (batch.words[at + Word.PATH] !== PATH_OF_ORIGIN) continue;
      batch.words[at + Word.STATUS] = this.sendStatus;
      if (this.sendStatus !== STATUS_OK) continue;
      const origin = batch.origins.slice(row * ORIGIN_OCTETS, (row + 1) * ORIGIN_OCTETS);
      const width = origin[Origin.FAMILY] === 4 ? 4 : 16;
      const to = origin.slice(Origin.DESTINATION, Origin.DESTINATION + width);
      this.bypassed.push({ octets: packetOf(batch, row), to: formatAddress(ipAddress(to)) });
    }
  }

  #write(batch: Batch, count: number, into: Uint8Array[]): void {
    for (let row = 0; row < count; row++) {
      if (batch.words[row * WORDS + Word.DROP] !== 0) continue;
      batch.words[row * WORDS + Word.STATUS] = this.deviceStatus;
      if (this.deviceStatus !== STATUS_OK) continue;
      into.push(joinedOf(batch, row));
      const offset = batch.words[row * WORDS + Word.OFFSET] ?? 0;
      this.vnets.push(batch.arena.slice(offset - VNET_HEADER_OCTETS, offset));
    }
  }

  #takeIke(row: number): boolean {
    if (this.takesIke) this.ike.push(packetOf(this.engine.inbound, row));
    return this.takesIke;
  }
}

/** A sensible Child SA; `spi` names both directions so that two gateways can be paired. */
export function childSa(options: ChildSaOptions = {}): EspSaParameters {
  return {
    id: 1,
    spiIn: 0xc000_0001,
    spiOut: 0xc000_0002,
    encr: { id: EncryptionId.AES_GCM_16, keyLength: 128 },
    mode: 'tunnel',
    esn: false,
    local: { address: address('192.0.2.1'), port: 4500 },
    remote: { address: address('192.0.2.2'), port: 4500 },
    udpEncapsulation: true,
    localTs: [selector('10.1.0.0/16'), selector('2001:db8:1::/48')],
    remoteTs: [selector('10.2.0.0/16'), selector('2001:db8:2::/48')],
    replayWindow: 64,
    copyDf: true,
    icmpErrors: true,
    copyEcn: true,
    copyDscp: 'out',
    priority: 0,
    nonFirstFragments: false,
    tfcPadding: 0,
    dummyPackets: 0,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
    rowIn: 0,
    rowOut: 1,
    ...options,
  };
}

/** Of an SA that this node of a cluster carries from the beginning. */
export const clusterParameters: ClusterParameters = {
  role: 'active',
  sid: 0xabcd,
  used: { high: 0, low: 0 },
  reserved: { high: 0, low: 0 },
  solo: false,
  edge: { high: 0, low: 0 },
  sampling: { every: 64, residue: 0 },
  foreign: 'discard',
};

/** The same Child SA as the peer sees it. */
export function mirrored(sa: EspSaParameters): EspSaParameters {
  return {
    ...sa,
    spiIn: sa.spiOut,
    spiOut: sa.spiIn,
    local: sa.remote,
    remote: sa.local,
    localTs: sa.remoteTs,
    remoteTs: sa.localTs,
  };
}

export function selector(prefix: string, more: Partial<TrafficSelector> = {}): TrafficSelector {
  const parsed = parsePrefix(prefix);
  if (parsed === undefined) throw new RangeError(`${prefix} is no prefix`);
  return { range: prefixRange(parsed), protocol: 0, startPort: 0, endPort: 65_535, ...more };
}

/** Keys of the right lengths, different for each `seed`. */
export function testKeys(sa: EspSaParameters, seed: number): TestKeys {
  const encryption = encryptionAlgorithm(sa.encr.id);
  const keyBits = sa.encr.keyLength ?? encryption?.keyLengths[0] ?? 0;
  const keyOctets = encryption === undefined ? 0 : encryptionKeyOctets(encryption, keyBits);
  const integrityOctets = (sa.integ && integrityAlgorithm(sa.integ.id)?.keyLength) ?? 0;
  const fill = (length: number, first: number): Uint8Array =>
    Uint8Array.from({ length }, (_, index) => (index * 7 + seed * 31 + first) & 0xff);
  return { encryption: fill(keyOctets, 1), integrity: fill(integrityOctets, 101) };
}

/** As a packet loop is told of it; both directions have one key. */
export function withKeys(parameters: EspSaParameters): InstalledChildSa {
  const { encryption, integrity } = testKeys(parameters, 1);
  return {
    ...parameters,
    encryptionKeyIn: encryption,
    integrityKeyIn: integrity,
    encryptionKeyOut: encryption,
    integrityKeyOut: integrity,
  };
}

/** Two gateways with one Child SA between them. */
export function espPair(
  options: ChildSaOptions = {},
  gateway: EspGatewayOptions = {},
): {
  readonly a: EspGateway;
  readonly b: EspGateway;
  readonly saA: EspSa;
  readonly saB: EspSa;
} {
  const parameters = childSa(options);
  const a = new EspGateway(gateway);
  const b = new EspGateway(gateway);
  const aToB = testKeys(parameters, 1);
  const bToA = testKeys(parameters, 2);
  const saA = a.install(parameters, bToA, aToB);
  const saB = b.install(mirrored(parameters), aToB, bToA);
  return { a, b, saA, saB };
}

function address(text: string): IpAddress {
  const octets = octetsOf(text);
  return { family: octets.length === 4 ? 4 : 6, octets };
}

function put(batch: Batch, row: number, packet: ArrivingPacket): void {
  const at = row * WORDS;
  const offset = batch.words[at + Word.OFFSET] ?? 0;
  batch.arena.fill(0, offset - VNET_HEADER_OCTETS, offset);
  batch.arena.set(packet.octets, offset);
  batch.words[at + Word.LENGTH] = packet.octets.length;
  if (packet.vnet) batch.arena.set(packet.vnet, offset - VNET_HEADER_OCTETS);
  batch.words[at + Word.SEGMENT] = packet.segment ?? 0;
  batch.words[at + Word.TOS] = packet.tos ?? 0;
  batch.words[at + Word.STATUS] = packet.status ?? STATUS_OK;
  const origin = batch.origins.subarray(row * ORIGIN_OCTETS, (row + 1) * ORIGIN_OCTETS).fill(0);
  if (packet.from === undefined || packet.to === undefined) return;
  origin[Origin.FAMILY] = packet.from.address.family;
  writeU16(origin, Origin.PORT, packet.from.port);
  origin.set(packet.from.address.octets, Origin.SOURCE);
  origin.set(packet.to.octets, Origin.DESTINATION);
}

function packetOf(batch: Batch, row: number): Uint8Array {
  const offset = batch.words[row * WORDS + Word.OFFSET] ?? 0;
  return batch.arena.slice(offset, offset + (batch.words[row * WORDS + Word.LENGTH] ?? 0));
}

/** With the octets of the rows it leads to. */
function joinedOf(batch: Batch, row: number): Uint8Array {
  const further = batch.words[row * WORDS + Word.NEXT] ?? 0;
  const own = packetOf(batch, row);
  return further === 0 ? own : concatOctets(own, joinedOf(batch, row + further));
}

function setStatus(batch: Batch, count: number, status: number): void {
  for (let row = 0; row < count; row++) {
    if ((batch.words[row * WORDS + Word.CONTEXT] ?? -1) >= 0) {
      batch.words[row * WORDS + Word.STATUS] = status;
    }
  }
}
