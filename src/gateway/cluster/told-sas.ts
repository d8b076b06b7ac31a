/**
 * What other nodes are told of the IKE SAs of this one.
 *
 * What a turn of the engine changed goes into this node's log before the turn's messages leave: they leave when
 * others have it, or after 5 ms. The same log has the outbound numbers that Child SAs want to use. A node that
 * missed something is told everything; what was done while nobody was there is told when somebody is again, or
 * to whoever went on instead.
 */
import type { Segment, Sid } from '../../cluster/ballot.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { segmentOfIkeSpi, segmentOfSpi } from '../../cluster/segment-hash.ts';
import { SyncLag } from '../../cluster/sync-lag.ts';
import { WriteAhead as Log } from '../../cluster/write-ahead.ts';
import { EDGE_WORDS, type Edges } from '../../events/edge-digest.ts';
import type { Action, Input } from '../../ike/action.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import {
  type ChildSequences,
  type IkeSaSnapshot,
  ownSpiOf,
  type SnapshotBundle,
} from '../../ike/snapshot.ts';
import { type Ticket, WriteAhead } from '../../ike/write-ahead.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import type { ChildRenewal } from './child-renewal.ts';
import type { IkeMirrorParts, Perform } from './ike-mirror-action.ts';
import { ReservedNumbers } from './reserved-numbers.ts';
import { SnapshotTellings } from './snapshot-tellings.ts';
import {
  type AckMessage,
  type PutMessage,
  partsOf,
  type Reservation,
  type SnapshotRequest,
  type StateMessage,
} from './state-message.ts';

/** A record of ours, by what waits for it. */
type Recorded =
  | { readonly kind: 'bundle'; readonly ticket: Ticket; readonly at: Instant }
  | { readonly kind: 'numbers'; readonly reservations: readonly Reservation[] };

export class ToldSas {
  readonly #parts: IkeMirrorParts;
  readonly #renewal: Pick<ChildRenewal, 'note'>;
  readonly #perform: Perform;
  readonly #log: Log<Recorded>;
  readonly #ahead: WriteAhead;
  readonly #numbers = new ReservedNumbers();
  readonly #lag = new SyncLag();
  /** IKE SAs of ours that changed, and the record that says so: others do not have it yet. */
  readonly #untold = new Map<IkeSpi, number>();
  /** What we changed and nobody else had as another node went on with it, and the record that says so. */
  readonly #yielded = new Map<IkeSpi, number>();
  /** There was nobody, and who came then was not told of all yet. */
  #wasForsaken = false;
  readonly #tellings: SnapshotTellings;

