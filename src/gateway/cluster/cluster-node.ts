/**
 * This gateway as a node of a cluster: who is there and who has which segment (`Coordinator`), what nodes say
 * to one another (`Mesh`), and IKE SAs that go on at another node (`IkeMirror`), put together.
 *
 * No I/O: `handle(input, now)` and `nextDeadline()`. Actions are to be performed in their order. The packet
 * path is not moved from here: whoever performs `take`, `release` and `lease` does that.
 */
import type { Epoch, Segment } from '../../cluster/ballot.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import { MAX_OVERTAKING_OCTETS } from '../../cluster/bus/channel.ts';
import type { KeyRing } from '../../cluster/bus/cluster-key.ts';
import { Mesh, type MeshAction, type MeshSettings } from '../../cluster/bus/mesh.ts';
import { type BusMessage, isKnownMessage, MessageType } from '../../cluster/bus/message.ts';
import { type ClusterSettings, majorityOf } from '../../cluster/cluster-settings.ts';
import { Coordinator, type CoordinatorParts } from '../../cluster/coordinator.ts';
import type { CoordinatorAction, CoordinatorInput } from '../../cluster/coordinator-action.ts';
import {
  decodeCoordinatorMessage,
  encodeCoordinatorMessage,
} from '../../cluster/coordinator-codec.ts';
import type { CoordinatorMessage } from '../../cluster/coordinator-message.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { SnapshotOf } from '../../cluster/ownership.ts';
import type { ClusterPools } from '../../cluster/pools/cluster-pools.ts';
import type { SegmentHash } from '../../cluster/segment-hash.ts';
import { nodeOfSid, sidLayout } from '../../cluster/sid.ts';
import type { Edges } from '../../events/edge-digest.ts';
import type { Input } from '../../ike/action.ts';
import { type IkeSpi, ikeSpi } from '../../ike/message/message.ts';
import type { ChildSequences } from '../../ike/snapshot.ts';
import type { WriteAheadSettings } from '../../ike/write-ahead.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { earliest, type Instant } from '../../wire/instant.ts';
import { fromHex, MalformedError } from '../../wire/octets.ts';
import { IkeMirror } from './ike-mirror.ts';
import type { IkeMirrorAction, MirroredEngine } from './ike-mirror-action.ts';
import { decodeStateMessage, encodeStateMessage, type StateMessage } from './state-message.ts';

export interface ClusterNodeParts {
  readonly settings: ClusterSettings;
  readonly life: Pick<CoordinatorParts, 'boot' | 'epochFloor' | 'keptFloor' | 'nonce'>;
  /** Whom it connects with follows from `settings`. */
  readonly mesh: Omit<MeshSettings, 'local' | 'peers'>;
  readonly hash: SegmentHash;
  /** Asks `ClusterNode.epochOf` for its epochs. */
  readonly engine: MirroredEngine;
  /** The engine's address pools, where they are the cluster's. */
  readonly pools?: ClusterPools;
  /** How many Child SAs get new keys in a second at most, after a take-over that was not clean. */
  readonly rekeysPerSecond: number;
  readonly writeAhead?: Partial<WriteAheadSettings>;
  readonly now: Instant;
}

/** What operators and the machine say. */
export type ClusterOrder = Exclude<
  CoordinatorInput,
  { readonly kind: 'tick' | 'message' | 'frozen' | 'applied' | 'settled' | 'synced' | 'resync' }
>;

