/**
 * This node's copy of the bucket of the NATS bus: kept by a watch, complete before the bus is opened.
 *
 * Every value is opened here, and what no node of the cluster sealed for its place is told and left alone. Beside
 * the records stand the engine's own revisions, which each write names.
 */
import type { KV } from '@nats-io/kv';
import type {
  BusEvent,
  BusRecord,
  BusRequest,
  Member,
  RevisionVector,
} from '../cluster/bus/bus.ts';
import { RecordStore } from '../cluster/bus/record-store.ts';
import type { ValueSealer } from '../cluster/bus/sealed-value.ts';
import type { NodeId } from '../cluster/node-id.ts';
import { engineKey, recordKey } from './nats-key.ts';

export interface NatsCopySettings {
  readonly local: NodeId;
  readonly kv: KV;
  readonly sealer: ValueSealer;
  readonly onEvent: (event: BusEvent) => void;
  readonly onForeignValue: (key: string) => void;
}

export class NatsCopy {
  readonly #settings: NatsCopySettings;
  readonly #store = new RecordStore();
  readonly #sequences = new Map<string, number>();
  readonly #watches = new Map<number, string>();
  readonly #members = new Map<NodeId, Member['state']>();
  #stopWatch = (): void => {};
  #isClosed = false;

  constructor(settings: NatsCopySettings) {
    this.#settings = settings;
  }

  get(key: string): BusRecord | undefined {
    return this.#store.get(key);
  }

  /** The highest revision number seen. */
  get highest(): number {
    return this.#store.highest;
  }

  snapshot(prefix: string): {
    readonly records: readonly BusRecord[];
    readonly at: RevisionVector;
  } {
    return { records: this.#store.withPrefix(prefix), at: this.#store.known };
  }

  get members(): readonly Member[] {
    return [...this.#members].map(([node, state]) => ({ node, state }));
  }

  watch({ id, prefix, from }: Extract<BusRequest, { readonly kind: 'watch' }>): void {
    this.#watches.set(id, prefix);
    if (from === undefined) return;
    for (const record of this.#store.since(prefix, from)) {
      this.#settings.onEvent({ kind: 'changed', watch: id, record });
    }
  }

  unwatch(id: number): void {
    this.#watches.delete(id);
  }

  /** The engine's revision of a key, 0 where it has none. */
  sequenceOf(key: string): number {
    return this.#sequences.get(key) ?? 0;
  }

  /** The engine took a write of ours. */
  written(record: BusRecord, sequence: number): void {
    this.#sequences.set(record.key, Math.max(sequence, this.sequenceOf(record.key)));
    this.apply(record);
  }

  /** A record of ours has its place here before the engine has it. */
  apply(record: BusRecord): void {
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

  /**
   * Asks the engine for a key. `nothing`: it does not answer, or with something older than what we know, as a
   * server may that is behind.
   */
  async learn(key: string): Promise<{ readonly record: BusRecord | undefined } | 'nothing'> {
    try {
      const entry = await this.#settings.kv.get(engineKey(key));
      if (!entry) {
        // Its tombstone was taken away, or the server is behind: the next attempt shows which.
        this.#sequences.delete(key);
        return { record: undefined };
      }
      if (entry.revision < this.sequenceOf(key)) return 'nothing';
      const sealed = entry.operation === 'PUT' ? entry.value : undefined;
      return { record: this.#take(key, entry.revision, sealed) };
    } catch {
      return 'nothing';
    }
  }

  /** Keeps the copy until it is closed; `complete` is called when all of the bucket has come. */
  async keep(complete: () => void): Promise<void> {
    const { kv } = this.#settings;
    while (!this.#isClosed) {
      try {
        if ((await kv.status()).values === 0) complete();
        const watch = await kv.watch();
        this.#stopWatch = () => watch.stop();
        for await (const entry of watch) {
          const key = recordKey(entry.key);
          const sealed = entry.operation === 'PUT' ? entry.value : undefined;
          if (key !== undefined) this.#take(key, entry.revision, sealed);
          if (entry.isUpdate || entry.delta === 0) complete();
        }
      } catch {
        // The engine is away: the copy stays as it is, and all of it comes again.
      }
      if (!this.#isClosed) await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    }
  }

  /** What came while a server was away is asked for now, not when the library misses a sign of life. */
  refresh(): void {
    this.#stopWatch();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopWatch();
  }

  /** What the engine has at one of its revisions: the record, where it is one of ours. */
  #take(key: string, sequence: number, sealed: Uint8Array | undefined): BusRecord | undefined {
    if (sequence < this.sequenceOf(key)) return undefined;
    this.#sequences.set(key, sequence);
    if (sealed === undefined) return undefined;
    const record = this.#settings.sealer.open(key, sealed);
    if (record === undefined) this.#settings.onForeignValue(key);
    else this.apply(record);
    return record;
  }
}

/** Where a node says that it opened the bucket. */
export function memberKey(node: NodeId): string {
  return `member/${node}`;
}

function memberOf(key: string): NodeId | undefined {
  const [, digits] = /^member\/(\d+)$/.exec(key) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

const PAUSE_MILLISECONDS = 100;