  constructor(parts: IkeMirrorParts, renewal: Pick<ChildRenewal, 'note'>, perform: Perform) {
    this.#parts = parts;
    this.#ahead = new WriteAhead(parts.writeAhead);
    this.#renewal = renewal;
    this.#perform = perform;
    this.#log = new Log(parts.needed);
    this.#tellings = new SnapshotTellings({
      ...parts,
      perform,
      written: () => this.#log.written,
      reservations: () => this.#numbers.all,
    });
  }

  /** IKE SAs of which others do not have the newest state. */
  get unsynced(): ReadonlySet<IkeSpi> {
    return new Set([...this.#untold.keys()].filter((spi) => !this.#ahead.awaits(spi)));
  }

  /** How well the others keep up, by the names under which monitoring knows it; times in milliseconds. */
  get figures(): Readonly<Record<string, number>> {
    return {
      'lag-p50': rounded(this.#lag.quantile(0.5)),
      'lag-p99': rounded(this.#lag.quantile(0.99)),
      changes: this.#lag.count,
      unacknowledged: this.#log.unacknowledged,
    };
  }

  /** A turn of the engine; its messages leave once others have what they depend on. */
  handle(input: Input, now: Instant): void {
    const { engine, view } = this.#parts;
    const actions = engine.handle(input, now);
    const bundle = engine.takeChanges(now);
    if (bundle) this.#publish(bundle, now);
    this.leave(view.isForsaken() ? actions : this.#ahead.pass(actions), now);
  }

  /** A message of an IKE SA leaves only from who may transmit for it: its peer asks again, or we do. */
  leave(actions: readonly Action[], now: Instant): void {
    for (const action of actions) {
      const spi = action.kind === 'send' ? action.after : undefined;
      if (spi !== undefined && !this.#parts.view.mayTransmit(this.#segmentOf(spi), now)) continue;
      this.#noteChild(action);
      this.#renewal.note(action, now);
      this.#perform({ kind: 'ike', action });
    }
  }

  acknowledged(from: NodeId, { sid: by, of, position, refused }: AckMessage, now: Instant): void {
    if (of !== this.#parts.sid) return;
    this.#log.acknowledged({ node: from, by, position, refused });
    for (const [spi, at] of this.#untold) if (this.#log.isKnown(at)) this.#untold.delete(spi);
    for (const [spi, at] of this.#yielded) {
      const isOwner = this.#parts.view.ownerOf(this.#segmentOf(spi)) === from;
      if (isOwner && position >= at) this.#yielded.delete(spi);
    }
    this.#release(now);
  }

  /** A Child SA of ours wants to send up to this number. */
  reserve(spiIn: Spi, upTo: SequenceHalves, now: Instant): void {
    this.#ask([this.#reservation(spiIn, upTo)], now);
  }

  /** Somebody reserved this: perhaps it was used. */
  noteNumbers(reservations: readonly Reservation[]): void {
    for (const one of reservations) this.#numbers.note(one);
  }

  /** Of Child SAs of ours, those that another node used too. */
  sharedNumbers(reservations: readonly Reservation[]): readonly Spi[] {
    return reservations.flatMap((one) => (this.#numbers.isShared(one) ? [one.spiIn] : []));
  }

  /** What a snapshot said of a Child SA's numbers, and what was heard since. */
  sequencesSince(spiIn: Spi, then: ChildSequences): ChildSequences {
    return this.#numbers.since(spiIn, then);
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

  nodeStarted(node: NodeId, sid: Sid): void {
    this.#log.peerStarted(node, sid);
  }

  nodeEnded(node: NodeId): void {
    this.#log.peerGone(node);
  }

  /** Everything of these segments, as it is now. */
  publishSegments(segments: ReadonlySet<Segment>, now: Instant): void {
    const isTheirs = (spi: IkeSpi) => segments.has(this.#segmentOf(spi));
    const theirs = this.#snapshotsOf(this.#parts.engine.activeSpis().filter(isTheirs), now);
    for (const part of partsOf({ snapshots: theirs, gone: [] })) this.#publish(part, now);
  }

  /**
   * These are PASSIVE here now, and another node may have gone on with them before we knew: it hears what
   * we did without it.
   */
  yieldSegments(segments: ReadonlySet<Segment>): void {
    for (const [spi, position] of this.#untold) {
      if (!segments.has(this.#segmentOf(spi))) continue;
      this.#untold.delete(spi);
      this.#yielded.set(spi, position);
    }
    this.tellYielded();
    if (!this.#wasForsaken) return;
    const passive = this.#parts.engine.passiveSnapshots().map(({ snapshot }) => snapshot);
    const theirs = passive.filter((one) => segments.has(this.#segmentOf(ownSpiOf(one))));
    for (const some of lots(this.#usedBy(theirs))) this.#record(some);
  }

  /** Once more: who has them now may not have been there. */
  tellYielded(): void {
    if (this.#yielded.size === 0) return;
    const passive = this.#parts.engine.passiveSnapshots().map(({ snapshot }) => snapshot);
    const snapshots = passive.filter((one) => this.#yielded.has(ownSpiOf(one)));
    this.#yielded.clear();
    for (const bundle of partsOf({ snapshots, gone: [] })) {
      const position = this.#put(bundle, true);
      for (const one of bundle.snapshots) this.#yielded.set(ownSpiOf(one), position);
    }
  }

  /** Numbers that were asked for and refused under a lower epoch. */
  reserveAgain(segments: ReadonlySet<Segment>, now: Instant): void {
    for (const [spiIn, upTo] of this.#numbers.awaited) {
      if (segments.has(segmentOfSpi(spiIn, this.#parts.hash))) this.reserve(spiIn, upTo, now);
    }
  }

  /** A node wants to know everything, or how far our log goes. */
  answer(to: NodeId, { whole }: SnapshotRequest, now: Instant): void {
    const { sid, view } = this.#parts;
    if (whole) {
      this.#tellings.begin(to, now);
      return;
    }
    const { synced, owns } = view.head();
    const position = this.#log.written;
    this.#tell(to, { kind: 'snapshot-end', sid, whole, position, synced, owns }, 'bulk');
  }

  /** Whoever is being told everything may have room for more. */
  tellMore(now: Instant): void {
    this.#tellings.goOn(now);
  }

  expire(now: Instant): void {
    if (this.#parts.view.isForsaken()) {
      this.#wasForsaken = true;
      this.leave(this.#ahead.abandon(), now);
      this.#goAlone();
    } else {
      this.leave(this.#ahead.expire(now), now);
      if (this.#wasForsaken) this.#foundAgain(now);
    }
  }

  nextDeadline(): Instant | undefined {
    return this.#ahead.nextDeadline();
  }

  #segmentOf(spi: IkeSpi): Segment {
    return segmentOfIkeSpi(fromHex(spi), this.#parts.hash);
  }

  #reservation(spiIn: Spi, upTo: SequenceHalves): Reservation {
    const { hash, view } = this.#parts;
    return { spiIn, epoch: view.ownEpoch(segmentOfSpi(spiIn, hash)), upTo };
  }

  #noteChild(action: Action): void {
    switch (action.kind) {
      case 'activate-child-sa':
        this.#numbers.begin(action.childSa.spiIn, action.sequences?.outboundReserved ?? NO_NUMBER);
        break;
      case 'deactivate-child-sa':
        this.#numbers.end(action.childSa.spiIn);
        break;
      case 'remove-child-sa':
        this.#numbers.forget(action.childSa.spiIn);
        break;
      default:
        break;
    }
  }

  #tell(to: NodeId, message: StateMessage, delivery: Delivery): void {
    this.#perform({ kind: 'tell', to, message, delivery });
  }

  /** A record of the log: these IKE SAs as they are. */
  #put(bundle: SnapshotBundle, yielded: boolean): number {
    const { view, sid } = this.#parts;
    const position = this.#log.write();
    const message: PutMessage = { kind: 'put', sid, position, bundle, yielded };
    for (const to of view.reachable()) this.#tell(to, message, 'urgent');
    return position;
  }

  /** A record of the log: these numbers are used. */
  #record(reservations: readonly Reservation[]): number {
    const { sid, view } = this.#parts;
    const position = this.#log.write();
    const message = { kind: 'reserve', sid, position, reservations } as const;
    for (const to of view.reachable()) this.#tell(to, message, 'urgent');
    return position;
  }

  #publish(bundle: SnapshotBundle, now: Instant): void {
    const position = this.#put(bundle, false);
    for (const { spi } of bundle.gone) this.#untold.delete(spi);
    for (const spi of bundle.snapshots.map(ownSpiOf)) {
      this.#yielded.delete(spi);
      this.#untold.set(spi, position);
    }
    if (this.#parts.view.isForsaken()) return;
    const thing = { kind: 'bundle', ticket: this.#ahead.send(bundle, now), at: now } as const;
    this.#log.wait({ thing, position, until: undefined });
  }

  #ask(reservations: readonly Reservation[], now: Instant): void {
    for (const one of reservations) this.#numbers.ask(one);
    const thing = { kind: 'numbers', reservations } as const;
    const position = this.#record(reservations);
    if (this.#parts.view.isForsaken()) this.#goAlone();
    else this.#log.wait({ thing, position, until: undefined });
    this.#release(now);
  }

  /** Others have more of our log. */
  #release(now: Instant): void {
    for (const { thing } of this.#log.release(now)) {
      if (thing.kind === 'bundle') {
        this.#lag.add(now - thing.at);
        this.leave(this.#ahead.acknowledge(thing.ticket), now);
      } else for (const one of thing.reservations) this.#granted(one);
    }
  }

  #granted(reservation: Reservation): void {
    const { spiIn, upTo } = reservation;
    this.#numbers.granted(reservation);
    this.#perform({ kind: 'grant', spiIn, upTo });
  }

  #goAlone(): void {
    for (const spiIn of this.#numbers.takeAwaited()) this.#perform({ kind: 'go-alone', spiIn });
  }

  /** Somebody is there again: what was sent meanwhile becomes known, and nothing is sent alone any more. */
  #foundAgain(now: Instant): void {
    this.#wasForsaken = false;
    const used = this.#usedBy(this.#snapshotsOf(this.#parts.engine.activeSpis(), now));
    for (const some of lots(used)) this.#ask(some, now);
  }

  #snapshotsOf(spis: readonly IkeSpi[], now: Instant): readonly IkeSaSnapshot[] {
    return spis.flatMap((spi) => this.#parts.engine.snapshotOf(spi, now)?.snapshot ?? []);
  }

  /** How far Child SAs of ours may have sent. */
  #usedBy(snapshots: readonly IkeSaSnapshot[]): readonly Reservation[] {
    return snapshots
      .flatMap(({ children }) => children)
      .flatMap(({ held, outbound, sequences, childSa: { spiIn } }) =>
        held && outbound !== 'never' && sequences
          ? [this.#reservation(spiIn, sequences.outboundReserved)]
          : [],
      );
  }
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** As many as fit into one message. */
function lots(reservations: readonly Reservation[]): readonly (readonly Reservation[])[] {
  const parts: (readonly Reservation[])[] = [];
  for (let at = 0; at < reservations.length; at += RESERVATIONS_IN_ONE) {
    parts.push(reservations.slice(at, at + RESERVATIONS_IN_ONE));
  }
  return parts;
}

/** They fit into one datagram. */
const EDGES_IN_ONE = 64;
const RESERVATIONS_IN_ONE = 1024;
const NO_NUMBER: SequenceHalves = { high: 0, low: 0 };