export type ClusterNodeInput =
  | { readonly kind: 'start' }
  /** Of another node, over a path of the bus. */
  | { readonly kind: 'datagram'; readonly path: number; readonly octets: Uint8Array }
  /** Of the IKE engine: whatever it is to handle goes through here. */
  | { readonly kind: 'ike'; readonly input: Input }
  /** A worker reports `sequence-wanted` of the Child SA with this inbound SPI. */
  | { readonly kind: 'sequence-wanted'; readonly spiIn: Spi; readonly upTo: SequenceHalves }
  /** Where the windows of this node's Child SAs are: every 100 ms or so. */
  | { readonly kind: 'edges'; readonly edges: Edges }
  | { readonly kind: 'order'; readonly order: ClusterOrder }
  /** An operator wants everything of the others anew. */
  | { readonly kind: 'resync' }
  /** Keys of the cluster; sessions that are up go on with theirs. */
  | { readonly kind: 'keys'; readonly ring: KeyRing }
  /** Nothing of the segments of this `freeze` leaves any more, nor is anything taken in. */
  | { readonly kind: 'frozen'; readonly batch: number }
  /** To another node; what it says is neither this node's nor the mirror's business. */
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly message: BusMessage;
      readonly delivery: Delivery;
    }
  | { readonly kind: 'time' };

export type ClusterNodeAction =
  /** To another node, over a path of the bus. */
  | Extract<MeshAction<number>, { readonly kind: 'send' | 'incompatible' }>
  /** What the IKE engine wants done, as soon as it may be. */
  | Extract<
      IkeMirrorAction,
      { readonly kind: 'ike' | 'unsure' | 'grant' | 'go-alone' | 'follow-edges' }
    >
  /** Of another node, on what neither this one nor the mirror knows. */
  | { readonly kind: 'told'; readonly from: NodeId; readonly message: BusMessage }
  /** `take`, `release` and `thaw` are performed for IKE already; `freeze` is answered by `frozen`. */
  | Exclude<CoordinatorAction, { readonly kind: 'send' | 'install' | 'resync' }>;

export class ClusterNode {
  readonly #parts: ClusterNodeParts;
  readonly #coordinator: Coordinator;
  readonly #mesh: Mesh<number>;
  readonly #mirror: IkeMirror;
  /** Under which epoch this node has, or last had, a segment. */
  readonly #epochs = new Map<Segment, Epoch>();
  /** By batch, what is being frozen. */
  readonly #freezing = new Map<number, ReadonlySet<Segment>>();
  #heads = new Map<NodeId, SnapshotOf>();
  #actions: ClusterNodeAction[] = [];
  /** For the coordinator; the first is being handled. */
  readonly #inputs: CoordinatorInput[] = [];

