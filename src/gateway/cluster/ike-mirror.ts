/**
 * The IKE SAs of this node at the other ones, and theirs here.
 *
 * What a turn of the engine changed goes into this node's log before the turn's messages leave; records of
 * others are installed and acknowledged. Segments that come to this node go on from what is here, those that
 * leave are told once more and become PASSIVE. A record that somebody wrote who is not the owner any more is
 * refused.
 */
import type { Epoch, Segment, Sid } from '../../cluster/ballot.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { SnapshotOf } from '../../cluster/ownership.ts';
import { type SegmentHash, segmentOfIkeSpi, segmentOfSpi } from '../../cluster/segment-hash.ts';
import { WriteAhead as Log } from '../../cluster/write-ahead.ts';
import { EDGE_WORDS, type Edges } from '../../events/edge-digest.ts';
import type { Action, Input } from '../../ike/action.ts';
import type { IkeEndpoint } from '../../ike/endpoint.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import { type ChildSequences, ownSpiOf, type SnapshotBundle } from '../../ike/snapshot.ts';
import { type Ticket, WriteAhead } from '../../ike/write-ahead.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { after, earliest, type Instant, instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { FollowedLog } from './followed-log.ts';
import { ReservedNumbers } from './reserved-numbers.ts';
import {
  type PutMessage,
  partsOf,
  type Reservation,
  type ReserveMessage,
  type SnapshotEnd,
  type SnapshotRequest,
  type StateMessage,
} from './state-message.ts';

/** What the mirror asks of the engine. */
export type MirroredEngine = Pick<
  IkeEndpoint,
  'handle' | 'takeChanges' | 'snapshots' | 'passiveSnapshots' | 'passiveSpis' | 'ikeSas'
>;

/** What the mirror asks of who knows the cluster. */
export interface ClusterView {
  /** Nodes that can be told something. */
  readonly reachable: () => readonly NodeId[];
  /** Nobody is heard: nothing waits. */
  readonly isForsaken: () => boolean;
  readonly mayTransmit: (segment: Segment, now: Instant) => boolean;
  /** The highest epoch that was heard of. */
  readonly epoch: (segment: Segment) => Epoch;
  /** Under which this node has, or last had, a segment. */
  readonly ownEpoch: (segment: Segment) => Epoch;
  readonly head: () => SnapshotOf;
  /** It still needs to hear of others what they own. */
  readonly isCatchingUp: () => boolean;
}

export interface IkeMirrorParts {
  readonly engine: MirroredEngine;
  readonly sid: Sid;
  readonly hash: SegmentHash;
  /** How many others must have a record. */
  readonly needed: number;
  readonly view: ClusterView;
}

export type IkeMirrorAction =
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly message: StateMessage;
      readonly delivery: Delivery;
    }
  | { readonly kind: 'ike'; readonly action: Action }
  /** Outbound numbers of one of our Child SAs are known elsewhere up to this one. */
  | { readonly kind: 'grant'; readonly spiIn: Spi; readonly upTo: SequenceHalves }
  /** Nobody is there to know of them. */
  | { readonly kind: 'go-alone'; readonly spiIn: Spi }
  /** Where the windows of other nodes' Child SAs are. */
  | { readonly kind: 'follow-edges'; readonly edges: Edges }
  /** The log of a process is here up to a position. */
  | { readonly kind: 'applied'; readonly sid: Sid; readonly position: number }
  /** What a node said of itself behind all that it sent. */
  | { readonly kind: 'head'; readonly head: SnapshotOf }
  /** What was to be fetched is here, or nobody has it. */
  | { readonly kind: 'settled'; readonly segment: Segment }
  /** Their last state is not known: they stay as they are, and their peers begin anew. */
  | { readonly kind: 'not-carried-on'; readonly spis: readonly IkeSpi[] };

/** A record of ours, by what waits for it. */
type Recorded =
  | { readonly kind: 'bundle'; readonly ticket: Ticket }
  | { readonly kind: 'numbers'; readonly reservation: Reservation };

