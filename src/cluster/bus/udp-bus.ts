/**
 * The built-in bus: records in the memory of two to eight nodes, over the mesh of sealed links.
 *
 * A write goes to every node that is there and is told of as each has it; a node that was away gets what it
 * missed when its digest shows that it differs (`record-synchronisation.ts`). Compare-and-set asks a majority. Messages
 * that are not the bus's own pass through, both ways.
 */
import { earliest, type Instant } from '../../wire/instant.ts';
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
import type { Delivery } from './channel.ts';
import { Acceptor, type CasMessage, Proposer } from './compare-and-set.ts';
import { Mesh, type MeshAction, type MeshInput, type MeshSettings } from './mesh.ts';
import { type BusMessage, isKnownMessage, MessageType, unknownAttributes } from './message.ts';
import { encodeRecord, isKey, readRecord } from './record.ts';
import { RecordStore } from './record-store.ts';
import { RecordSynchronisation } from './record-synchronisation.ts';
import { SynchronisationAttribute } from './synchronisation.ts';

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
  readonly #synchronisation: RecordSynchronisation;
  readonly #proposer: Proposer;
  readonly #acceptor = new Acceptor();
  readonly #watches = new Map<number, string>();
  /** What we told our callers of each peer. */
  readonly #told = new Map<NodeId, Member['state']>();
  #actions: UdpBusAction<Tag>[] = [];

  constructor(settings: MeshSettings) {
    const { local, peers, random } = settings;
    this.#settings = settings;
    this.#incarnation = new DataView(random(4).slice().buffer).getUint32(0);
    this.#mesh = new Mesh(settings);
    this.#synchronisation = new RecordSynchronisation({
      store: this.#store,
      peers,
      connected: () => this.#mesh.connected,
      tell: (to, message, as, now) =>
        this.#tell(to, message, as === 'news' ? 'urgent' : 'bulk', SYNCHRONISATION_TAG[as], now),
      apply: (record, now) => this.#apply(record, now),
    });
    const nodes = [local, ...peers];
    this.#proposer = new Proposer({ local, nodes, random, incarnation: this.#incarnation });
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
        this.#proposer.time(now);
        this.#synchronisation.time(now);
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
    return earliest(
      this.#mesh.nextDeadline(),
      this.#proposer.nextDeadline(),
      this.#synchronisation.nextDeadline(),
    );
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
    return [...this.#synchronisation.peers].map(([node, { state }]) => ({ node, state }));
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
    return this.#synchronisation.votes;
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
    if (record.value === undefined) this.#synchronisation.deleted(now);
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
          this.#synchronisation.came(action.peer);
          this.#actions.push(action);
          this.#synchronisation.sendDigest(action.peer, now);
          break;
        case 'down':
          this.#synchronisation.went(action.peer);
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
    if (tag.of === 'chunk') this.#synchronisation.chunkEnded(peer, arrived, now);
  }

  #received(
    action: Extract<MeshAction<InnerTag<Tag>>, { readonly kind: 'received' }>,
    now: Instant,
  ): void {
    const { peer, message } = action;
    if (!this.#synchronisation.has(peer)) return;
    if (!isKnownMessage(message.type)) {
      this.#count('unknown-message');
      return;
    }
    try {
      this.#countAttributes(message);
      if (!this.#isOurs(peer, message, now)) this.#actions.push(action);
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
  #isOurs(peer: NodeId, message: BusMessage, now: Instant): boolean {
    if (message.type === MessageType.RECORD_PUT) {
      const reader = new OctetReader(message.body);
      const record = readRecord(reader);
      reader.end('record');
      if (!this.#apply(record, now)) this.#count('older-record');
      return true;
    }
    if (isSynchronisation(message.type)) return this.#synchronisation.received(peer, message, now);
    const cas = isCas(message.type) ? decodeCas(message) : undefined;
    if (cas) this.#onCasMessage(peer, cas, now);
    return cas !== undefined;
  }

  #onCasMessage(from: NodeId, message: CasMessage, now: Instant): void {
    switch (message.kind) {
      case 'prepare': {
        const record = this.#store.get(message.key);
        this.#tellCas(
          from,
          this.#acceptor.prepare(message, record, this.#synchronisation.votes),
          now,
        );
        break;
      }
      case 'accept': {
        const current = this.#store.get(message.record.key);
        const granted = this.#acceptor.accept(message, current, this.#synchronisation.votes);
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

  #tell(
    to: NodeId,
    message: BusMessage,
    delivery: Delivery,
    tag: InnerTag<Tag>,
    now: Instant,
  ): void {
    const input = { kind: 'message', to, message, delivery, tag } as const;
    this.#onMesh(this.#mesh.handle(input, now), now);
  }

  #tellMembers(): void {
    for (const [node, { state }] of this.#synchronisation.peers) {
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
/** What becomes of a chunk lets the next one leave. */
const SYNCHRONISATION_TAG = {
  news: { of: 'nobody' },
  chunk: { of: 'chunk' },
  end: { of: 'nobody' },
} as const;
