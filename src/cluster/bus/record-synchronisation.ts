/**
 * The records of all nodes become the same: digests tell who lacks what, snapshots bring it, and whoever
 * has enough of them votes.
 *
 * Deleted keys are remembered until every other node was found equal since. Holds no clock.
 */
import { after, type Instant, instant } from '../../wire/instant.ts';
import type { NodeId } from '../node-id.ts';
import type { BusRecord, Member } from './bus.ts';
import { type BusMessage, MessageType } from './message.ts';
import type { RecordStore } from './record-store.ts';
import { decodeDigest, encodeDigest, PeerSynchronisation } from './synchronisation.ts';

export interface RecordSynchronisationParts {
  readonly store: RecordStore;
  readonly peers: readonly NodeId[];
  /** Nodes that can be told something now. */
  readonly connected: () => Iterable<NodeId>;
  /** Of a `chunk` it must be heard what became of it: `chunkEnded`. */
  readonly tell: (
    to: NodeId,
    message: BusMessage,
    as: 'news' | 'chunk' | 'end',
    now: Instant,
  ) => void;
  readonly apply: (record: BusRecord, now: Instant) => void;
}

export class RecordSynchronisation {
  readonly #parts: RecordSynchronisationParts;
  readonly #peers: ReadonlyMap<NodeId, PeerSynchronisation>;
  #votes: boolean;
  #digestAt: Instant = instant(0);
  #lastTombstone: Instant | undefined;

  constructor(parts: RecordSynchronisationParts) {
    this.#parts = parts;
    const { peers, store } = parts;
    this.#peers = new Map(peers.map((peer) => [peer, new PeerSynchronisation(store)]));
    this.#votes = peers.length === 0;
  }

  /** Whether this node takes part in compare-and-set. */
  get votes(): boolean {
    return this.#votes;
  }

  /** How far each other node is the same. */
  get peers(): Iterable<readonly [NodeId, Pick<Member, 'state'>]> {
    return this.#peers;
  }

  nextDeadline(): Instant {
    return this.#digestAt;
  }

  has(peer: NodeId): boolean {
    return this.#peers.has(peer);
  }

  came(peer: NodeId): void {
    this.#peers.get(peer)?.came();
  }

  went(peer: NodeId): void {
    this.#peers.get(peer)?.went();
  }

  /** A record was deleted here. */
  deleted(now: Instant): void {
    this.#lastTombstone = now;
  }

  chunkEnded(peer: NodeId, arrived: boolean, now: Instant): void {
    const synchronisation = this.#peers.get(peer);
    synchronisation?.chunkEnded(arrived);
    if (synchronisation && arrived) this.#sendChunks(peer, synchronisation, now);
  }

  /** Whether the message was about this. Throws `MalformedError`. */
  received(peer: NodeId, { type, body }: BusMessage, now: Instant): boolean {
    const synchronisation = this.#peers.get(peer);
    if (!synchronisation) return false;
    switch (type) {
      case MessageType.RECORD_DIGEST:
        this.#onDigest(peer, body, synchronisation, now);
        return true;
      case MessageType.SNAPSHOT_REQ:
        synchronisation.asked(body);
        this.#sendChunks(peer, synchronisation, now);
        return true;
      case MessageType.SNAPSHOT_CHUNK:
        for (const record of synchronisation.received(body, now)) this.#parts.apply(record, now);
        return true;
      case MessageType.SNAPSHOT_END:
        synchronisation.ended();
        for (const other of this.#parts.connected()) this.sendDigest(other, now);
        return true;
      default:
        return false;
    }
  }

  time(now: Instant): void {
    if (now < this.#digestAt) return;
    this.#digestAt = after(now, DIGEST_MILLISECONDS);
    for (const peer of this.#parts.connected()) this.sendDigest(peer, now);
    const tombstone = this.#lastTombstone;
    const peers = [...this.#peers.values()];
    const isEverywhere = peers.every(
      ({ wasEqualAt }) =>
        tombstone !== undefined && wasEqualAt !== undefined && wasEqualAt > tombstone,
    );
    if (tombstone === undefined || !isEverywhere) return;
    this.#parts.store.forgetTombstones();
    this.#lastTombstone = undefined;
  }

  sendDigest(peer: NodeId, now: Instant): void {
    this.#parts.tell(peer, encodeDigest(this.#parts.store, this.#votes), 'news', now);
  }

  #onDigest(
    peer: NodeId,
    body: Uint8Array,
    synchronisation: PeerSynchronisation,
    now: Instant,
  ): void {
    const others = [...this.#peers.values()];
    // One snapshot at a time: what one peer sends need not come from another.
    const mayAsk = !others.some((other) => other.isAwaiting(now));
    const digest = decodeDigest(body);
    const before = synchronisation.state;
    const request = synchronisation.compare(digest, now, mayAsk);
    if (request) this.#parts.tell(peer, request, 'news', now);
    // It learns the same at once.
    if (synchronisation.state !== before) this.sendDigest(peer, now);
    this.#mayVote();
  }

  /**
   * A node that just started may have promised in an earlier life. It votes once it has the records of so many
   * others that no majority is without one of them, or where nobody it sees has voted yet: a first start.
   */
  #mayVote(): void {
    if (this.#votes) return;
    const peers = [...this.#peers.values()];
    const majority = Math.floor((peers.length + 1) / 2) + 1;
    const synchronised = peers.filter(({ state }) => state === 'synchronised').length;
    const present = peers.filter(({ votes }) => votes !== undefined);
    const isFirstStart =
      present.length + 1 >= majority && present.every(({ votes }) => votes === false);
    this.#votes = synchronised >= Math.min(majority, peers.length) || isFirstStart;
    if (this.#votes) this.#digestAt = instant(0);
  }

  #sendChunks(peer: NodeId, synchronisation: PeerSynchronisation, now: Instant): void {
    const { store, tell } = this.#parts;
    for (;;) {
      const chunk = synchronisation.nextChunk();
      if (!chunk) return;
      tell(peer, chunk, 'chunk', now);
      // In the lane of the chunks: it is compared when all of them are in.
      if (chunk.type === MessageType.SNAPSHOT_END) {
        tell(peer, encodeDigest(store, this.#votes), 'end', now);
      }
    }
  }
}

const DIGEST_MILLISECONDS = 1000;
