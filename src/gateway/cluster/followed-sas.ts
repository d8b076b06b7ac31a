/**
 * What this node hears of the IKE SAs of others: records are installed and acknowledged, and what went past it
 * is asked for.
 *
 * A record that somebody wrote who is not the owner any more is refused.
 */
import type { Epoch, Segment, Sid } from '../../cluster/ballot.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { segmentOfIkeSpi, segmentOfSpi } from '../../cluster/segment-hash.ts';
import type { Action } from '../../ike/action.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import { ownSpiOf, type SnapshotBundle } from '../../ike/snapshot.ts';
import { after, earliest, type Instant, instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { FollowedLog } from './followed-log.ts';
import type { IkeMirrorParts, Perform } from './ike-mirror-action.ts';
import type {
  PutMessage,
  Reservation,
  ReserveMessage,
  SnapshotChunk,
  SnapshotEnd,
} from './state-message.ts';

/** How long a segment waits for what other nodes have of it. */
const FETCH_WAIT_MS = 100;
/** Between two questions to one node. */
const ASK_AGAIN_MS = 300;
const ASK_HEAD_MS = 50;
/** How much longer it takes before more of a snapshot that began is asked for anew. */
const NEXT_CHUNK_MS = 1700;

export interface FollowedSasParts extends Pick<IkeMirrorParts, 'engine' | 'sid' | 'hash' | 'view'> {
  readonly perform: Perform;
  /** What the engine wants done. */
  readonly leave: (actions: readonly Action[], now: Instant) => void;
}

export class FollowedSas {
  readonly #parts: FollowedSasParts;
  readonly #logs = new Map<NodeId, FollowedLog>();
  readonly #askedAt = new Map<NodeId, Instant>();
  /** What a node named since it was asked for everything. */
  readonly #present = new Map<NodeId, Set<IkeSpi>>();
  /** Segments of ours that wait for what others have of them. */
  readonly #fetching = new Map<Segment, { readonly from: Set<NodeId>; readonly until: Instant }>();

  constructor(parts: FollowedSasParts) {
    this.#parts = parts;
  }

  /** How far the log of a node is here. */
  applied(node: NodeId): number | undefined {
    return this.#logs.get(node)?.applied;
  }

  put(from: NodeId, { sid, position, bundle, yielded }: PutMessage, now: Instant): void {
    for (const one of bundle.snapshots) this.#present.get(from)?.add(ownSpiOf(one));
    // Its owner knows what to make of it.
    const isOwners = yielded || this.#installOwned(bundle, now);
    this.#recorded(from, { sid, position, isOwners }, now);
  }

  /** Answers those of a node that is not their owner any more. */
  reserved(
    from: NodeId,
    { sid, position, reservations }: ReserveMessage,
    now: Instant,
  ): readonly Reservation[] {
    if (position === undefined) return [];
    const { hash, view } = this.#parts;
    const stale = reservations.filter(
      ({ spiIn, epoch }) => epoch < view.epoch(segmentOfSpi(spiIn, hash)),
    );
    this.#recorded(from, { sid, position, isOwners: stale.length === 0 }, now);
    return stale;
  }

  /** Some of a whole snapshot. */
  chunk(from: NodeId, { bundle, age }: SnapshotChunk, now: Instant): void {
    // More of it is on its way, and nothing of it is lost as long as the session lasts.
    this.#askedAt.set(from, after(now, NEXT_CHUNK_MS));
    for (const one of bundle.snapshots) this.#present.get(from)?.add(ownSpiOf(one));
    this.#install(bundle, after(now, -age));
  }

  /** A whole snapshot is here. Answers the segments that waited for nothing else. */
  end(from: NodeId, end: SnapshotEnd, now: Instant): ReadonlySet<Segment> {
    const log = this.#logOf(from, end.sid);
    this.#askedAt.set(from, now);
    if (end.whole) {
      if (log.snapshot(end.position)) this.#ask(from, true, now);
      else this.#acknowledge(from, log, []);
    }
    const { synced, owns } = end;
    const isHere = log.applied !== undefined && log.applied >= end.position;
    if (isHere) this.#parts.perform({ kind: 'head', head: { node: from, synced, owns } });
    const fetched = new Set<Segment>();
    if (!end.whole) return fetched;
    this.#forgetAbsent(from, end, now);
    for (const [segment, { from: awaited }] of this.#fetching) {
      awaited.delete(from);
      if (awaited.size === 0) fetched.add(segment);
    }
    for (const segment of fetched) this.#fetching.delete(segment);
    return fetched;
  }

  /** A session with a node began: what was said before went past one of us. */
  connected(node: NodeId, now: Instant): void {
    this.#logs.delete(node);
    this.#present.delete(node);
    this.#ask(node, true, now);
  }

  /** State of others went past this node. */
  resync(now: Instant): void {
    for (const log of this.#logs.values()) log.forget();
    for (const node of this.#parts.view.reachable()) this.#ask(node, true, now);
  }

  /** This one is ours, and other nodes may have more of it. */
  fetch(segment: Segment, from: readonly NodeId[], now: Instant): void {
    this.#fetching.set(segment, { from: new Set(from), until: after(now, FETCH_WAIT_MS) });
    for (const node of from) this.#ask(node, true, now);
  }

  /** It is not waited for any more. */
  forget(segment: Segment): void {
    this.#fetching.delete(segment);
  }

  /** Segments whose time to be fetched is over: they are waited for no longer. */
  takeOverdue(now: Instant): readonly Segment[] {
    const overdue = [...this.#fetching].filter(([, { until }]) => now >= until);
    for (const [segment] of overdue) this.#fetching.delete(segment);
    return overdue.map(([segment]) => segment);
  }

  /** Asks once more for what did not come. */
  askAgain(now: Instant): void {
    for (const node of this.#parts.view.reachable()) {
      if (now >= this.#askAt(node)) this.#ask(node, this.applied(node) === undefined, now);
    }
  }

  nextDeadline(): Instant | undefined {
    const fetched = [...this.#fetching.values()].map(({ until }) => until);
    const asked = this.#parts.view.reachable().map((node) => this.#askAt(node));
    return earliest(...fetched, ...asked.filter((at) => Number.isFinite(at)));
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
    // Of two answers that are under way the first one tells.
    if (whole && !this.#present.has(to)) this.#present.set(to, new Set());
    const message = { kind: 'snapshot-request', sid: this.#parts.sid, whole } as const;
    this.#parts.perform({ kind: 'tell', to, message, delivery: 'urgent' });
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
    const { sid, perform } = this.#parts;
    const message = { kind: 'ack', sid, of, position: applied, refused } as const;
    perform({ kind: 'tell', to, message, delivery: 'urgent' });
    perform({ kind: 'applied', sid: of, position: applied });
  }

  /** What the owner of these segments writes. Answers whether it is the owner, as far as is known here. */
  #installOwned({ snapshots, gone }: SnapshotBundle, now: Instant): boolean {
    const { hash, view } = this.#parts;
    const isCurrent = (spi: IkeSpi, epoch: Epoch) =>
      epoch >= view.epoch(segmentOfIkeSpi(fromHex(spi), hash));
    const bundle = {
      snapshots: snapshots.filter((one) => isCurrent(ownSpiOf(one), one.epoch)),
      gone: gone.filter(({ spi, epoch }) => isCurrent(spi, epoch)),
    };
    this.#install(bundle, now);
    return bundle.snapshots.length === snapshots.length && bundle.gone.length === gone.length;
  }

  /** What the owner of a segment did not name in all that it has ended while nobody here heard of it. */
  #forgetAbsent(from: NodeId, { owns, synced }: SnapshotEnd, now: Instant): void {
    const { engine, hash, view } = this.#parts;
    const present = this.#present.get(from);
    this.#present.delete(from);
    if (!present || !synced) return;
    const current = owns.filter(({ segment, epoch }) => epoch === view.epoch(segment));
    const theirs = new Map(current.map(({ segment, epoch }) => [segment, epoch]));
    const gone = engine.passiveSnapshots().flatMap(({ snapshot }) => {
      const spi = ownSpiOf(snapshot);
      const epoch = theirs.get(segmentOfIkeSpi(fromHex(spi), hash));
      if (epoch === undefined || present.has(spi)) return [];
      return [{ spi, epoch: Math.max(epoch, snapshot.epoch), order: snapshot.order + 1 }];
    });
    if (gone.length > 0) this.#install({ snapshots: [], gone }, now);
  }

  /** What is older than what is here, and what is ours, the engine leaves where it is. */
  #install(bundle: SnapshotBundle, at: Instant): void {
    const { engine, leave } = this.#parts;
    leave(engine.handle({ kind: 'install-snapshots', bundle }, at), at);
  }

  #logOf(node: NodeId, sid: Sid): FollowedLog {
    const known = this.#logs.get(node);
    if (known?.sid === sid) return known;
    const log = new FollowedLog(sid);
    this.#logs.set(node, log);
    return log;
  }
}

const NEVER = Number.POSITIVE_INFINITY;
const FIRST = instant(Number.NEGATIVE_INFINITY);
