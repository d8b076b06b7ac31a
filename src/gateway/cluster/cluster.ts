/**
 * This process as a node of a cluster: carries out what `ClusterNode` wants, on the network, in the packet
 * loop and on disk.
 *
 *   nodes ─► paths ───────┐                     ┌─► paths: datagrams
 *   gateway ─► IKE inputs ┼─► node ─► actions ──┼─► gateway: what IKE wants done
 *   packet loop ──────────┘                     └─► packet loop: leases, numbers, Child SAs; state file
 *
 * Decides nothing about who has what.
 */
import type { Segment, Sid } from '../../cluster/ballot.ts';
import { BusCounters } from '../../cluster/bus/bus-counters.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import { type BusMessage, MessageType } from '../../cluster/bus/message.ts';
import { EPOCH_STEP } from '../../cluster/coordinator.ts';
import type { ClusterEvent as NodeEvent } from '../../cluster/coordinator-action.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { PinnedRange } from '../../cluster/pinned-ranges.ts';
import { ClusterPools } from '../../cluster/pools/cluster-pools.ts';
import { samplingOf } from '../../cluster/segment-filter.ts';
import {
  jhash,
  type SegmentHash,
  scaled,
  segmentOfSpi,
  sourceSeed,
} from '../../cluster/segment-hash.ts';
import { sidLayout, sidOf } from '../../cluster/sid.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { ClusterEvent } from '../../events/cluster-event.ts';
import { EdgeDigest } from '../../events/edge-digest.ts';
import type { Level } from '../../events/event.ts';
import { SendLease } from '../../events/send-lease.ts';
import type { SharedCounters } from '../../events/shared-counters.ts';
import type { Action, Input } from '../../ike/action.ts';
import type { IkeEnvironment } from '../../ike/turn.ts';
import { isIkeAuthResponse } from '../../ike/write-ahead.ts';
import { now } from '../../io/clock.ts';
import type { ClusterReport } from '../../io/cluster-protocol.ts';
import { Nft } from '../../io/nft.ts';
import { NftSets } from '../../io/nft-sets.ts';
import { NodeState, NodeStateError } from '../../io/node-state.ts';
import type { PacketLoopsCluster } from '../../io/packet-loops-cluster.ts';
import { PathSockets } from '../../io/path-sockets.ts';
import { randomBytes } from '../../io/random.ts';
import { Rtnetlink } from '../../io/rtnetlink.ts';
import { IvPartition } from '../../ipsec/iv-partition.ts';
import type { ControlOutcome } from '../../vici/control.ts';
import type { IpAddress } from '../../wire/address.ts';
import { readU32 } from '../../wire/field.ts';
import { earliest, type Instant, instant } from '../../wire/instant.ts';
import type { ChildSas } from '../child-sas.ts';
import type { ClusterMode } from '../cluster-mode.ts';
import { ClusterSpis } from '../cluster-spis.ts';
import type { CounterRows } from '../counter-rows.ts';
import { AddressGroups } from './address-groups.ts';
import {
  ClusterNode,
  type ClusterNodeAction,
  type ClusterNodeInput,
  type ClusterOrder,
} from './cluster-node.ts';
import type { ClusterOperations } from './cluster-operations.ts';
import { ClusteredChildSas } from './clustered-child-sas.ts';
import { Forwarding } from './forwarding.ts';
import type { MirroredEngine } from './ike-mirror-action.ts';
import { KeptPools } from './kept-pools.ts';
import { busPaths, hashOf, keyRing, nodeSettings } from './node-settings.ts';
import { OperatedAddresses } from './operated-addresses.ts';
import { OperatedCluster } from './operated-cluster.ts';
import { OwnSegments } from './own-segments.ts';
import { SharedAddresses } from './shared-addresses.ts';
import { StrayPackets } from './stray-packets.ts';
import { tokenSecrets } from './token-secrets.ts';

export interface ClusterParts {
  readonly config: ClusterConfig;
  readonly counters: Pick<SharedCounters, 'sas'>;
  readonly rows: CounterRows;
  readonly childSas: () => Pick<ChildSas, 'install' | 'setOutbound'>;
  readonly packetLoops: () => PacketLoopsCluster | undefined;
  /** The ports of our sockets, without and with the non-ESP marker. */
  readonly ports: { readonly ike: number; readonly natT: number };
  /** What the IKE engine wants done, in order. */
  readonly perform: (actions: readonly Action[]) => void;
  /** This node has segments that it did not have. */
  readonly took: () => void;
  readonly say: (level: Level, what: string) => void;
  readonly emit: (event: ClusterEvent) => void;
  /** Settles when the Child SA is replaced or will not be. */
  readonly rekey: (childSaId: number) => Promise<ControlOutcome>;
  /** The section as it is written now; throws what is wrong with it. Unset = there is nothing to read. */
  readonly reload?: () => ClusterConfig | undefined;
  /** This process cannot be a node any more. */
  readonly failed: (error: Error) => void;
}

