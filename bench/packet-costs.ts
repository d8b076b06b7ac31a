/**
 * What a packet costs a node of a cluster in user space, by whose its SA is: the packet engine with real ciphers on this
 * thread, no socket and no device.
 *
 * Packets are sealed before, and copied to where a socket would put them before the time is taken; a figure is
 * the middle one of all batches. What the kernel's filter drops costs user space nothing, and what it costs the
 * kernel is not looked at.
 */
import { BusCounters } from '../src/cluster/bus/bus-counters.ts';
import { ClusterKey, KeyRing } from '../src/cluster/bus/cluster-key.ts';
import { Mesh, type MeshAction } from '../src/cluster/bus/mesh.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import { ORIGIN_OCTETS, Origin, STATUS_OK, WORDS, Word } from '../src/esp/batch.ts';
import type { ClusterParameters } from '../src/esp/cluster-share.ts';
import { espSuite } from '../src/esp/esp-suite.ts';
import type { ForeignPacket, HandOn } from '../src/esp/foreign-packets.ts';
import { PacketEngine } from '../src/esp/packet-engine.ts';
import type { PacketReports } from '../src/esp/packet-reports.ts';
import { createSharedCounters, type SharedCounters } from '../src/events/shared-counters.ts';
import { encodeForward } from '../src/gateway/cluster/forward-message.ts';
import { now } from '../src/io/clock.ts';
import { native } from '../src/io/native.ts';
import { randomBytes } from '../src/io/random.ts';
import {
  childSa,
  clusterParameters,
  EspGateway,
  mirrored,
  testKeys,
  UDP,
} from '../test/support/esp-gateway.ts';
import { udpPacket } from '../test/support/inner-packets.ts';
import { NativeSealer } from '../test/support/native-sealer.ts';
import type { PacketCosts } from './cluster-sync-report.ts';
import { spread } from './statistics.ts';

const INNER_OCTETS = 1400;
const BATCH = 32;
const BATCHES = 400;
const EVERY = 64;
/** Inner and outer headers of the sender's packets stay as they are. */
const UDP_AND_IP = 28;

const SA = childSa({ replayWindow: 1024 });

export async function measurePacketCosts(): Promise<PacketCosts> {
  const packets = sealedPackets(BATCH * BATCHES);
  const all = { every: 1, residue: 0 };
  const none = { every: 0, residue: 0 };
  const bus = new BusSender();
  return {
    octets: packets[0]?.length ?? 0,
    own: await cost(packets, { role: 'active' }),
    sampled: await cost(packets, { role: 'passive', sampling: all }),
    handedOn: await cost(packets, { role: 'passive', sampling: none, foreign: 'hand-on' }, bus),
    passedOver: await cost(packets, { role: 'passive', sampling: none }),
    every: EVERY,
  };
}

/** Nanoseconds for a packet. */
async function cost(
  packets: readonly Uint8Array[],
  cluster: Partial<ClusterParameters>,
  bus?: BusSender,
): Promise<number> {
  const receiver = new Receiver({ ...clusterParameters, ...cluster }, bus);
  const nanoseconds: number[] = [];
  for (let first = 0; first < packets.length; first += BATCH) {
    nanoseconds.push(receiver.receive(packets.slice(first, first + BATCH)) / BATCH);
    await new Promise(setImmediate);
  }
  receiver.close();
  return spread(nanoseconds).median;
}

/** What the peer sends. */
function sealedPackets(count: number): readonly Uint8Array[] {
  const sealer = new NativeSealer(library());
  const peer = new EspGateway({ sealer });
  const keys = testKeys(SA, 1);
  peer.install(mirrored(SA), keys, keys);
  const inner = udpPacket('10.2.0.1', '10.1.0.1', INNER_OCTETS - UDP_AND_IP);
  for (let sent = 0; sent < count; sent++) peer.fromTun(inner);
  sealer.close();
  return peer.sent.map(({ octets }) => octets);
}

/** A node's packet engine. */
class Receiver {
  readonly #sealer = new NativeSealer(library());
  readonly #counters: SharedCounters = createSharedCounters(4);
  readonly #engine: PacketEngine;
  readonly #handOn: ForeignPacket[] = [];
  readonly #bus: BusSender | undefined;

