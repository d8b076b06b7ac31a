/**
 * The records of address pools on all nodes: each has a copy, which spread as they are written, by digests
 * when something went past somebody, and by comparison when a node must know what a majority does.
 *
 * The path between nodes keeps the order of messages and repeats them as long as a session lasts; whoever
 * carries them says who is connected. Compare-and-set asks a majority. Of two nodes the holder of a share may
 * change it alone: the other has no majority without it.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { OctetReader } from '../../wire/octets.ts';
import type { BusEvent, BusRecord, BusRequest } from '../bus/bus.ts';
import { decodeCas, encodeCas } from '../bus/cas-codec.ts';
import type { Delivery } from '../bus/channel.ts';
import { Acceptor, type CasMessage, Proposer } from '../bus/compare-and-set.ts';
import { type BusMessage, MessageType } from '../bus/message.ts';
import { BUCKETS, encodeRecord, readRecord } from '../bus/record.ts';
import { RecordStore } from '../bus/record-store.ts';
import { RecordSynchronisation } from '../bus/record-synchronisation.ts';
import { decodeDigest, encodeDigest } from '../bus/synchronisation.ts';
import type { NodeId } from '../node-id.ts';
import {
  decodePoolMessage,
  decodeRecords,
  encodePoolMessage,
  encodeRecords,
  PoolMessageKind,
} from './pool-message.ts';

export interface PoolRecordsSettings {
  readonly local: NodeId;
  readonly peers: readonly NodeId[];
  /** Of this process, among all that this node ever has. */
  readonly incarnation: number;
  readonly random: RandomBytes;
}

type PutRequest = Extract<BusRequest, { readonly kind: 'put' }>;
type SetRequest = Extract<BusRequest, { readonly kind: 'compare-and-set' }>;

export type PoolRecordsAction =
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly message: BusMessage;
      readonly delivery: Delivery;
    }
  /** What came of a request. */
  | { readonly kind: 'event'; readonly event: BusEvent }
  /** This node's copy has a value that this node did not simply put. */
  | { readonly kind: 'record'; readonly record: BusRecord }
  /** All that `by` has is here. */
  | { readonly kind: 'compared'; readonly by: NodeId };

/** Somebody is to say that it has a message. */
interface Awaited {
  readonly to: NodeId;
  /** The request that it carries; unset: a part of what was asked for. */
  readonly request?: number;
  readonly until: Instant;
}

export class PoolRecords {
  readonly #settings: PoolRecordsSettings;
  readonly #store = new RecordStore();
  readonly #synchronisation: RecordSynchronisation;
  readonly #acceptor = new Acceptor();
  readonly #proposer: Proposer;
  /** What needs nobody else's word. */
  readonly #alone: Proposer;
  readonly #connected = new Set<NodeId>();
  /** Somebody vouches that they do not run. */
  readonly #dead = new Set<NodeId>();
  readonly #awaited = new Map<number, Awaited>();
  readonly #comparing = new Map<NodeId, number>();
  #lastNumber = 0;
  #changes = 0;
  #actions: PoolRecordsAction[] = [];