/** How long a segment waits for what other nodes have of it. */
const FETCH_WAIT_MS = 100;
/** Between two questions to one node. */
const ASK_AGAIN_MS = 300;
const ASK_HEAD_MS = 50;

export class IkeMirror {
  readonly #parts: IkeMirrorParts;
  readonly #log: Log<Recorded>;
  readonly #ahead = new WriteAhead();
  readonly #followed = new Map<NodeId, FollowedLog>();
  readonly #askedAt = new Map<NodeId, Instant>();
  /** Segments of ours that wait for what others have of them. */
  readonly #fetching = new Map<Segment, { readonly from: Set<NodeId>; readonly until: Instant }>();
  readonly #numbers = new ReservedNumbers();
  #actions: IkeMirrorAction[] = [];

  constructor(parts: IkeMirrorParts) {
    this.#parts = parts;
    this.#log = new Log(parts.needed);
  }

  /** IKE SAs of which others do not have the newest state. */
  get unsynced(): ReadonlySet<IkeSpi> {
    return this.#ahead.unsynced;
  }

  /** How far the log of a node is here. */
  applied(node: NodeId): number | undefined {
    return this.#followed.get(node)?.applied;
  }

  segmentOf(spi: IkeSpi): Segment {
    return segmentOfIkeSpi(fromHex(spi), this.#parts.hash);
  }

  /** What was done since the last call, in order. */
  drain(): readonly IkeMirrorAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** A turn of the engine; its messages leave once others have what they depend on. */
  handle(input: Input, now: Instant): void {
    const { engine, view } = this.#parts;
    const actions = engine.handle(input, now);
    const bundle = engine.takeChanges(now);
    if (bundle) this.#publish(bundle, now);
    this.#leave(view.isForsaken() ? actions : this.#ahead.pass(actions), now);
  }

  receive(from: NodeId, message: StateMessage, now: Instant): void {
    switch (message.kind) {
      case 'put':
        this.#put(from, message, now);
        break;
      case 'reserve':
        this.#reserved(from, message, now);
        break;
      case 'edges':
        this.#actions.push({ kind: 'follow-edges', edges: message.edges });
        break;
      case 'ack': {
        const { sid: by, of, position, refused } = message;
        if (of !== this.#parts.sid) break;
        this.#log.acknowledged({ node: from, by, position, refused });
        this.#release(now);
        break;
      }
      case 'snapshot-request':
        this.#answer(from, message, now);
        break;
      case 'snapshot-chunk':
        this.#askedAt.set(from, now);
        this.#install(message.bundle, after(now, -message.age));
        break;
      case 'snapshot-end':
        this.#end(from, message, now);
        break;
      default:
        message satisfies never;
    }
  }

  /** A Child SA of ours wants to send up to this number. */
  reserve(spiIn: Spi, upTo: SequenceHalves, now: Instant): void {
    const { hash, sid, view } = this.#parts;
    const epoch = view.ownEpoch(segmentOfSpi(spiIn, hash));
    const reservation: Reservation = { spiIn, epoch, upTo };
    this.#numbers.ask(reservation);
    const position = this.#log.write();
    const message = { kind: 'reserve', sid, position, reservations: [reservation] } as const;
    for (const to of view.reachable()) this.#tell(to, message, 'urgent');
    const thing = { kind: 'numbers', reservation } as const;
    if (view.isForsaken()) this.#goAlone();
    else this.#log.wait({ thing, position, until: undefined });
    this.#release(now);
  }

  /** Windows of ours, for whoever follows them: worth nothing late. */
  tellEdges(edges: Edges): void {
    const { sid, view } = this.#parts;
    for (let at = 0; at < edges.length; at += EDGES_IN_ONE * EDGE_WORDS) {
      const some = edges.subarray(at, at + EDGES_IN_ONE * EDGE_WORDS);
      for (const to of view.reachable()) {
        this.#tell(to, { kind: 'edges', sid, edges: some }, 'overtaking');
      }
    }
  }

  /** What a snapshot said of a Child SA's numbers, and what was heard since. */
  sequencesSince(spiIn: Spi, then: ChildSequences): ChildSequences {
    return this.#numbers.since(spiIn, then);
  }

  /** A session with a node began: what was said before went past one of us. */
  connected(node: NodeId, now: Instant): void {
    this.#followed.delete(node);
    this.#ask(node, true, now);
  }

  nodeStarted(node: NodeId, sid: Sid): void {
    this.#log.peerStarted(node, sid);
  }

  nodeEnded(node: NodeId): void {
    this.#log.peerGone(node);
  }

  /** State of others went past this node. */
  resync(now: Instant): void {
    for (const log of this.#followed.values()) log.forget();
    for (const node of this.#parts.view.reachable()) this.#ask(node, true, now);
  }

  /** These are ours from now on. */
  take(segments: ReadonlySet<Segment>, now: Instant): void {
    this.#activate(segments, now);
  }

  /** This one is ours, and other nodes may have more of it. */
  fetch(segment: Segment, from: readonly NodeId[], now: Instant): void {
    this.#fetching.set(segment, { from: new Set(from), until: after(now, FETCH_WAIT_MS) });
    for (const node of from) this.#ask(node, true, now);
  }

  /** These are ours, but nobody knows how far their former owner went. */
  abandon(segments: ReadonlySet<Segment>): void {
    const spis = this.#passiveOf(segments);
    if (spis.length > 0) this.#actions.push({ kind: 'not-carried-on', spis });
  }

  /** These go on elsewhere. `isFinal`: the others are told of their last state first. */
  giveUp(segments: ReadonlySet<Segment>, isFinal: boolean, now: Instant): void {
    for (const segment of segments) this.#fetching.delete(segment);
    const { engine } = this.#parts;
    const isTheirs = (spi: IkeSpi) => segments.has(this.segmentOf(spi));
    if (isFinal) this.#publishSegments(segments, now);
    const spis = engine.ikeSas().flatMap(({ ownSpi }) => (isTheirs(ownSpi) ? [ownSpi] : []));
    if (spis.length > 0) this.handle({ kind: 'deactivate', spis }, now);
  }

  /** These go on with a higher epoch: what was refused under the lower one is told again. */
  raised(segments: ReadonlySet<Segment>, now: Instant): void {
    this.#publishSegments(segments, now);
    for (const [spiIn, upTo] of this.#numbers.awaited) {
      if (segments.has(segmentOfSpi(spiIn, this.#parts.hash))) this.reserve(spiIn, upTo, now);
    }
  }

  expire(now: Instant): void {
    if (this.#parts.view.isForsaken()) {
      this.#leave(this.#ahead.abandon(), now);
      this.#goAlone();
    } else this.#leave(this.#ahead.expire(now), now);
    for (const [segment, { until }] of [...this.#fetching]) {
      if (now < until) continue;
      this.#fetching.delete(segment);
      this.abandon(new Set([segment]));
      this.#actions.push({ kind: 'settled', segment });
    }
    for (const node of this.#parts.view.reachable()) {
      if (now >= this.#askAt(node)) this.#ask(node, this.applied(node) === undefined, now);
    }
  }

  nextDeadline(): Instant | undefined {
    const { view } = this.#parts;
    const fetched = [...this.#fetching.values()].map(({ until }) => until);
    const asked = view.reachable().map((node) => this.#askAt(node));
    const finite = asked.filter((at) => Number.isFinite(at));
    return earliest(this.#ahead.nextDeadline(), ...fetched, ...finite);
  }

  /** When a node is to be asked again; never, while nothing is missing. */
  #askAt(node: NodeId): Instant {
    const last = this.#askedAt.get(node);
    const isMissing = this.applied(node) === undefined;
    const wait = isMissing ? ASK_AGAIN_MS : this.#parts.view.isCatchingUp() ? ASK_HEAD_MS : NEVER;
    return after(last ?? FIRST, wait);
  }

  #ask(to: NodeId, whole: boolean, now: Instant): void {
    this.#askedAt.set(to, now);
    this.#tell(to, { kind: 'snapshot-request', sid: this.#parts.sid, whole }, 'urgent');
  }

  #tell(to: NodeId, message: StateMessage, delivery: Delivery): void {
    this.#actions.push({ kind: 'tell', to, message, delivery });
  }

  #publish(bundle: SnapshotBundle, now: Instant): void {
    const { view, sid } = this.#parts;
    const position = this.#log.write();
    const message: PutMessage = { kind: 'put', sid, position, bundle };
    for (const to of view.reachable()) this.#tell(to, message, 'urgent');
    if (view.isForsaken()) return;
    const thing = { kind: 'bundle', ticket: this.#ahead.send(bundle, now) } as const;
    this.#log.wait({ thing, position, until: undefined });
  }

  #publishSegments(segments: ReadonlySet<Segment>, now: Instant): void {
    const { snapshots } = this.#parts.engine.snapshots(now);
    const theirs = snapshots.filter((one) => segments.has(this.segmentOf(ownSpiOf(one))));
    for (const part of partsOf({ snapshots: theirs, gone: [] })) this.#publish(part, now);
  }

  /** Others have more of our log. */
  #release(now: Instant): void {
    for (const { thing } of this.#log.release(now)) {
      if (thing.kind === 'bundle') {
        this.#leave(this.#ahead.acknowledge(thing.ticket), now);
        continue;
      }
      const { spiIn, upTo } = thing.reservation;
      this.#numbers.granted(thing.reservation);
      this.#actions.push({ kind: 'grant', spiIn, upTo });
    }
  }

  #goAlone(): void {
    for (const spiIn of this.#numbers.takeAwaited())
      this.#actions.push({ kind: 'go-alone', spiIn });
  }

  /** A message of an IKE SA leaves only from who may transmit for it: its peer asks again, or we do. */
  #leave(actions: readonly Action[], now: Instant): void {
    const { view } = this.#parts;
    for (const action of actions) {
      const spi = action.kind === 'send' ? action.after : undefined;
      if (spi !== undefined && !view.mayTransmit(this.segmentOf(spi), now)) continue;
      if (action.kind === 'remove-child-sa') this.#numbers.forget(action.childSa.spiIn);
      this.#actions.push({ kind: 'ike', action });
    }
  }

  #put(from: NodeId, { sid, position, bundle }: PutMessage, now: Instant): void {
    this.#recorded(from, { sid, position, isOwners: this.#installOwned(bundle, now) }, now);
  }

  #reserved(from: NodeId, { sid, position, reservations }: ReserveMessage, now: Instant): void {
    const { hash, view } = this.#parts;
    const isOwners = reservations.every(
      ({ spiIn, epoch }) => epoch >= view.epoch(segmentOfSpi(spiIn, hash)),
    );
    // Whoever it was that asked, perhaps it sent them.
    for (const one of reservations) this.#numbers.note(one);
    if (position !== undefined) this.#recorded(from, { sid, position, isOwners }, now);
  }

  /** A record of another log is here. */
  #recorded(
    from: NodeId,
    { sid, position, isOwners }: { sid: Sid; position: number; isOwners: boolean },
    now: Instant,
  ): void {
    const log = this.#logOf(from, sid);
    const isNew = log.applied === undefined || position > log.applied;
    const isMissing = log.record(position);
    if (isMissing && now >= this.#askAt(from)) this.#ask(from, true, now);
    if (isNew) this.#acknowledge(from, log, isOwners ? [] : [position]);
  }

  #acknowledge(to: NodeId, { sid: of, applied }: FollowedLog, refused: readonly number[]): void {
    if (applied === undefined) return;
    const { sid } = this.#parts;
    this.#tell(to, { kind: 'ack', sid, of, position: applied, refused }, 'urgent');
    this.#actions.push({ kind: 'applied', sid: of, position: applied });
  }

  /** What the owner of these segments writes. Answers whether it is the owner, as far as is known here. */
  #installOwned({ snapshots, gone }: SnapshotBundle, now: Instant): boolean {
    const isCurrent = (spi: IkeSpi, epoch: Epoch) =>
      epoch >= this.#parts.view.epoch(this.segmentOf(spi));
    const bundle = {
      snapshots: snapshots.filter((one) => isCurrent(ownSpiOf(one), one.epoch)),
      gone: gone.filter(({ spi, epoch }) => isCurrent(spi, epoch)),
    };
    this.#install(bundle, now);
    return bundle.snapshots.length === snapshots.length && bundle.gone.length === gone.length;
  }

  /** What is older than what is here, and what is ours, the engine leaves where it is. */
  #install(bundle: SnapshotBundle, at: Instant): void {
    this.#leave(this.#parts.engine.handle({ kind: 'install-snapshots', bundle }, at), at);
  }

  #answer(to: NodeId, { whole }: SnapshotRequest, now: Instant): void {
    const { engine, sid, view } = this.#parts;
    if (whole) {
      for (const bundle of partsOf(engine.snapshots(now))) {
        this.#tell(to, { kind: 'snapshot-chunk', sid, age: 0, bundle }, 'bulk');
      }
      for (const { snapshot, at } of engine.passiveSnapshots()) {
        const bundle = { snapshots: [snapshot], gone: [] };
        const age = Math.max(0, Math.round(now - at));
        this.#tell(to, { kind: 'snapshot-chunk', sid, age, bundle }, 'bulk');
      }
      // Also those that are asked for and that no snapshot has yet.
      const reservations = this.#numbers.all;
      for (let at = 0; at < reservations.length; at += RESERVATIONS_IN_ONE) {
        const some = reservations.slice(at, at + RESERVATIONS_IN_ONE);
        const message = { kind: 'reserve', sid, position: undefined, reservations: some } as const;
        this.#tell(to, message, 'bulk');
      }
    }
    const { synced, owns } = view.head();
    const position = this.#log.written;
    this.#tell(to, { kind: 'snapshot-end', sid, whole, position, synced, owns }, 'bulk');
  }

