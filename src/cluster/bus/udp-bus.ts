/**
 * The built-in bus: records in the memory of two to eight nodes, over the mesh of sealed links.
 *
 * A write goes to every node that is there and is told of as each has it; a node that was away gets what it
 * missed when its digest shows that it differs (`synchronisation.ts`). Compare-and-set asks a majority. Messages
 * that are not the bus's own pass through, both ways.
 */
import { after, earliest, type Instant, instant } from '../../wire/instant.ts';
import { MalformedError, OctetReader } from '../../wire/octets.ts';
import type { NodeId } from '../node-id.ts';
import {
  type BusEvent,
  type BusRecord,
  type BusRequest,
  MAX_VALUE_OCTETS,
  type Member,
  type RecordReader,
  type RevisionVector,
} from './bus.ts';
import type { BusCounter } from './bus-counters.ts';
import { CasAttribute, decodeCas, encodeCas } from './cas-codec.ts';
import { Acceptor, type CasMessage, Proposer } from './compare-and-set.ts';
import { Mesh, type MeshAction, type MeshInput, type MeshSettings } from './mesh.ts';
import { type BusMessage, isKnownMessage, MessageType, unknownAttributes } from './message.ts';
import { encodeRecord, isKey, readRecord } from './record.ts';
import { RecordStore } from './record-store.ts';
import {
  decodeDigest,
  encodeDigest,
  PeerSynchronisation,
  SynchronisationAttribute,
} from './synchronisation.ts';

export type UdpBusInput<Tag> = MeshInput<Tag> | BusRequest;

export type UdpBusAction<Tag> =
  | MeshAction<Tag>
  | { readonly kind: 'event'; readonly event: BusEvent };

/** What becomes of a message is told to its caller, or is ours. */
type InnerTag<Tag> =
  | { readonly of: 'caller'; readonly tag: Tag }
  | { readonly of: 'record'; readonly id: number }
  | { readonly of: 'chunk' }
  | { readonly of: 'nobody' };

export class UdpBus<Tag> implements RecordReader {
  readonly #settings: MeshSettings;
  readonly #incarnation: number;
  readonly #mesh: Mesh<InnerTag<Tag>>;
  readonly #store = new RecordStore();
  readonly #peers: ReadonlyMap<NodeId, PeerSynchronisation>;
  readonly #proposer: Proposer;
  readonly #acceptor = new Acceptor();
  readonly #watches = new Map<number, string>();
  /** What we told our callers of each peer. */
  readonly #told = new Map<NodeId, Member['state']>();
  #votes = false;
  #digestAt: Instant = instant(0);
  #lastTombstone: Instant | undefined;
  #actions: UdpBusAction<Tag>[] = [];

  constructor(settings: MeshSettings) {
    const { local, peers, random } = settings;
    this.#settings = settings;
    this.#incarnation = new DataView(random(4).slice().buffer).getUint32(0);
    this.#mesh = new Mesh(settings);
    this.#peers = new Map(peers.map((peer) => [peer, new PeerSynchronisation(this.#store)]));
    const nodes = [local, ...peers];
    this.#proposer = new Proposer({ local, nodes, random, incarnation: this.#incarnation });
    this.#votes = peers.length === 0;
  }