  constructor(settings: PoolRecordsSettings) {
    const { local, peers, incarnation, random } = settings;
    this.#settings = settings;
    const nodes = [local, ...peers];
    this.#proposer = new Proposer({ local, incarnation, random, nodes });
    this.#alone = new Proposer({ local, incarnation, random, nodes: [local] });
    this.#synchronisation = new RecordSynchronisation({
      store: this.#store,
      peers,
      connected: () => this.#connected,
      tell: (to, message, as, now) => this.#share(to, message, as, now),
      apply: (record) => this.#apply(record),
    });
  }

  /** Whether this node may say that it knows what was agreed upon. */
  get votes(): boolean {
    return this.#synchronisation.votes || this.isLast;
  }

  /** Of all nodes this one is known to be the only one that runs. */
  get isLast(): boolean {
    return this.#dead.size === this.#settings.peers.length;
  }

  /** An operator, or a fence, vouches that this node does not run. */
  vouchDead(node: NodeId): void {
    const { peers } = this.#settings;
    if (peers.includes(node) && !this.#connected.has(node)) this.#dead.add(node);
  }

  /** Counts what happened to this copy. */
  get changes(): number {
    return this.#changes;
  }

  withPrefix(prefix: string): readonly BusRecord[] {
    return this.#store.withPrefix(prefix);
  }

  /** Records of an earlier life. */
  restore(records: Iterable<BusRecord>): void {
    for (const record of records) this.#apply(record);
  }

  drain(): readonly PoolRecordsAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** Who can be told something from now on. */
  connect(nodes: readonly NodeId[], now: Instant): void {
    for (const node of [...this.#connected]) if (!nodes.includes(node)) this.#went(node);
    for (const node of nodes) {
      if (this.#connected.has(node) || !this.#synchronisation.has(node)) continue;
      this.#connected.add(node);
      this.#dead.delete(node);
      this.#synchronisation.came(node);
      this.#synchronisation.sendDigest(node, now);
    }
  }

  put({ id, key, value, epoch }: PutRequest, now: Instant): void {
    const isOlder = (this.#store.get(key)?.epoch ?? 0) > epoch;
    if (isOlder || (value?.length ?? 0) > MOST_OCTETS) {
      this.#event({ kind: 'refused', id, reason: isOlder ? 'older-epoch' : 'too-large' });
      return;
    }
    const { local: writer, incarnation } = this.#settings;
    const revision = { number: this.#store.highest + 1, writer, incarnation };
    const record = { key, value, epoch, revision };
    const awaited = [...this.#connected];
    this.#store.apply(record);
    this.#changes++;
    this.#event({ kind: 'written', id, revision, awaited });
    const message = { type: MessageType.RECORD_PUT, body: encodeRecord(record) };
    for (const by of this.#settings.peers) {
      if (!this.#connected.has(by)) this.#event({ kind: 'not-held', id, by });
    }
    for (const to of awaited) {
      const until = after(now, ANSWER_MS);
      this.#tell(to, message, 'urgent', this.#await({ to, request: id, until }));
    }
  }

  /** `isHeld`: this node holds the share that the key is of. */
  compareAndSet(request: SetRequest, isHeld: boolean, now: Instant): void {
    const isKeptHere = isHeld && this.#settings.peers.length <= 1 && this.#connected.size === 0;
    const isKeeper = isKeptHere || this.isLast;
    const proposer = isKeeper ? this.#alone : this.#proposer;
    if (!proposer.propose(request, this.#store.highest, now)) {
      this.#event({ kind: 'refused', id: request.id, reason: 'full' });
    }
    this.#onCas(now);
  }

  /** Everybody who is there is asked for what is otherwise there; again, those who have not said so. */
  compare(nodes: Iterable<NodeId>): void {
    const { body } = encodeDigest(this.#store, this.votes);
    for (const to of nodes) {
      const number = ++this.#lastNumber;
      this.#comparing.set(to, number);
      this.#tell(to, { type: PoolMessageKind.COMPARE, body }, 'urgent', number);
    }
  }

  /** Throws `MalformedError`. */
  received(from: NodeId, message: BusMessage, now: Instant): void {
    if (!this.#synchronisation.has(from)) return;
    const { kind, body, number } = decodePoolMessage(message);
    switch (kind) {
      case MessageType.ACK:
        this.#acknowledged(number, true, now);
        return;
      case PoolMessageKind.COMPARE:
        this.#answerComparison(from, body, number);
        return;
      case PoolMessageKind.COMPARED:
        for (const record of decodeRecords(body)) this.#apply(record);
        if (body.length > 0 || this.#comparing.get(from) !== number) return;
        this.#comparing.delete(from);
        this.#actions.push({ kind: 'compared', by: from });
        return;
      case MessageType.RECORD_PUT: {
        const reader = new OctetReader(body);
        const record = readRecord(reader);
        reader.end('record');
        this.#apply(record);
        break;
      }
      default: {
        const inner = { type: kind, body };
        if (this.#synchronisation.received(from, inner, now)) break;
        // What a newer node says beside is passed over.
        const cas = isCas(kind) ? decodeCas(inner) : undefined;
        if (cas) this.#onCasMessage(from, cas, now);
      }
    }
    if (number > 0) this.#tell(from, { type: MessageType.ACK, body: NOTHING }, 'urgent', number);
    this.#onCas(now);
  }

  time(now: Instant): void {
    this.#proposer.time(now);
    this.#alone.time(now);
    this.#synchronisation.time(now);
    for (const [number, { until }] of this.#awaited) {
      if (now < until) break;
      this.#acknowledged(number, false, now);
    }
    this.#onCas(now);
  }

  nextDeadline(): Instant | undefined {
    const [first] = this.#awaited.values();
    return earliest(
      this.#proposer.nextDeadline(),
      this.#alone.nextDeadline(),
      this.#synchronisation.nextDeadline(),
      first?.until,
    );
  }

  #went(node: NodeId): void {
    this.#connected.delete(node);
    this.#comparing.delete(node);
    this.#synchronisation.went(node);
    for (const [number, { to, request }] of [...this.#awaited]) {
      if (to !== node) continue;
      this.#awaited.delete(number);
      if (request !== undefined) this.#event({ kind: 'not-held', id: request, by: node });
    }
  }

  #acknowledged(number: number, arrived: boolean, now: Instant): void {
    const awaited = this.#awaited.get(number);
    if (!awaited) return;
    this.#awaited.delete(number);
    const { to, request } = awaited;
    if (request === undefined) this.#synchronisation.chunkEnded(to, arrived, now);
    else this.#event({ kind: arrived ? 'held' : 'not-held', id: request, by: to });
  }

  #answerComparison(to: NodeId, body: Uint8Array, number: number): void {
    const theirs = decodeDigest(body).words;
    const ours = this.#store.digest;
    const differ = Array.from({ length: BUCKETS }, (_, bucket) => bucket).filter((bucket) =>
      [2 * bucket, 2 * bucket + 1].some((word) => ours[word] !== theirs[word]),
    );
    const records = differ
      .flatMap((bucket) => this.#store.keysOf(bucket))
      .flatMap((key) => this.#store.get(key) ?? []);
    const type = PoolMessageKind.COMPARED;
    for (const some of encodeRecords(records)) {
      this.#tell(to, { type, body: some }, 'urgent', number);
    }
    this.#tell(to, { type, body: NOTHING }, 'urgent', number);
  }

  #apply(record: BusRecord): void {
    if (!this.#store.apply(record)) return;
    this.#changes++;
    this.#actions.push({ kind: 'record', record });
  }

  #share(to: NodeId, message: BusMessage, as: 'news' | 'chunk' | 'end', now: Instant): void {
    const number = as === 'chunk' ? this.#await({ to, until: after(now, ANSWER_MS) }) : 0;
    this.#tell(to, message, as === 'news' ? 'urgent' : 'bulk', number);
  }

  #onCasMessage(from: NodeId, message: CasMessage, now: Instant): void {
    const { votes } = this;
    if (message.kind === 'prepare') {
      const record = this.#store.get(message.key);
      this.#tellCas(from, this.#acceptor.prepare(message, record, votes), now);
    } else if (message.kind === 'accept') {
      const current = this.#store.get(message.record.key);
      const granted = this.#acceptor.accept(message, current, votes);
      if (granted) this.#apply(message.record);
      this.#tellCas(from, { kind: 'accepted', ballot: message.ballot, granted }, now);
    } else {
      this.#proposer.answered(from, message, now);
    }
  }

  /** What this node tells itself may make it want more. */
  #onCas(now: Instant): void {
    const { local } = this.#settings;
    let isBusy = true;
    while (isBusy) {
      isBusy = false;
      for (const action of this.#proposer.take()) {
        isBusy = true;
        if (action.kind === 'event') this.#event(action.event);
        else for (const to of action.to) this.#tellCas(to, action.message, now);
      }
      for (const action of this.#alone.take()) {
        isBusy = true;
        if (action.kind === 'event') this.#event(action.event);
        else this.#answerAlone(action.message, local, now);
      }
    }
  }

  #answerAlone(message: CasMessage, local: NodeId, now: Instant): void {
    if (message.kind === 'prepare') {
      const record = this.#store.get(message.key);
      const answer = this.#acceptor.prepare(message, record, this.votes);
      if (answer.kind === 'promise') this.#alone.answered(local, answer, now);
    } else if (message.kind === 'accept') {
      const current = this.#store.get(message.record.key);
      const granted = this.#acceptor.accept(message, current, this.votes);
      if (granted) this.#apply(message.record);
      this.#alone.answered(local, { kind: 'accepted', ballot: message.ballot, granted }, now);
    }
  }

  #tellCas(to: NodeId, message: CasMessage, now: Instant): void {
    if (to === this.#settings.local) this.#onCasMessage(to, message, now);
    else this.#tell(to, encodeCas(message), 'urgent', 0);
  }

  #tell(to: NodeId, { type: kind, body }: BusMessage, delivery: Delivery, number: number): void {
    if (!this.#connected.has(to)) return;
    const message = encodePoolMessage({ kind, body, number });
    this.#actions.push({ kind: 'tell', to, message, delivery });
  }

  #await(awaited: Awaited): number {
    this.#awaited.set(++this.#lastNumber, awaited);
    return this.#lastNumber;
  }

  #event(event: BusEvent): void {
    this.#actions.push({ kind: 'event', event });
  }
}

function isCas(kind: number): boolean {
  return kind >= MessageType.CAS_PREPARE && kind <= MessageType.CAS_ACCEPTED;
}

const NOTHING = new Uint8Array(0);
/** Octets of a value: of all that clients are named by. */
const MOST_OCTETS = 16_384;
/** Who says nothing for so long never got it: it is told by digests. */
const ANSWER_MS = 5000;