  #end(from: NodeId, end: SnapshotEnd, now: Instant): void {
    const log = this.#logOf(from, end.sid);
    if (end.whole) {
      if (log.snapshot(end.position)) this.#ask(from, true, now);
      else this.#acknowledge(from, log, []);
    }
    const { synced, owns } = end;
    const isHere = log.applied !== undefined && log.applied >= end.position;
    if (isHere) this.#actions.push({ kind: 'head', head: { node: from, synced, owns } });
    if (!end.whole) return;
    const fetched = new Set<Segment>();
    for (const [segment, { from: awaited }] of this.#fetching) {
      awaited.delete(from);
      if (awaited.size === 0) fetched.add(segment);
    }
    for (const segment of fetched) this.#fetching.delete(segment);
    this.#activate(fetched, now);
    for (const segment of fetched) this.#actions.push({ kind: 'settled', segment });
  }

  #activate(segments: ReadonlySet<Segment>, now: Instant): void {
    const spis = this.#passiveOf(segments);
    if (spis.length > 0) this.handle({ kind: 'activate', spis }, now);
  }

  #passiveOf(segments: ReadonlySet<Segment>): readonly IkeSpi[] {
    if (segments.size === 0) return [];
    return this.#parts.engine.passiveSpis().filter((spi) => segments.has(this.segmentOf(spi)));
  }

  #logOf(node: NodeId, sid: Sid): FollowedLog {
    const known = this.#followed.get(node);
    if (known?.sid === sid) return known;
    const log = new FollowedLog(sid);
    this.#followed.set(node, log);
    return log;
  }
}

/** They fit into one datagram. */
const EDGES_IN_ONE = 64;
const RESERVATIONS_IN_ONE = 1024;
const NEVER = Number.POSITIVE_INFINITY;
const FIRST = instant(Number.NEGATIVE_INFINITY);