  constructor(parts: ClusterNodeParts) {
    const { settings, life, mesh, engine, hash, now } = parts;
    this.#parts = parts;
    const coordinator = new Coordinator({ settings, ...life, now });
    this.#coordinator = coordinator;
    const nodes = settings.members.map(({ node }) => node);
    const peers = nodes.filter((node) => node !== settings.self);
    this.#mesh = new Mesh<number>({ ...mesh, local: settings.self, peers });
    this.#mirror = new IkeMirror({
      engine,
      hash,
      sid: coordinator.sid,
      needed: Math.max(1, majorityOf(settings.members) - 1),
      random: mesh.random,
      rekeysPerSecond: parts.rekeysPerSecond,
      ...(parts.writeAhead && { writeAhead: parts.writeAhead }),
      view: {
        reachable: () => this.#mesh.connected,
        hasRoom: (node) => (this.#mesh.loadOf(node)?.bulkOctets ?? 0) < MOST_BULK_OCTETS,
        isForsaken: () => coordinator.view.length === 0,
        owns: (segment) => coordinator.owns(segment),
        ownerOf: (segment) => coordinator.ownerOf(segment)?.node,
        mayTransmit: (segment, at) => coordinator.owns(segment) && at < coordinator.leaseUntil,
        epoch: (segment) => coordinator.epoch(segment),
        ownEpoch: (segment) => this.#epochs.get(segment) ?? 0,
        head: () => coordinator.snapshotHead(),
        isCatchingUp: () => coordinator.demotion.has('boot'),
      },
    });
  }

  /** To be looked at. */
  get coordinator(): Pick<
    Coordinator,
    | 'sid'
    | 'leaseUntil'
    | 'view'
    | 'isAlone'
    | 'owned'
    | 'owns'
    | 'ownerOf'
    | 'epoch'
    | 'peers'
    | 'demotion'
  > {
    return this.#coordinator;
  }

  /** IKE SAs of which no other node has the newest state. */
  get unsynced(): ReadonlySet<IkeSpi> {
    return this.#mirror.unsynced;
  }

  /** How well others keep up with this node, for monitoring. */
  get figures(): Readonly<Record<string, number>> {
    return this.#mirror.figures;
  }

  /** Child SAs that wait for new keys. */
  get awaitingRekey(): number {
    return this.#mirror.awaitingRekey;
  }

  /** Of the IKE SA with this SPI of ours: what its snapshots carry. */
  epochOf(spi: IkeSpi): Epoch {
    return this.#epochs.get(this.#mirror.segmentOf(spi)) ?? 0;
  }

  /** For the IKE engine that takes a Child SA over: what its snapshot said, and what was heard since. */
  sequencesSince(spiIn: Spi, then: ChildSequences): ChildSequences {
    return this.#mirror.sequencesSince(spiIn, then);
  }

  handle(input: ClusterNodeInput, now: Instant): readonly ClusterNodeAction[] {
    switch (input.kind) {
      case 'start':
        this.#onMesh(this.#mesh.handle(input, now), now);
        this.#coordinate({ kind: 'tick' }, now);
        break;
      case 'datagram':
        this.#onMesh(this.#mesh.handle(input, now), now);
        break;
      case 'ike':
        this.#mirror.handle(input.input, now);
        break;
      case 'sequence-wanted':
        this.#mirror.reserve(input.spiIn, input.upTo, now);
        break;
      case 'edges':
        this.#mirror.tellEdges(input.edges);
        break;
      case 'order':
        if (input.order.kind === 'declare-dead') this.#parts.pools?.vouchDead(input.order.node);
        this.#coordinate(input.order, now);
        break;
      case 'resync':
        this.#coordinate({ kind: 'resync' }, now);
        this.#heads = new Map();
        this.#mirror.resync(now);
        break;
      case 'keys':
        this.#onMesh(this.#mesh.handle(input, now), now);
        break;
      case 'frozen':
        this.#frozen(input.batch, now);
        break;
      case 'tell':
        this.#say(input.to, input.message, input.delivery, now);
        // Packets of one turn go together: the deadline is now.
        if (input.delivery === 'expendable') return this.#performed();
        break;
      case 'time':
        if (this.#coordinator.nextDeadline() <= now) this.#coordinate({ kind: 'tick' }, now);
        this.#mirror.expire(now);
        break;
      default:
        input satisfies never;
    }
    this.#mirror.tellMore(now);
    this.#onMirror(now);
    // What is to be said is said at once.
    const due = this.#mesh.nextDeadline();
    if (due !== undefined && due <= now)
      this.#onMesh(this.#mesh.handle({ kind: 'time' }, now), now);
    this.#onMirror(now);
    // Most datagrams are none of theirs; who is there shows in time.
    if (input.kind !== 'datagram' || this.#parts.pools?.hasWork) this.#onPools(now);
    return this.#performed();
  }

  /** When to call with `time` at the latest. */
  nextDeadline(): Instant {
    const coordinator = this.#coordinator.nextDeadline();
    const { pools } = this.#parts;
    const inner = earliest(this.#mesh.nextDeadline(), this.#mirror.nextDeadline());
    return earliest(coordinator, inner, pools?.nextDeadline()) ?? coordinator;
  }

  #performed(): readonly ClusterNodeAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #onMesh(actions: readonly MeshAction<number>[], now: Instant): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'send':
        case 'incompatible':
          this.#actions.push(action);
          break;
        case 'received':
          this.#receive(action.peer, action.message, now);
          break;
        case 'up':
          this.#mirror.connected(action.peer, now);
          break;
        // The coordinator says everything again, and logs are followed by their positions.
        case 'acknowledged':
        case 'refused':
        case 'undelivered':
        case 'down':
          break;
        default:
          action satisfies never;
      }
    }
  }

  #receive(from: NodeId, message: BusMessage, now: Instant): void {
    const { counters } = this.#parts.mesh;
    if (!isKnownMessage(message.type)) {
      counters.count('unknown-message');
      return;
    }
    const decoded = decode(message);
    const { pools } = this.#parts;
    if (pools && message.type === MessageType.POOL_LEASE) {
      if (!heeded(() => pools.received(from, message, now))) counters.count('malformed-message');
      return;
    }
    if (decoded === undefined) {
      this.#actions.push({ kind: 'told', from, message });
      return;
    }
    const isForged = decoded !== 'malformed' && this.#senderOf(decoded) !== from;
    if (decoded === 'malformed' || isForged) {
      counters.count('malformed-message');
    } else if ('node' in decoded) {
      this.#coordinate({ kind: 'message', message: decoded }, now);
    } else {
      this.#mirror.receive(from, decoded, now);
      this.#onMirror(now);
    }
  }

  #senderOf(message: CoordinatorMessage | StateMessage): NodeId {
    if ('node' in message) return message.node;
    const highest = Math.max(...this.#parts.settings.members.map(({ node }) => node));
    return nodeOfSid(sidLayout(highest), message.sid);
  }

  /** What follows from an input comes after all of what it made. */
  #coordinate(input: CoordinatorInput, now: Instant): void {
    this.#inputs.push(input);
    if (this.#inputs.length > 1) return;
    for (let next = this.#inputs[0]; next; next = this.#inputs[0]) {
      this.#carryOut(this.#coordinator.handle(next, now), now);
      this.#inputs.shift();
    }
  }

  #carryOut(actions: readonly CoordinatorAction[], now: Instant): void {
    const released = segmentsOf(actions, 'release');
    // Before the lease that would let them go on.
    if (released.size > 0) this.#mirror.giveUp(released, false, now);
    this.#onMirror(now);
    for (const action of actions) this.#perform(action, now);
    const isOurs = (segment: Segment) => this.#coordinator.owns(segment);
    const taken = actions.flatMap((one) =>
      one.kind === 'take' && isOurs(one.segment) ? [one] : [],
    );
    this.#parts.pools?.giveUp(released);
    this.#parts.pools?.take(
      taken.map(({ segment }) => segment),
      now,
    );
    const known = taken.filter(({ gap, behind }) => !gap && behind.length === 0);
    this.#mirror.take(new Set(known.map(({ segment }) => segment)), now);
    const unknown = taken.filter(({ gap, behind }) => gap && behind.length === 0);
    this.#mirror.takeUnsure(new Set(unknown.map(({ segment }) => segment)), now);
    const raised = segmentsOf(actions, 'epoch');
    if (raised.size > 0) this.#mirror.raised(raised, now);
    this.#onMirror(now);
  }

  #perform(action: CoordinatorAction, now: Instant): void {
    switch (action.kind) {
      case 'send':
        this.#sendMessage(action.to, action.message, now);
        return;
      case 'install':
        // The final states came before the message that let go.
        return;
      case 'resync':
        this.#heads = new Map();
        this.#mirror.resync(now);
        return;
      case 'freeze':
        this.#freezing.set(action.batch, new Set(action.segments.map(({ segment }) => segment)));
        break;
      case 'thaw': {
        const thawed = new Set(action.segments.map(({ segment }) => segment));
        for (const [batch, segments] of this.#freezing) {
          if ([...segments].some((one) => thawed.has(one))) this.#freezing.delete(batch);
        }
        this.#mirror.take(thawed, now);
        break;
      }
      case 'take':
        this.#epochs.set(action.segment, action.epoch);
        if (action.behind.length > 0) {
          this.#mirror.fetch(action.segment, action.behind, action.gap, now);
        }
        break;
      case 'epoch':
        this.#epochs.set(action.segment, action.epoch);
        break;
      case 'emit':
        if (action.event.kind === 'node-up') {
          this.#mirror.nodeStarted(action.event.node, action.event.sid);
        } else if (action.event.kind === 'node-down' && action.event.reason === 'bye') {
          this.#mirror.nodeEnded(action.event.node);
          this.#heads.delete(action.event.node);
        }
        break;
      default:
        break;
    }
    this.#actions.push(action);
  }

  /** Their last states are on their way before the message that lets go. */
  #frozen(batch: number, now: Instant): void {
    const segments = this.#freezing.get(batch);
    if (!segments) return;
    this.#freezing.delete(batch);
    this.#mirror.giveUp(segments, true, now);
    this.#onMirror(now);
    this.#coordinate({ kind: 'frozen', batch, state: new Uint8Array(0) }, now);
  }

  #onMirror(now: Instant): void {
    for (const action of this.#mirror.drain()) {
      switch (action.kind) {
        case 'tell':
          this.#say(action.to, encodeStateMessage(action.message), action.delivery, now);
          break;
        case 'applied':
          this.#coordinate(action, now);
          break;
        case 'settled':
          this.#coordinate(action, now);
          break;
        case 'head':
          this.#heads.set(action.head.node, action.head);
          if (!this.#coordinator.demotion.has('boot')) break;
          if (!this.#coordinator.isCovered([...this.#heads.values()])) break;
          this.#heads = new Map();
          this.#coordinate({ kind: 'synced' }, now);
          break;
        default:
          this.#actions.push(action);
      }
    }
  }

  /** What addresses are decided upon, the engine hears; what that made it do may decide more. */
  #onPools(now: Instant): void {
    const { pools } = this.#parts;
    if (!pools) return;
    const { view } = this.#coordinator;
    const present = this.#mesh.connected.filter((node) => view.includes(node));
    pools.connect(present, now);
    for (let some = pools.drain(now); some.length > 0; some = pools.drain(now)) {
      for (const action of some) {
        if (action.kind === 'tell') {
          this.#say(action.to, action.message, action.delivery, now);
          continue;
        }
        const spi = ikeSpi(fromHex(action.spi));
        this.#mirror.handle({ kind: 'addresses-decided', spi }, now);
        pools.settle(action.spi);
        this.#onMirror(now);
      }
    }
    const due = this.#mesh.nextDeadline();
    if (due !== undefined && due <= now)
      this.#onMesh(this.#mesh.handle({ kind: 'time' }, now), now);
  }

  #sendMessage(to: NodeId, message: CoordinatorMessage, now: Instant): void {
    const encoded = encodeCoordinatorMessage(message);
    this.#say(to, encoded, deliveryOf(message, encoded), now);
  }

  #say(to: NodeId, message: BusMessage, delivery: Delivery, now: Instant): void {
    const input = { kind: 'message', to, message, delivery, tag: 0 } as const;
    this.#onMesh(this.#mesh.handle(input, now), now);
  }
}

/** What waits for a node before it is told more of a snapshot: enough for it to be never idle. */
const MOST_BULK_OCTETS = 512 << 10;

/** Late, a heartbeat is worth nothing; what does not fit into one datagram has to wait its turn. */
function deliveryOf({ kind }: CoordinatorMessage, { body }: BusMessage): Delivery {
  const isRepeated = kind === 'hello' || kind === 'heartbeat' || kind === 'lease' || kind === 'bye';
  return isRepeated && body.length <= MAX_OVERTAKING_OCTETS ? 'overtaking' : 'urgent';
}

function segmentsOf(
  actions: readonly CoordinatorAction[],
  kind: 'release' | 'epoch',
): ReadonlySet<Segment> {
  return new Set(actions.flatMap((one) => (one.kind === kind ? [one.segment] : [])));
}

/** False for what is malformed. */
function heeded(heed: () => void): boolean {
  try {
    heed();
    return true;
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}

/** Undefined for what is not for us. */
function decode(message: BusMessage): CoordinatorMessage | StateMessage | 'malformed' | undefined {
  try {
    return decodeCoordinatorMessage(message) ?? decodeStateMessage(message);
  } catch (error) {
    if (error instanceof MalformedError) return 'malformed';
    throw error;
  }
}
