/**
 * What other nodes are told of the IKE SAs of this one.
 *
 * What a turn of the engine changed goes into this node's log before the turn's messages leave: they leave when
 * others have it, or after 5 ms. The same log has the outbound numbers that Child SAs want to use. A node that
 * missed something is told everything.
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
import { type ChildSequences, ownSpiOf, type SnapshotBundle } from '../../ike/snapshot.ts';
import { type Ticket, WriteAhead } from '../../ike/write-ahead.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import type { IkeMirrorParts, Perform } from './ike-mirror-action.ts';
import { ReservedNumbers } from './reserved-numbers.ts';
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
  | { readonly kind: 'numbers'; readonly reservation: Reservation };

export class ToldSas {
  readonly #parts: IkeMirrorParts;
  readonly #perform: Perform;
  readonly #log: Log<Recorded>;
  readonly #ahead = new WriteAhead();
  readonly #numbers = new ReservedNumbers();
  readonly #lag = new SyncLag();

  constructor(parts: IkeMirrorParts, perform: Perform) {
    this.#parts = parts;
    this.#perform = perform;
    this.#log = new Log(parts.needed);
  }

  /** IKE SAs of which others do not have the newest state. */
  get unsynced(): ReadonlySet<IkeSpi> {
    return this.#ahead.unsynced;
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
      if (spi !== undefined && !this.#mayTransmit(spi, now)) continue;
      if (action.kind === 'remove-child-sa') this.#numbers.forget(action.childSa.spiIn);
      this.#perform({ kind: 'ike', action });
    }
  }

  acknowledged(from: NodeId, { sid: by, of, position, refused }: AckMessage, now: Instant): void {
    if (of !== this.#parts.sid) return;
    this.#log.acknowledged({ node: from, by, position, refused });
    this.#release(now);
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

  /** Somebody reserved this: perhaps it was used. */
  noteNumbers(reservations: readonly Reservation[]): void {
    for (const one of reservations) this.#numbers.note(one);
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
    const { engine, hash } = this.#parts;
    const theirs = engine
      .snapshots(now)
      .snapshots.filter((one) => segments.has(segmentOfIkeSpi(fromHex(ownSpiOf(one)), hash)));
    for (const part of partsOf({ snapshots: theirs, gone: [] })) this.#publish(part, now);
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
    if (whole) this.#tellAll(to, now);
    const { synced, owns } = view.head();
    const position = this.#log.written;
    this.#tell(to, { kind: 'snapshot-end', sid, whole, position, synced, owns }, 'bulk');
  }

  expire(now: Instant): void {
    if (this.#parts.view.isForsaken()) {
      this.leave(this.#ahead.abandon(), now);
      this.#goAlone();
    } else this.leave(this.#ahead.expire(now), now);
  }

  nextDeadline(): Instant | undefined {
    return this.#ahead.nextDeadline();
  }

  #mayTransmit(spi: IkeSpi, now: Instant): boolean {
    const { hash, view } = this.#parts;
    return view.mayTransmit(segmentOfIkeSpi(fromHex(spi), hash), now);
  }

  #tell(to: NodeId, message: StateMessage, delivery: Delivery): void {
    this.#perform({ kind: 'tell', to, message, delivery });
  }

  #publish(bundle: SnapshotBundle, now: Instant): void {
    const { view, sid } = this.#parts;
    const position = this.#log.write();
    const message: PutMessage = { kind: 'put', sid, position, bundle };
    for (const to of view.reachable()) this.#tell(to, message, 'urgent');
    if (view.isForsaken()) return;
    const thing = { kind: 'bundle', ticket: this.#ahead.send(bundle, now), at: now } as const;
    this.#log.wait({ thing, position, until: undefined });
  }

  /** Others have more of our log. */
  #release(now: Instant): void {
    for (const { thing } of this.#log.release(now)) {
      if (thing.kind === 'bundle') {
        this.#lag.add(now - thing.at);
        this.leave(this.#ahead.acknowledge(thing.ticket), now);
        continue;
      }
      const { spiIn, upTo } = thing.reservation;
      this.#numbers.granted(thing.reservation);
      this.#perform({ kind: 'grant', spiIn, upTo });
    }
  }

  #goAlone(): void {
    for (const spiIn of this.#numbers.takeAwaited()) this.#perform({ kind: 'go-alone', spiIn });
  }

  #tellAll(to: NodeId, now: Instant): void {
    const { engine, sid } = this.#parts;
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
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** They fit into one datagram. */
const EDGES_IN_ONE = 64;
const RESERVATIONS_IN_ONE = 1024;
