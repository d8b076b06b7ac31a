/**
 * The cluster bus over NATS JetStream: a bucket of sealed records that outlives the nodes.
 *
 * Requests are answered from this node's copy or put into a queue, so that an engine that is away for ten
 * seconds, or for good, delays nobody; what waits is one value for each key, and goes out when it is back.
 * Every write names the revision it replaces: a node that lost its epoch overwrites nothing. A watch keeps
 * the copy, and brings a joining node all of it first. Take-over and liveness do not come here.
 */
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
import { isKey } from '../cluster/bus/record.ts';
import { ValueSealer } from '../cluster/bus/sealed-value.ts';
import type { NodeId } from '../cluster/node-id.ts';
import type { RandomBytes } from '../crypto/random.ts';
import { NatsBurial } from './nats-burial.ts';
import {
  checkServer,
  type NatsBucket,
  type NatsServers,
  openNats,
  serverVerdict,
} from './nats-connection.ts';
import { memberKey, NatsCopy } from './nats-copy.ts';
import { NatsWrites } from './nats-writes.ts';

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

export class NatsBus implements RecordReader {
  readonly #settings: NatsBusSettings;
  readonly #connection: NatsConnection;
  readonly #sealer: ValueSealer;
  readonly #copy: NatsCopy;
  readonly #writes: NatsWrites;
  readonly #incarnation: number;
  readonly #sweeps: NodeJS.Timeout;
  #isClosed = false;

  private constructor(
    settings: NatsBusSettings,
    { connection, kv, purge }: Awaited<ReturnType<typeof openNats>>,
  ) {
    const { local, ring, random, onNotice } = settings;
    this.#settings = settings;
    this.#connection = connection;
    this.#incarnation = new DataView(random(4).slice().buffer).getUint32(0);
    const sealer = new ValueSealer({ bucket: settings.bucket.bucket, local, ring, random });
    const burial = new NatsBurial(purge, settings.holdMilliseconds);
    // What the bus writes for itself has number 0, and nobody waits for it.
    const onEvent = (event: BusEvent): void => {
      if (!('id' in event) || event.id !== OWN) settings.onEvent(event);
    };
    const onForeignValue = (key: string): void => onNotice({ kind: 'foreign-value', key });
    this.#sealer = sealer;
    this.#copy = new NatsCopy({ local, kv, sealer, onEvent, onForeignValue });
    this.#writes = new NatsWrites({ kv, sealer, copy: this.#copy, burial, onEvent });
    const sweep = (): void => void burial.sweep(performance.now());
    this.#sweeps = setInterval(sweep, settings.sweepMilliseconds ?? SWEEP_MILLISECONDS).unref();
  }

  /** Connects and answers when this node's copy is complete. */
  static async open(settings: NatsBusSettings): Promise<NatsBus> {
    const bus = new NatsBus(settings, await openNats(settings.servers, settings.bucket));
    bus.#greet();
    void bus.#watchConnection();
    await new Promise<void>((complete) => void bus.#copy.keep(complete));
    const key = memberKey(settings.local);
    bus.handle({ kind: 'put', id: OWN, key, value: PRESENT, epoch: 0 });
    return bus;
  }

  /** Answers at once; what becomes of it is an event, now or later. */
  handle(request: BusRequest): void {
    switch (request.kind) {
      case 'put':
        this.#put(request);
        break;
      case 'compare-and-set':
        this.#set(request);
        break;
      case 'watch':
        this.#copy.watch(request);
        break;
      case 'unwatch':
        this.#copy.unwatch(request.id);
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
    return this.#copy.get(key);
  }

  snapshot(prefix: string): {
    readonly records: readonly BusRecord[];
    readonly at: RevisionVector;
  } {
    return this.#copy.snapshot(prefix);
  }

  /** Nodes that opened the bucket and did not leave. Whether one lives is not known here. */
  members(): readonly Member[] {
    return this.#copy.members;
  }

  /** Writes that the engine does not have yet. */
  get unwritten(): number {
    return this.#writes.size;
  }

  /** Leaves. What the engine does not have within `milliseconds` it will not get. */
  async close(milliseconds = 2000): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const key = memberKey(this.#settings.local);
    this.handle({ kind: 'put', id: OWN, key, value: undefined, epoch: 0 });
    const end = performance.now() + milliseconds;
    while (this.unwritten > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
    clearInterval(this.#sweeps);
    this.#writes.close();
    this.#copy.close();
    await this.#connection.close();
  }

  #put(request: Extract<BusRequest, { readonly kind: 'put' }>): void {
    const { id, key, value, epoch } = request;
    const isOlder = (this.#copy.get(key)?.epoch ?? 0) > epoch;
    if (this.#isRefused(id, key, value, isOlder)) return;
    const record = { key, value, epoch, revision: this.#nextRevision() };
    this.#copy.apply(record);
    this.#writes.put(record, id);
  }

  #set(request: Extract<BusRequest, { readonly kind: 'compare-and-set' }>): void {
    const { id, key, value, expected } = request;
    if (this.#isRefused(id, key, value, false)) return;
    const record = { key, value, epoch: 0, revision: this.#nextRevision() };
    this.#writes.set(record, id, expected);
  }

  #isRefused(id: number, key: string, value: Uint8Array | undefined, isOlder: boolean): boolean {
    const isTooLarge = !isKey(key) || (value?.length ?? 0) > MAX_VALUE_OCTETS;
    if (!isTooLarge && !isOlder && this.#writes.hasRoomFor(key)) return false;
    const reason = isTooLarge ? 'too-large' : isOlder ? 'older-epoch' : 'full';
    this.#settings.onEvent({ kind: 'refused', id, reason });
    return true;
  }

  #nextRevision(): Revision {
    const writer = this.#settings.local;
    return { number: this.#copy.highest + 1, writer, incarnation: this.#incarnation };
  }

  async #watchConnection(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#settings.onNotice({ kind: 'disconnected' });
      if (status.type === 'reconnect') {
        this.#greet();
        this.#copy.refresh();
        this.#writes.flush();
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

const PRESENT = Uint8Array.of(1);
/** Number of the bus's own requests. */
const OWN = 0;
const SWEEP_MILLISECONDS = 60_000;
const LOOK_MILLISECONDS = 10;