  handle(input: UdpBusInput<Tag>, now: Instant): readonly UdpBusAction<Tag>[] {
    switch (input.kind) {
      case 'put':
        this.#put(input, now);
        break;
      case 'compare-and-set':
        this.#compareAndSet(input, now);
        break;
      case 'watch':
        this.#watch(input.id, input.prefix, input.from);
        break;
      case 'unwatch':
        this.#watches.delete(input.id);
        break;
      case 'message':
        this.#tell(input.to, input.message, input.delivery, { of: 'caller', tag: input.tag }, now);
        break;
      case 'time':
        this.#time(now);
        this.#onMesh(this.#mesh.handle(input, now), now);
        break;
      default:
        this.#onMesh(this.#mesh.handle(input, now), now);
    }
    this.#onCas(now);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  nextDeadline(): Instant | undefined {
    return earliest(this.#mesh.nextDeadline(), this.#proposer.nextDeadline(), this.#digestAt);
  }

  get(key: string): BusRecord | undefined {
    return this.#store.get(key);
  }

  snapshot(prefix: string): {
    readonly records: readonly BusRecord[];
    readonly at: RevisionVector;
  } {
    return { records: this.#store.withPrefix(prefix), at: this.#store.known };
  }

  members(): readonly Member[] {
    return [...this.#peers].map(([node, { state }]) => ({ node, state }));
  }

  /** The direct message path beneath, for its metrics. */
  get mesh(): Pick<Mesh<unknown>, 'connected' | 'loadOf' | 'heardFrom'> {
    return this.#mesh;
  }

  /** The parts' digests; the same on nodes that hold the same. */
  get digest(): Uint32Array {
    return this.#store.digest;
  }

  /** Deleted keys that are still remembered, for nodes that may not know. */
  get tombstones(): number {
    return this.#store.tombstones;
  }

  /** Whether this node takes part in compare-and-set. */
  get votes(): boolean {
    return this.#votes;
  }

  #put(request: Extract<BusRequest, { readonly kind: 'put' }>, now: Instant): void {
    const { id, key, value, epoch } = request;
    const tooLarge = !isKey(key) || (value?.length ?? 0) > MAX_VALUE_OCTETS;
    const isOlder = (this.#store.get(key)?.epoch ?? 0) > epoch;
    if (tooLarge || isOlder) {
      this.#event({ kind: 'refused', id, reason: tooLarge ? 'too-large' : 'older-epoch' });
      return;
    }
    const number = this.#store.highest + 1;
    const writer = this.#settings.local;
    const record = {
      key,
      value,
      epoch,
      revision: { number, writer, incarnation: this.#incarnation },
    };
    const awaited = this.#mesh.connected;
    this.#event({ kind: 'written', id, revision: record.revision, awaited });
    this.#apply(record, now);
    const message = { type: MessageType.RECORD_PUT, body: encodeRecord(record) };
    for (const peer of awaited) this.#tell(peer, message, 'urgent', { of: 'record', id }, now);
  }

  #compareAndSet(
    request: Extract<BusRequest, { readonly kind: 'compare-and-set' }>,
    now: Instant,
  ): void {
    const { id, key, value } = request;
    const tooLarge = !isKey(key) || (value?.length ?? 0) > MAX_VALUE_OCTETS;
    if (tooLarge || !this.#proposer.propose(request, this.#store.highest, now)) {
      this.#event({ kind: 'refused', id, reason: tooLarge ? 'too-large' : 'full' });
    }
  }

  #watch(id: number, prefix: string, from: RevisionVector | undefined): void {
    this.#watches.set(id, prefix);
    if (from === undefined) return;
    for (const record of this.#store.since(prefix, from)) {
      this.#event({ kind: 'changed', watch: id, record });
    }
  }

  #apply(record: BusRecord, now: Instant): boolean {
    if (!this.#store.apply(record)) return false;
    if (record.value === undefined) this.#lastTombstone = now;
    for (const [watch, prefix] of this.#watches) {
      if (record.key.startsWith(prefix)) this.#event({ kind: 'changed', watch, record });
    }
    return true;
  }

  #onMesh(actions: readonly MeshAction<InnerTag<Tag>>[], now: Instant): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'received':
          this.#received(action, now);
          break;
        case 'acknowledged':
        case 'undelivered':
        case 'refused':
          this.#fate(action, now);
          break;
        case 'up':
          this.#peers.get(action.peer)?.came();
          this.#actions.push(action);
          this.#sendDigest(action.peer, now);
          break;
        case 'down':
          this.#peers.get(action.peer)?.went();
          this.#actions.push(action);
          break;
        default:
          this.#actions.push(action);
      }
    }
    this.#tellMembers();
  }

  #fate(
    action: Extract<
      MeshAction<InnerTag<Tag>>,
      { readonly kind: 'acknowledged' | 'undelivered' | 'refused' }
    >,
    now: Instant,
  ): void {
    const { tag, peer } = action;
    const arrived = action.kind === 'acknowledged';
    if (tag.of === 'caller') this.#actions.push({ ...action, tag: tag.tag });
    if (tag.of === 'record') {
      this.#event({ kind: arrived ? 'held' : 'not-held', id: tag.id, by: peer });
    }
    if (tag.of === 'chunk') {
      this.#peers.get(peer)?.chunkEnded(arrived);
      if (arrived) this.#sendChunks(peer, now);
    }
  }

  #received(
    action: Extract<MeshAction<InnerTag<Tag>>, { readonly kind: 'received' }>,
    now: Instant,
  ): void {
    const { peer, message } = action;
    const synchronisation = this.#peers.get(peer);
    if (!synchronisation) return;
    if (!isKnownMessage(message.type)) {
      this.#count('unknown-message');
      return;
    }
    try {
      this.#countAttributes(message);
      if (!this.#isOurs(peer, message, synchronisation, now)) this.#actions.push(action);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#count('malformed-message');
    }
  }

  /** What a newer node says beside what we understand is passed over. Throws `MalformedError`. */
  #countAttributes({ type, body }: BusMessage): void {
    const known = isCas(type)
      ? CAS_ATTRIBUTES
      : isSynchronisation(type)
        ? SYNC_ATTRIBUTES
        : undefined;
    if (!known) return;
    const unknown = unknownAttributes(body, known);
    for (let number = 0; number < unknown; number++) this.#count('unknown-attribute');
  }

  /** Whether the message was the bus's own. Throws `MalformedError`. */
  #isOurs(
    peer: NodeId,
    message: BusMessage,
    synchronisation: PeerSynchronisation,
    now: Instant,
  ): boolean {
    switch (message.type) {
      case MessageType.RECORD_PUT: {
        const reader = new OctetReader(message.body);
        const record = readRecord(reader);
        reader.end('record');
        if (!this.#apply(record, now)) this.#count('older-record');
        return true;
      }
      case MessageType.RECORD_DIGEST:
        this.#onDigest(peer, message.body, synchronisation, now);
        return true;
      case MessageType.SNAPSHOT_REQ:
        synchronisation.asked(message.body);
        this.#sendChunks(peer, now);
        return true;
      case MessageType.SNAPSHOT_CHUNK:
        for (const record of synchronisation.received(message.body, now)) this.#apply(record, now);
        return true;
      case MessageType.SNAPSHOT_END:
        synchronisation.ended();
        for (const other of this.#mesh.connected) this.#sendDigest(other, now);
        return true;
      default: {
        const cas = isCas(message.type) ? decodeCas(message) : undefined;
        if (cas) this.#onCasMessage(peer, cas, now);
        return cas !== undefined;
      }
    }
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
    if (request) this.#tell(peer, request, 'urgent', { of: 'nobody' }, now);
    // It learns the same at once.
    if (synchronisation.state !== before) this.#sendDigest(peer, now);
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

  #sendDigest(peer: NodeId, now: Instant): void {
    const message = encodeDigest(this.#store, this.#votes);
    this.#tell(peer, message, 'urgent', { of: 'nobody' }, now);
  }

  #sendChunks(peer: NodeId, now: Instant): void {
    const synchronisation = this.#peers.get(peer);
    for (;;) {
      const chunk = synchronisation?.nextChunk();
      if (!chunk) return;
      this.#tell(peer, chunk, 'bulk', { of: 'chunk' }, now);
      // In the lane of the chunks: it is compared when all of them are in.
      if (chunk.type === MessageType.SNAPSHOT_END) {
        const digest = encodeDigest(this.#store, this.#votes);
        this.#tell(peer, digest, 'bulk', { of: 'nobody' }, now);
      }
    }
  }

  #onCasMessage(from: NodeId, message: CasMessage, now: Instant): void {
    switch (message.kind) {
      case 'prepare': {
        const record = this.#store.get(message.key);
        this.#tellCas(from, this.#acceptor.prepare(message, record, this.#votes), now);
        break;
      }
      case 'accept': {
        const current = this.#store.get(message.record.key);
        const granted = this.#acceptor.accept(message, current, this.#votes);
        if (granted) this.#apply(message.record, now);
        this.#tellCas(from, { kind: 'accepted', ballot: message.ballot, granted }, now);
        break;
      }
      default:
        this.#proposer.answered(from, message, now);
    }
  }

  /** Carries out what the proposer wants; what it tells this node itself may make it want more. */
  #onCas(now: Instant): void {
    for (let actions = this.#proposer.take(); actions.length > 0; actions = this.#proposer.take()) {
      for (const action of actions) {
        if (action.kind === 'event') this.#event(action.event);
        else for (const to of action.to) this.#tellCas(to, action.message, now);
      }
    }
  }

  #tellCas(to: NodeId, message: CasMessage, now: Instant): void {
    if (to === this.#settings.local) this.#onCasMessage(to, message, now);
    else this.#tell(to, encodeCas(message), 'urgent', { of: 'nobody' }, now);
  }

  #time(now: Instant): void {
    this.#proposer.time(now);
    if (now < this.#digestAt) return;
    this.#digestAt = after(now, DIGEST_MILLISECONDS);
    for (const peer of this.#mesh.connected) this.#sendDigest(peer, now);
    const tombstone = this.#lastTombstone;
    const peers = [...this.#peers.values()];
    const isEverywhere = peers.every(
      ({ wasEqualAt }) =>
        tombstone !== undefined && wasEqualAt !== undefined && wasEqualAt > tombstone,
    );
    if (tombstone === undefined || !isEverywhere) return;
    this.#store.forgetTombstones();
    this.#lastTombstone = undefined;
  }

  #tell(
    to: NodeId,
    message: BusMessage,
    delivery: 'urgent' | 'bulk' | 'overtaking',
    tag: InnerTag<Tag>,
    now: Instant,
  ): void {
    const input = { kind: 'message', to, message, delivery, tag } as const;
    this.#onMesh(this.#mesh.handle(input, now), now);
  }

  #tellMembers(): void {
    for (const [node, { state }] of this.#peers) {
      if ((this.#told.get(node) ?? 'gone') === state) continue;
      this.#told.set(node, state);
      this.#event({ kind: 'member', member: { node, state } });
    }
  }

  #event(event: BusEvent): void {
    this.#actions.push({ kind: 'event', event });
  }

  #count(name: BusCounter): void {
    this.#settings.counters.count(name);
  }
}

function isCas(type: number): boolean {
  return type >= MessageType.CAS_PREPARE && type <= MessageType.CAS_ACCEPTED;
}

function isSynchronisation(type: number): boolean {
  return type === MessageType.RECORD_DIGEST || SNAPSHOT_TYPES.includes(type);
}

const SNAPSHOT_TYPES: readonly number[] = [
  MessageType.SNAPSHOT_REQ,
  MessageType.SNAPSHOT_CHUNK,
  MessageType.SNAPSHOT_END,
];
const CAS_ATTRIBUTES: readonly number[] = Object.values(CasAttribute);
const SYNC_ATTRIBUTES: readonly number[] = Object.values(SynchronisationAttribute);
const DIGEST_MILLISECONDS = 1000;