  constructor(cluster: ClusterParameters, bus: BusSender | undefined) {
    this.#bus = bus;
    const handOn: HandOn = (_, packet) => {
      this.#handOn.push(packet);
      return true;
    };
    this.#engine = new PacketEngine({
      counters: this.#counters,
      mtu: { outer: 1500, tun: 9000 },
      ...{ mssClamp: true, random: randomBytes, reports: NOBODY },
      doors: {
        open: (count) => this.#sealer.open(this.#engine.inbound, count),
        deliver: (count) => this.#deliver(count),
        ...{ seal: nothing, send: nothing, bypass: nothing, answer: nothing, ike: () => false },
        ...(bus && { handOn }),
      },
    });
    const keys = testKeys(SA, 1);
    const contextIn = this.#sealer.context({ suite: espSuite(SA), esn: SA.esn, ...keys }, false);
    const contextOut = this.#sealer.context({ suite: espSuite(SA), esn: SA.esn, ...keys }, true);
    this.#engine.install({ ...SA, cluster }, { contextIn, contextOut, path: 1 }, now());
  }

  /** Nanoseconds for all of them. */
  receive(packets: readonly Uint8Array[]): number {
    const { arrivals } = this.#engine;
    for (const [row, octets] of packets.entries()) {
      const at = row * WORDS;
      arrivals.arena.set(octets, arrivals.words[at + Word.OFFSET] ?? 0);
      arrivals.words[at + Word.LENGTH] = octets.length;
      arrivals.words[at + Word.SEGMENT] = 0;
      arrivals.words[at + Word.TOS] = 0;
      arrivals.words[at + Word.STATUS] = STATUS_OK;
      arrivals.origins[row * ORIGIN_OCTETS + Origin.FAMILY] = 4;
    }
    const at = now();
    const start = process.hrtime.bigint();
    this.#engine.received(packets.length, UDP, at);
    if (this.#bus) this.#bus.handOn(this.#handOn.splice(0));
    return Number(process.hrtime.bigint() - start);
  }

  close(): void {
    this.#sealer.close();
  }

  #deliver(count: number): void {
    const { words } = this.#engine.inbound;
    for (let at = 0; at < count * WORDS; at += WORDS) words[at + Word.STATUS] = STATUS_OK;
  }
}

/** Two nodes that speak to one another: FORWARD, sealed; what the other one makes of it is not timed. */
class BusSender {
  readonly #meshes = [1, 2].map(
    (local) =>
      new Mesh<number>({
        ...{
          local,
          peers: [3 - local],
          paths: 1,
          random: randomBytes,
          counters: new BusCounters(),
        },
        ring: new KeyRing(new ClusterKey(new SecretBytes(new Uint8Array(32).fill(9)))),
      }),
  );

  constructor() {
    for (let turns = 0; turns < TURNS; turns++) {
      for (const [index, mesh] of this.#meshes.entries()) {
        const kind = turns === 0 ? 'start' : 'time';
        this.#carry(index, mesh.handle({ kind }, now()));
      }
    }
    if (this.#of(0).connected.length === 0) throw new Error('two nodes do not come together');
  }

  handOn(packets: readonly ForeignPacket[]): void {
    const mesh = this.#of(0);
    const at = now();
    for (const packet of packets) {
      if (packet.kind !== 'arrival') continue;
      const message = encodeForward({ hops: 0, packet });
      mesh.handle({ kind: 'message', to: 2, message, delivery: 'expendable', tag: 0 }, at);
    }
    const sent = mesh.handle({ kind: 'time' }, at);
    // The other one says what it has seen, so that there is room for more.
    setImmediate(() => this.#carry(0, sent));
  }

  #carry(from: number, actions: readonly MeshAction<number>[]): void {
    for (const action of actions) {
      if (action.kind !== 'send') continue;
      const { octets } = action;
      this.#carry(
        1 - from,
        this.#of(1 - from).handle({ kind: 'datagram', path: 0, octets }, now()),
      );
    }
  }

  #of(index: number): Mesh<number> {
    const mesh = this.#meshes[index];
    if (!mesh) throw new RangeError(`mesh ${index}`);
    return mesh;
  }
}

function nothing(): void {}

/** The one that seals packets faster, where it is there. */
function library(): 'ipsec-mb' | 'evp' {
  const there = native().backEnds();
  return there.some((one) => one.name === 'ipsec-mb' && 'version' in one) ? 'ipsec-mb' : 'evp';
}

const NOBODY: PacketReports = {
  pathMtuChanged: nothing,
  outboundActivated: nothing,
  limitReached: nothing,
  peerMoved: nothing,
  policyMismatch: nothing,
  sequenceWanted: nothing,
  acquire: nothing,
};
/** Datagrams back and forth until a session is up. */
const TURNS = 10;