/** How long a node that ends waits until others have what it has. */
const LEAVE_MS = 3000;
/** What was sent last is on its way then. */
const LAST_WORDS_MS = 20;

export class Cluster implements ClusterMode {
  readonly sid: Sid;
  readonly lease = new SendLease();
  #leaseUntil: Instant = instant(0);
  readonly childSas: ClusteredChildSas;
  readonly counters = new BusCounters();
  /** The pools of all nodes. */
  readonly pools: ClusterPools;
  readonly #keptPools: KeptPools;
  readonly #parts: ClusterParts;
  readonly #hash: SegmentHash;
  readonly #state: NodeState;
  readonly #sourceSeed: number;
  readonly #groups: AddressGroups;
  readonly #own = new OwnSegments();
  readonly #forwarding: Forwarding;
  readonly #strays: StrayPackets;
  readonly #listeners = new Map<number, (from: NodeId, message: BusMessage) => void>();
  #node: ClusterNode | undefined;
  #operated: OperatedCluster | undefined;
  #sockets: PathSockets | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #digests: NodeJS.Timeout | undefined;
  #tokens: NodeJS.Timeout | undefined;
  #rtnetlink: Rtnetlink | undefined;
  #addresses: SharedAddresses | undefined;
  readonly #sets = new NftSets();
  #drained: (() => void) | undefined;
  #isClosed = false;

