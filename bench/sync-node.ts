/**
 * A node of a cluster without its packet path: the IKE engine, the node of `gateway/cluster`, and UDP sockets on
 * loopback. One clock, one thread, as in the gateway.
 */
import { BusCounters } from '../src/cluster/bus/bus-counters.ts';
import { ClusterKey, KeyRing } from '../src/cluster/bus/cluster-key.ts';
import type { ClusterSettings, LeaseTimings } from '../src/cluster/cluster-settings.ts';
import { DEFAULT_SEGMENTS, segmentHash, sourceSeed } from '../src/cluster/segment-hash.ts';
import { sidLayout, sidOf } from '../src/cluster/sid.ts';
import { loadConfig } from '../src/config/config.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import {
  ClusterNode,
  type ClusterNodeAction,
  type ClusterNodeInput,
} from '../src/gateway/cluster/cluster-node.ts';
import { ClusterSpis } from '../src/gateway/cluster-spis.ts';
import type { Action } from '../src/ike/action.ts';
import { IkeEndpoint } from '../src/ike/endpoint.ts';
import { DEFAULT_IKE_SETTINGS } from '../src/ike/settings.ts';
import type { ChildSequences } from '../src/ike/snapshot.ts';
import { now } from '../src/io/clock.ts';
import type { BusPath } from '../src/io/path-sockets.ts';
import { PathSockets } from '../src/io/path-sockets.ts';
import { randomBytes } from '../src/io/random.ts';
import { AddressPools } from '../src/ipsec/address-pools.ts';
import { IvPartition } from '../src/ipsec/iv-partition.ts';
import { Pad } from '../src/ipsec/pad.ts';
import { ipAddress } from '../src/wire/address.ts';
import { clientsConf } from './load-responder.ts';

export interface SyncNodeSetup {
  readonly self: number;
  /** The UDP port of each node, the first one's first. */
  readonly ports: readonly number[];
  /** Which start of this node it is. */
  readonly boot: number;
}

/** What became of an action's cause: a message that waited leaves for an acknowledgement, or because it is late. */
export type Cause = ClusterNodeInput['kind'];

const SEED = 0x5eed;
const SEGMENTS = Array.from({ length: DEFAULT_SEGMENTS }, (_, segment) => segment);

export class SyncNode {
  readonly node: ClusterNode;
  readonly engine: IkeEndpoint;
  /** What the IKE engine wants done. */
  onIke: (action: Action, cause: Cause) => void = () => {};
  onEvent: () => void = () => {};
  readonly #setup: SyncNodeSetup;
  readonly #counters = new BusCounters();
  #sockets: PathSockets | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(setup: SyncNodeSetup) {
    const { self, ports, boot } = setup;
    const secret = new SecretBytes(new Uint8Array(32).fill(9));
    const hash = segmentHash(DEFAULT_SEGMENTS, SEED);
    this.#setup = setup;
    const engine: IkeEndpoint = new IkeEndpoint({
      random: randomBytes,
      pad: clientsPad(),
      pools: new AddressPools(),
      settings: { ...DEFAULT_IKE_SETTINGS, cookieThreshold: NEVER, maxIkeSas: NEVER },
      traffic: { lastInbound: () => undefined, lastOutbound: () => undefined },
      keyLog: false,
      replicated: true,
      spis: new ClusterSpis({
        ...{ hash, random: randomBytes, sourceSeed: sourceSeed(secret) },
        own: () => SEGMENTS.filter((segment) => this.node.coordinator.owns(segment)),
      }),
      epochOf: (spi) => this.node.epochOf(spi),
      sequences: () => SEQUENCES,
      ivs: new IvPartition(sidOf(sidLayout(ports.length), self, boot)),
    });
    this.engine = engine;
    this.node = new ClusterNode({
      settings: settingsOf(self, ports.length),
      life: { boot, epochFloor: 0, nonce: self * 1000 + boot },
      mesh: {
        ...{ paths: 1, random: randomBytes, counters: this.#counters },
        ring: new KeyRing(new ClusterKey(secret)),
      },
      ...{ hash, engine, rekeysPerSecond: 200, now: now() },
    });
  }

  /** Binds its port and says hello. */
  async start(): Promise<void> {
    const { self, ports } = this.#setup;
    const end = (node: number) => ({ address: loopbackOf(node), port: ports[node - 1] ?? 0 });
    const others = ports.map((_, index) => index + 1).filter((node) => node !== self);
    const path: BusPath = {
      local: end(self),
      peers: new Map(others.map((node) => [node, end(node)])),
    };
    this.#sockets = await PathSockets.open({
      paths: [path],
      counters: this.#counters,
      onDatagram: (at, octets) => this.give({ kind: 'datagram', path: at, octets }),
    });
    this.give({ kind: 'start' });
  }

  /** Whether this node has all that others have. */
  get isSynced(): boolean {
    return !this.node.coordinator.demotion.has('boot');
  }

  /** Counters of the bus, by name. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counters.read();
  }

  give(input: ClusterNodeInput): void {
    for (const action of this.node.handle(input, now())) this.#perform(action, input.kind);
    this.#turn ??= setImmediate(() => this.#look());
  }

  #look(): void {
    this.#turn = undefined;
    const wait = this.node.nextDeadline() - now();
    clearTimeout(this.#timer);
    if (wait <= 0) this.give({ kind: 'time' });
    else this.#timer = setTimeout(() => this.#look(), Math.ceil(wait));
  }

  #perform(action: ClusterNodeAction, cause: Cause): void {
    if (action.kind === 'send') this.#sockets?.send(action.peer, action.path, action.octets);
    else if (action.kind === 'ike') this.onIke(action.action, cause);
    else if (action.kind === 'emit') this.onEvent();
    else if (action.kind === 'freeze') {
      const { batch } = action;
      setImmediate(() => this.give({ kind: 'frozen', batch }));
    }
  }
}

/** All segments are the first node's: the others follow, and take nothing over. */
function settingsOf(self: number, count: number): ClusterSettings {
  return {
    self,
    members: Array.from({ length: count }, (_, index) => {
      return { node: index + 1, name: `n${index + 1}`, weight: index === 0 ? 1 : 0 };
    }),
    segments: DEFAULT_SEGMENTS,
    timings: PATIENT_TIMINGS,
    alone: 'take',
    preempt: true,
    advbase: 1,
    advskew: 0,
    place: () => SEGMENTS.map(() => 1),
    configuration: [],
    capabilities: [],
  };
}

function clientsPad(): Pad {
  const noFiles = () => {
    throw new Error('the clients include no files');
  };
  const { connections, secrets } = loadConfig(clientsConf, 'clients.conf', noFiles);
  const pad = new Pad();
  for (const connection of connections) pad.load(connection);
  for (const secret of secrets) pad.loadShared(secret);
  return pad;
}

function loopbackOf(node: number) {
  return ipAddress(Uint8Array.of(127, 0, 0, node));
}

const NEVER = 1_000_000;

/** What the packet path would say. */
const SEQUENCES: ChildSequences = {
  outboundReserved: { high: 0, low: 1024 },
  inboundEdge: { high: 0, low: 512 },
  ...{ octetsIn: 500_000, packetsIn: 512, octetsOut: 500_000, packetsOut: 512 },
};

/**
 * Longer than by default: a busy machine shall not measure take-overs. A node that starts listens for so long as well,
 * while it is told everything.
 */
const PATIENT_TIMINGS: LeaseTimings = { heartbeat: 100, lease: 1500, takeOver: 2000, drift: 0.1 };
