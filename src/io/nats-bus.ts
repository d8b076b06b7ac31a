/**
 * The cluster bus over NATS JetStream: a bucket of sealed records that outlives the nodes.
 *
 * Requests are answered from this node's copy or put into a queue, so that an engine that is away for ten
 * seconds, or for good, delays nobody; what waits is one value for each key, and goes out when it is back.
 * Every write names the revision it replaces: a node that lost its epoch overwrites nothing. A watch keeps
 * the copy, and brings a joining node all of it first. Take-over and liveness do not come here.
 */
import type { KV, KvWatchEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import {
  type BusEvent,
  type BusRecord,
  type BusRequest,
  MAX_VALUE_OCTETS,
  type Member,
  type RecordReader,
  type Revision,
  type RevisionVector,
} from '../cluster/bus/bus.ts';
import type { KeyRing } from '../cluster/bus/cluster-key.ts';
import { compareRecords, isKey, sameRevision } from '../cluster/bus/record.ts';
import { RecordStore } from '../cluster/bus/record-store.ts';
import { ValueSealer } from '../cluster/bus/sealed-value.ts';
import type { NodeId } from '../cluster/node-id.ts';
import type { RandomBytes } from '../crypto/random.ts';
import { NatsBurial } from './nats-burial.ts';
import {
  checkServer,
  isWrongRevision,
  type NatsBucket,
  type NatsServers,
  openNats,
  serverVerdict,
} from './nats-connection.ts';
import { engineKey, recordKey } from './nats-key.ts';

export interface NatsBusSettings {
  readonly local: NodeId;
  readonly servers: NatsServers;
  readonly bucket: NatsBucket;
  readonly ring: KeyRing;
  readonly random: RandomBytes;
  readonly onEvent: (event: BusEvent) => void;
  readonly onNotice: (notice: NatsNotice) => void;
  /** How long a tombstone stays in the bucket, and how often it is looked whose time has come. */
  readonly holdMilliseconds?: number;
  readonly sweepMilliseconds?: number;
}

/** What an operator may want to know of the engine. */
export type NatsNotice =
  | { readonly kind: 'connected'; readonly server: string; readonly version: string }
  /** Older than 2.11: works, but is not what to begin with. */
  | { readonly kind: 'old-server'; readonly version: string }
  | { readonly kind: 'refused-server'; readonly reason: string }
  | { readonly kind: 'disconnected' }
  /** A value in the bucket that no node of this cluster sealed, or not for that place. */
  | { readonly kind: 'foreign-value'; readonly key: string };

interface Write {
  record: BusRecord;
  /** Requests that are done when it is written: a later value stands for an earlier one. */
  ids: number[];
  readonly expected: { readonly revision: Revision | undefined } | undefined;
  attempts: number;
  isUnderWay: boolean;
  /** It was sent, and what became of it was not heard. */
  mayBeThere: boolean;
}

export class NatsBus implements RecordReader {
  readonly #settings: NatsBusSettings;
  readonly #connection: NatsConnection;
  readonly #kv: KV;
  readonly #sealer: ValueSealer;
  readonly #incarnation: number;
  readonly #store = new RecordStore();
  /** The engine's own revision of each key. */
  readonly #sequences = new Map<string, number>();
  readonly #watches = new Map<number, string>();
  readonly #waiting = new Map<string, Write>();
  readonly #sets: Write[] = [];
  readonly #underWay = new Set<string>();
  readonly #members = new Map<NodeId, Member['state']>();
  readonly #burial: NatsBurial;
  #stopWatch = (): void => {};
  readonly #sweeps: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(
    settings: NatsBusSettings,
    { connection, kv, purge }: Awaited<ReturnType<typeof openNats>>,
  ) {
    this.#settings = settings;
    this.#connection = connection;
    this.#kv = kv;
    this.#burial = new NatsBurial(purge, settings.holdMilliseconds);
    const sweep = (): void => void this.#burial.sweep(performance.now());
    this.#sweeps = setInterval(sweep, settings.sweepMilliseconds ?? SWEEP_MILLISECONDS).unref();
    const { local, ring, random } = settings;
    this.#sealer = new ValueSealer({ bucket: settings.bucket.bucket, local, ring, random });
    this.#incarnation = new DataView(random(4).slice().buffer).getUint32(0);
  }

  /** Connects and answers when this node's copy is complete. */
  static async open(settings: NatsBusSettings): Promise<NatsBus> {
    const bus = new NatsBus(settings, await openNats(settings.servers, settings.bucket));
    bus.#greet();
    void bus.#watchConnection();
    await new Promise<void>((complete) => void bus.#keepCopy(complete));
    bus.handle({ kind: 'put', id: 0, key: memberKey(settings.local), value: PRESENT, epoch: 0 });
    return bus;
  }

  handle(request: BusRequest): void {
    switch (request.kind) {
      case 'put':
        this.#put(request);
        break;
      case 'compare-and-set':
        this.#set(request);
        break;
      case 'watch': {
        const { id, prefix, from } = request;
        this.#watches.set(id, prefix);
        if (from === undefined) break;
        for (const record of this.#store.since(prefix, from)) {
          this.#settings.onEvent({ kind: 'changed', watch: id, record });
        }
        break;
      }
      case 'unwatch':
        this.#watches.delete(request.id);
        break;
      default:
        request satisfies never;
    }
  }

  /** Seals with the first key from now on. */
  set ring(ring: KeyRing) {
    this.#sealer.ring = ring;
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

  /** Nodes that opened the bucket and did not leave. Whether one lives is not known here. */
  members(): readonly Member[] {
    return [...this.#members].map(([node, state]) => ({ node, state }));
  }

  /** Keys whose last value the engine does not have yet. */
  get unwritten(): number {
    return this.#waiting.size + this.#sets.length;
  }

  /** Leaves. What the engine does not have within `milliseconds` it will not get. */
  async close(milliseconds = 2000): Promise<void> {
    if (this.#isClosed) return;
    const key = memberKey(this.#settings.local);
    this.handle({ kind: 'put', id: 0, key, value: undefined, epoch: 0 });
    const end = performance.now() + milliseconds;
    while (this.unwritten > 0 && performance.now() < end) await pause(10);
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#sweeps);
    await this.#connection.close();
  }

  #put(request: Extract<BusRequest, { readonly kind: 'put' }>): void {
    const { id, key, value, epoch } = request;
    const known = this.#store.get(key);
    const refusal = this.#refusal(key, value, (known?.epoch ?? 0) > epoch);
    if (refusal) {
      this.#settings.onEvent({ kind: 'refused', id, reason: refusal });
      return;
    }
    const record = { key, value, epoch, revision: this.#nextRevision() };
    // A value that did not leave yet is replaced by the later one.
    const waiting = this.#waiting.get(key);
    const ids = waiting && !waiting.isUnderWay ? [...waiting.ids, id] : [id];
    this.#apply(record);
    this.#waiting.set(key, {
      record,
      ids,
      expected: undefined,
      attempts: 0,
      isUnderWay: false,
      mayBeThere: false,
    });
    this.#flush();
  }

  #set(request: Extract<BusRequest, { readonly kind: 'compare-and-set' }>): void {
    const { id, key, value, expected } = request;
    const refusal = this.#refusal(key, value, false);
    if (refusal) {
      this.#settings.onEvent({ kind: 'refused', id, reason: refusal });
      return;
    }
    const record = { key, value, epoch: 0, revision: this.#nextRevision() };
    const write = { record, ids: [id], expected: { revision: expected } };
    this.#sets.push({ ...write, attempts: 0, isUnderWay: false, mayBeThere: false });
    this.#flush();
  }

  #refusal(
    key: string,
    value: Uint8Array | undefined,
    isOlder: boolean,
  ): 'too-large' | 'older-epoch' | 'full' | undefined {
    if (!isKey(key) || (value?.length ?? 0) > MAX_VALUE_OCTETS) return 'too-large';
    if (isOlder) return 'older-epoch';
    return this.unwritten >= MOST_WAITING && !this.#waiting.has(key) ? 'full' : undefined;
  }

  #nextRevision(): Revision {
    const writer = this.#settings.local;
    return { number: this.#store.highest + 1, writer, incarnation: this.#incarnation };
  }

  /** Starts as many writes as may be under way, one for each key. */
  #flush(): void {
    if (this.#isClosed) return;
    for (const write of [...this.#sets, ...this.#waiting.values()]) {
      if (this.#underWay.size >= MOST_UNDER_WAY) return;
      const { key } = write.record;
      if (this.#underWay.has(key)) continue;
      this.#underWay.add(key);
      write.isUnderWay = true;
      void this.#write(write).finally(() => {
        this.#underWay.delete(key);
        write.isUnderWay = false;
        if (!this.#retry) setImmediate(() => this.#flush());
      });
    }
  }

  async #write(write: Write): Promise<void> {
    const { record, expected } = write;
    const { key } = record;
    write.attempts++;
    try {
      if (expected && !(await this.#isExpected(write, expected.revision))) return;
      const sealed = this.#sealer.seal(record);
      const known = this.#sequences.get(key) ?? 0;
      write.mayBeThere = true;
      const sequence = await this.#kv.put(engineKey(key), sealed, { previousSeq: known });
      this.#sequences.set(key, Math.max(sequence, this.#sequences.get(key) ?? 0));
      this.#burial.written(key, sequence, record.value === undefined, performance.now());
      this.#apply(record);
      this.#done(write);
    } catch (error) {
      if (this.#isClosed) return;
      if (!isWrongRevision(error)) this.#later(write);
      else if (!expected) await this.#overtaken(write);
      else if (write.attempts === 1) write.mayBeThere = false;
    }
  }

  /** The engine has another revision than we knew: of somebody else, or ours, whose answer was lost. */
  async #overtaken(write: Write): Promise<void> {
    const { record, ids } = write;
    const learned = await this.#learn(record.key);
    if (learned === 'nothing') {
      this.#later(write);
      return;
    }
    const there = learned.record;
    if (there && sameRevision(there.revision, record.revision)) {
      this.#done(write);
      return;
    }
    // Otherwise ours is the later one, and replaces it at the next attempt.
    if (!there || compareRecords(there, record) < 0) return;
    this.#end(write);
    for (const id of ids) {
      const isOlder = there.epoch > record.epoch;
      this.#settings.onEvent(
        isOlder
          ? { kind: 'refused', id, reason: 'older-epoch' }
          : { kind: 'conflict', id, current: there },
      );
    }
  }

  /** Whether a compare-and-set may go on; else its fate is told. Throws when nobody answers. */
  async #isExpected(write: Write, expected: Revision | undefined): Promise<boolean> {
    const { key, revision } = write.record;
    if ((await this.#learn(key)) === 'nothing') throw new Error(`${key}: the engine is away`);
    const current = this.#store.get(key);
    if (sameRevision(current?.revision, revision)) {
      this.#done(write);
      return false;
    }
    const there = current?.value === undefined ? undefined : current.revision;
    if (sameRevision(there, expected)) return true;
    this.#end(write);
    const [id = 0] = write.ids;
    // After a first attempt ours may have been there, and somebody may have built upon it.
    const isClear = !write.mayBeThere;
    this.#settings.onEvent(
      isClear ? { kind: 'conflict', id, current } : { kind: 'refused', id, reason: 'unsettled' },
    );
    return false;
  }

  /** Fetches what the engine has of a key; a copy of it that is behind what we know is no answer. */
  async #learn(key: string): Promise<{ readonly record: BusRecord | undefined } | 'nothing'> {
    try {
      const entry = await this.#kv.get(engineKey(key));
      if (!entry) {
        // Its tombstone was taken away, or this is a copy that is behind: the next attempt shows which.
        this.#sequences.delete(key);
        return { record: undefined };
      }
      if (entry.revision < (this.#sequences.get(key) ?? 0)) return 'nothing';
      const sealed = entry.operation === 'PUT' ? entry.value : undefined;
      return { record: this.#take(key, entry.revision, sealed) };
    } catch {
      return 'nothing';
    }
  }

  /** A compare-and-set waits for the engine only so long; a put as long as it takes. */
  #later(write: Write): void {
    if (write.expected && write.attempts >= MOST_ATTEMPTS) {
      this.#end(write);
      const [id = 0] = write.ids;
      const reason = write.mayBeThere ? 'unsettled' : 'no-majority';
      this.#settings.onEvent({ kind: 'refused', id, reason });
    }
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, RETRY_MILLISECONDS);
  }

  #done(write: Write): void {
    this.#end(write);
    const { revision } = write.record;
    for (const id of write.ids) {
      if (id !== 0) this.#settings.onEvent({ kind: 'written', id, revision, awaited: [] });
    }
  }

  #end(write: Write): void {
    const { key } = write.record;
    if (this.#waiting.get(key) === write) this.#waiting.delete(key);
    const index = this.#sets.indexOf(write);
    if (index >= 0) this.#sets.splice(index, 1);
  }

  async #keepCopy(complete: () => void): Promise<void> {
    while (!this.#isClosed) {
      try {
        if ((await this.#kv.status()).values === 0) complete();
        const watch = await this.#kv.watch();
        this.#stopWatch = () => watch.stop();
        for await (const entry of watch) {
          this.#onEntry(entry);
          if (entry.isUpdate || entry.delta === 0) complete();
        }
      } catch {
        // The engine is away: the copy stays as it is, and all of it comes again.
      }
      if (!this.#isClosed) await pause(RETRY_MILLISECONDS);
    }
  }

  #onEntry(entry: KvWatchEntry): void {
    const key = recordKey(entry.key);
    if (key === undefined) return;
    this.#take(key, entry.revision, entry.operation === 'PUT' ? entry.value : undefined);
  }

  /** What the engine has at one of its revisions: the record, where it is one of ours. */
  #take(key: string, sequence: number, sealed: Uint8Array | undefined): BusRecord | undefined {
    if (sequence < (this.#sequences.get(key) ?? 0)) return undefined;
    this.#sequences.set(key, sequence);
    if (sealed === undefined) return undefined;
    const record = this.#sealer.open(key, sealed);
    if (record === undefined) this.#settings.onNotice({ kind: 'foreign-value', key });
    else this.#apply(record);
    return record;
  }

  #apply(record: BusRecord): void {
    if (!this.#store.apply(record)) return;
    for (const [watch, prefix] of this.#watches) {
      if (record.key.startsWith(prefix)) {
        this.#settings.onEvent({ kind: 'changed', watch, record });
      }
    }
    const node = memberOf(record.key);
    if (node === undefined || node === this.#settings.local) return;
    const state = record.value === undefined ? 'gone' : 'synchronised';
    if (this.#members.get(node) === state) return;
    this.#members.set(node, state);
    this.#settings.onEvent({ kind: 'member', member: { node, state } });
  }

  async #watchConnection(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#settings.onNotice({ kind: 'disconnected' });
      if (status.type === 'reconnect') {
        this.#greet();
        // What came meanwhile is asked for at once, not when the library misses a sign of life.
        this.#stopWatch();
        this.#flush();
      }
    }
  }

  /** Looks at the server we are with now. */
  #greet(): void {
    const { version = 'unknown', server_name: server = '' } = this.#connection.info ?? {};
    try {
      checkServer(this.#connection);
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      this.#settings.onNotice({ kind: 'refused-server', reason });
      void this.#connection.reconnect();
      return;
    }
    this.#settings.onNotice({ kind: 'connected', server, version });
    if (serverVerdict(version) === 'old') this.#settings.onNotice({ kind: 'old-server', version });
  }
}

function memberKey(node: NodeId): string {
  return `member/${node}`;
}

function memberOf(key: string): NodeId | undefined {
  const [, digits] = /^member\/(\d+)$/.exec(key) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const PRESENT = Uint8Array.of(1);
const MOST_WAITING = 65_536;
const MOST_UNDER_WAY = 64;
const RETRY_MILLISECONDS = 100;
const SWEEP_MILLISECONDS = 60_000;
const MOST_ATTEMPTS = 20;