  /** Counts a start of this node. Throws `NodeStateError`. */
  constructor(parts: ClusterParts) {
    const { config, rows, counters, childSas, packetLoops } = parts;
    const { self, nodes, state, mode, replay, secrets } = config;
    this.#parts = parts;
    this.#hash = hashOf(config);
    this.#groups = new AddressGroups(config);
    const [secret] = secrets;
    if (!secret) throw new RangeError('a cluster without a key');
    this.#sourceSeed = sourceSeed(secret);
    this.#state = NodeState.begin(state);
    const highest = Math.max(...nodes.map(({ id }) => id));
    this.sid = sidOf(sidLayout(highest), self, this.#state.boot);
    this.pools = new ClusterPools({
      hash: this.#hash,
      self,
      nodes: nodes.map(({ id }) => id),
      sid: this.sid,
      random: randomBytes,
    });
    this.#keptPools = new KeptPools(this.pools, `${state}.pools`, parts.say);
    const every = mode === 'active-active' ? replay.sampling || EVERY : 0;
    this.childSas = new ClusteredChildSas({
      sid: this.sid,
      sampling: samplingOf(self, every),
      window: replay.takeover,
      segmentOf: (spiIn) => segmentOfSpi(spiIn, this.#hash),
      isSolo: () => (this.#node?.coordinator.view.length ?? 0) === 0,
      digest: new EdgeDigest(counters),
      rows,
      install: (childSa, cluster) => childSas().install(childSa, cluster),
      setOutbound: (id, outbound) => childSas().setOutbound(id, outbound),
      packetLoops,
      changed: () => this.#addresses?.pinned(() => this.#pinned()),
    });
    this.#forwarding = new Forwarding({
      self,
      hash: this.#hash,
      sourceSeed: this.#sourceSeed,
      groups: this.#groups,
      view: {
        owns: (segment) => this.#own.has(segment),
        ownerOf: (segment) => this.#node?.coordinator.ownerOf(segment)?.node,
        isHeard: (node) => this.#node?.coordinator.view.includes(node) === true,
        isFollowed: (spiIn) => this.childSas.role(spiIn) === 'passive',
      },
    });
    this.#strays = new StrayPackets({
      forwarding: this.#forwarding,
      now,
      spiIn: (id) => this.childSas.byId(id)?.spiIn,
      packetLoops,
      tell: (to, message) => this.tell(to, message, 'expendable'),
      ike: (input) => this.#give({ kind: 'ike', input }),
      waits: () => this.#lookSoon(),
    });
  }

  /** What the IKE engine of a node has besides. */
  get environment(): Pick<
    IkeEnvironment,
    'ivs' | 'replicated' | 'spis' | 'epochOf' | 'sequences' | 'heardSequences'
  > {
    return {
      ivs: new IvPartition(this.sid),
      replicated: true,
      spis: new ClusterSpis({
        hash: this.#hash,
        sourceSeed: this.#sourceSeed,
        groups: this.#groups,
        random: randomBytes,
        own: () => [...this.#own.all],
      }),
      epochOf: (spi) => this.#node?.epochOf(spi) ?? 0,
      sequences: (id) => this.childSas.sequences(id),
      heardSequences: (spiIn, then) => then && this.#node?.sequencesSince(spiIn, then),
    };
  }

  /** Of the addresses that peers reach the cluster by, those of every node alike; none = each has its own. */
  get sharedAddresses(): readonly IpAddress[] {
    const wan = this.#parts.config.addresses.filter(({ side }) => side === 'wan');
    return wan.flatMap(({ addresses }) => addresses);
  }

  /** Undefined before `join`. */
  get operations(): ClusterOperations | undefined {
    return this.#operated?.operations;
  }

  /** Whose IKE SAs these are; before anything is handled. */
  join(engine: MirroredEngine): void {
    const { config } = this.#parts;
    const { boot, epochFloor } = this.#state;
    // Now, and not when the first segment comes: a disk may take as long as a lease.
    const keptFloor = epochFloor + EPOCH_STEP;
    this.#keep(() => this.#state.keepEpochFloor(keptFloor));
    this.#node = new ClusterNode({
      settings: nodeSettings(config),
      life: { boot, epochFloor, keptFloor, nonce: readU32(randomBytes(4), 0) },
      mesh: {
        paths: busPaths(config).length,
        ring: keyRing(config),
        random: randomBytes,
        counters: this.counters,
      },
      hash: this.#hash,
      engine,
      pools: this.pools,
      rekeysPerSecond: config.sync.rekeysPerSecond,
      writeAhead: {
        patienceMs: config.timers.writeAhead,
        ...(config.defer && { isDeferred: isIkeAuthResponse }),
      },
      now: now(),
    });
    const { rows, emit, rekey } = this.#parts;
    this.#operated = new OperatedCluster({
      ...{ config, node: this.#node, hash: this.#hash, engine, rows, emit, rekey, now },
      childSas: this.childSas,
      counters: this.counters,
      give: (input) => this.#give(input),
      readKeys: () => this.#readKeys(),
    });
    this.#operated.add({ figures: () => this.#forwarding.figures() });
  }

  /** Binds the paths, takes the shared addresses on and says hello. Rejects where the machine refuses one. */
  async start(): Promise<void> {
    const { config } = this.#parts;
    await this.#keptPools.open();
    this.#rtnetlink = new Rtnetlink();
    const addresses = await this.#openAddresses(this.#rtnetlink);
    this.#addresses = addresses;
    const nameOf = (node: NodeId) => this.#name(node);
    this.operations?.add(new OperatedAddresses({ addresses, nameOf, now }));
    this.#sockets = await PathSockets.open({
      paths: busPaths(config),
      counters: this.counters,
      onDatagram: (path, octets) => this.#give({ kind: 'datagram', path, octets }),
    });
    this.#digests = setInterval(() => this.#tellEdges(), config.timers.digest);
    this.#give({ kind: 'start' });
    this.#renewTokens();
    // Where every node gets every packet, the owner has it, too.
    const unknown = config.mode === 'active-active' ? 0 : MOST_UNKNOWN;
    if (unknown > 0) this.#parts.packetLoops()?.handOnUnknown(unknown);
    await this.#operated?.open();
  }

  /** A turn of the IKE engine. Messages of IKE SAs that other nodes have go to those. */
  handle(input: Input): void {
    if (input.kind === 'datagram') this.#strays.datagram(input);
    else this.#give({ kind: 'ike', input });
  }

  /** This node has segments. */
  get serves(): boolean {
    return this.#own.all.size > 0;
  }

  /** One of the nodes begins a connection by itself: the one that has the segment of its name. */
  begins(connection: string): boolean {
    const hash = jhash(new TextEncoder().encode(connection), this.#hash.seed);
    return this.#own.has(scaled(hash, this.#hash.count));
  }

  /** What an operator orders. */
  order(order: ClusterOrder): void {
    this.#give({ kind: 'order', order });
  }

  /** Says something to another node; what it answers comes to `onTold`. */
  tell(to: NodeId, message: BusMessage, delivery: Delivery): void {
    this.#give({ kind: 'tell', to, message, delivery });
  }

  /** Hears what other nodes say of these types. */
  onTold(types: readonly number[], hear: (from: NodeId, message: BusMessage) => void): void {
    for (const type of types) this.#listeners.set(type, hear);
  }

  hear(report: ClusterReport): void {
    switch (report.kind) {
      case 'given':
      case 'taken':
        this.childSas.hear(report);
        this.#extendLease();
        break;
      case 'sequence-wanted': {
        const spiIn = this.childSas.byId(report.id)?.spiIn;
        if (spiIn) this.#give({ kind: 'sequence-wanted', spiIn, upTo: report.upTo });
        break;
      }
      case 'foreign-packets':
        this.#strays.handOn(report.packets);
        break;
      default:
        report satisfies never;
    }
  }

  /** PASSIVE IKE SAs find their connections when somebody looks. */
  configured(): void {}

  /** Hands everything to the others and says goodbye; answers whether there are any. */
  async leave(): Promise<boolean> {
    const coordinator = this.#node?.coordinator;
    if (!coordinator || coordinator.view.length === 0) return false;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LEAVE_MS);
    });
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    this.#give({ kind: 'order', order: { kind: 'drain' } });
    await Promise.race([drained, patience]);
    clearTimeout(timer);
    this.#give({ kind: 'order', order: { kind: 'stop' } });
    await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
    return true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.lease.end();
    this.#operated?.close();
    clearInterval(this.#digests);
    clearTimeout(this.#tokens);
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#sockets?.close();
    await this.#keptPools.close();
    await this.#addresses?.close(this.#parts.config);
    this.#sets.close();
    this.#rtnetlink?.close();
  }

  /** Cookies of any node are good at all of them (RFC 7296 §2.6). */
  #renewTokens(): void {
    const [secret] = this.#parts.config.secrets;
    if (!secret) return;
    const wall = Date.now();
    const { secrets, until } = tokenSecrets(secret, wall);
    this.#give({ kind: 'ike', input: { kind: 'token-secrets', secrets } });
    this.#tokens = setTimeout(() => this.#renewTokens(), until - wall);
  }

  #give(input: ClusterNodeInput): void {
    if (!this.#node || this.#isClosed) return;
    const actions = this.#node.handle(input, now());
    this.#performAll(actions);
    this.#operated?.turn(actions, now());
    this.#strays.turned();
    this.#lookSoon();
  }

  #lookSoon(): void {
    this.#turn ??= setImmediate(() => this.#look());
  }

  #look(): void {
    this.#turn = undefined;
    if (!this.#node || this.#isClosed) return;
    const deadline = this.#node.nextDeadline();
    const wait = (earliest(deadline, this.#forwarding.nextDeadline()) ?? deadline) - now();
    clearTimeout(this.#timer);
    if (wait <= 0) this.#give({ kind: 'time' });
    else this.#timer = setTimeout(() => this.#look(), Math.ceil(wait));
  }

  /**
   * A packet loop that did not hear yet what was given up would go on with it under a new lease: the lease waits.
   */
  #extendLease(): void {
    if (!this.childSas.isGiving) this.lease.extend(this.#leaseUntil);
  }

  #tellEdges(): void {
    const edges = this.childSas.edges();
    if (edges.length > 0) this.#give({ kind: 'edges', edges });
  }

  #openAddresses(rtnetlink: Rtnetlink): Promise<SharedAddresses> {
    const { config, ports, say } = this.#parts;
    this.onTold([MessageType.PROBE], (from, message) => this.#addresses?.told(from, message));
    return SharedAddresses.open({
      ...{ config, ports, rtnetlink, now, say },
      nft: new Nft(),
      sets: this.#sets,
      ownerOf: (segment) => this.#node?.coordinator.ownerOf(segment)?.node,
      random: randomBytes,
      tell: (to, message, delivery) => this.tell(to, message, delivery),
      // A node whose links are dead serves nobody. The one between the nodes shows by who is heard.
      legs: (legs) => this.order({ kind: 'legs', legs: { ...legs, sync: true } }),
    });
  }

  /** Whose packets from inside go where: those of an SA's peer to the node that has the SA. */
  #pinned(): readonly PinnedRange[] {
    return this.childSas.all().flatMap(({ spiIn, remoteTs }) => {
      const segment = segmentOfSpi(spiIn, this.#hash);
      return remoteTs.map(({ range }) => ({ range, segment }));
    });
  }

  /** What is given up is not announced any more from here on; what is taken is, if there is a lease. */
  #tellOwned(): void {
    const handedOver = this.#own.changes();
    if (handedOver) this.#addresses?.own(this.#own.all, handedOver);
  }

  #performAll(actions: readonly ClusterNodeAction[]): void {
    let ike: Action[] = [];
    const flush = () => {
      const some = ike;
      ike = [];
      if (some.length > 0) this.#parts.perform(some);
    };
    for (const action of actions) {
      // Before what takes time, and before a lease lets it go on.
      if (action.kind === 'ike' || action.kind === 'lease') this.#tellOwned();
      if (action.kind === 'ike') {
        ike.push(action.action);
        continue;
      }
      flush();
      this.#perform(action);
    }
    this.#tellOwned();
    this.#addresses?.turned();
    flush();
    if (actions.some(({ kind }) => kind === 'take')) this.#parts.took();
  }

  #perform(action: Exclude<ClusterNodeAction, { readonly kind: 'ike' }>): void {
    this.#forwarding.observe(action);
    switch (action.kind) {
      case 'send':
        this.#sockets?.send(action.peer, action.path, action.octets);
        break;
      case 'lease':
        this.#leaseUntil = action.until;
        this.#extendLease();
        this.#addresses?.lease(action.until);
        break;
      case 'take':
        this.#own.take(action.segment);
        this.childSas.taking(action.segment, action.reason === 'handed-over');
        break;
      case 'release':
        this.#own.release(action.segment, action.reason);
        break;
      case 'freeze': {
        const { batch } = action;
        const frozen = () => this.#give({ kind: 'frozen', batch });
        // Not within the turn that asks for it.
        this.childSas.freeze(segmentsOf(action), () => setImmediate(frozen));
        break;
      }
      case 'thaw':
        this.childSas.thaw(segmentsOf(action));
        break;
      case 'grant':
        this.childSas.grant(action.spiIn, action.upTo);
        break;
      case 'go-alone':
        this.childSas.goAlone(action.spiIn);
        break;
      case 'follow-edges':
        this.#parts.packetLoops()?.followEdges(action.edges);
        break;
      case 'keep':
        this.#keep(() => this.#state.keepEpochFloor(action.epochFloor));
        break;
      case 'sid-refused':
        this.#keep(() => this.#state.nextStart(action.boot));
        this.#parts.failed(new Error(`other nodes know a later start of this one: start it anew`));
        break;
      case 'emit':
        this.#hear(action.event);
        break;
      case 'incompatible': {
        const { oldest, newest } = action.versions;
        const node = this.#name(action.peer);
        this.#parts.say('error', `node ${node} speaks versions ${oldest} to ${newest} of the bus`);
        break;
      }
      case 'told':
        if (action.message.type === MessageType.FORWARD) this.#strays.told(action.message);
        else this.#listeners.get(action.message.type)?.(action.from, action.message);
        break;
      case 'unsure': {
        const count = action.spis.length;
        const what = `${count} IKE SAs go on here and get new keys: their last state is unknown`;
        this.#parts.say('notice', what);
        break;
      }
      case 'epoch':
        break;
      default:
        action satisfies never;
    }
  }

  /** Answers how many keys there are. Sessions that are up go on with theirs. */
  #readKeys(): number {
    const config = this.#parts.reload?.();
    if (!config) throw new Error('the configuration has no cluster { } any more');
    const ring = keyRing(config);
    this.#give({ kind: 'keys', ring });
    return ring.keys.length;
  }

  #keep(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof NodeStateError)) throw error;
      this.#parts.failed(error);
    }
  }

  #hear(event: NodeEvent): void {
    if (event.kind === 'drained') this.#drained?.();
    const isUp = event.kind === 'node-up' || event.kind === 'node-back';
    if (isUp || event.kind === 'node-down') {
      this.#addresses?.meet(this.#node?.coordinator.view ?? []);
    }
    // Whoever comes back may have said that it has what is ours.
    if (isUp) this.#addresses?.announce();
  }

  #name(node: NodeId): string {
    return this.#parts.config.nodes.find(({ id }) => id === node)?.name ?? String(node);
  }
}

function segmentsOf({
  segments,
}: Extract<ClusterNodeAction, { readonly kind: 'freeze' | 'thaw' }>): ReadonlySet<Segment> {
  return new Set(segments.map(({ segment }) => segment));
}

/** Every so many-th packet of other nodes' Child SAs is verified, where all nodes get all packets. */
const EVERY = 64;
/** Packets of unknown SAs in a second that may be another node's; strangers make some up. */
const MOST_UNKNOWN = 2000;
