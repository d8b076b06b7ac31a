/**
 * Writes on their way to the engine of the NATS bus: one value for each key, and compare-and-sets.
 *
 * A put waits as long as the engine is away; a compare-and-set only so long. Each names the revision it
 * replaces. Who lost the race for a key learns what is there now, and is told what became of his write.
 */
import type { KV } from '@nats-io/kv';
import type { BusEvent, BusRecord, Revision } from '../cluster/bus/bus.ts';
import { compareRecords, sameRevision } from '../cluster/bus/record.ts';
import type { ValueSealer } from '../cluster/bus/sealed-value.ts';
import type { NatsBurial } from './nats-burial.ts';
import { isWrongRevision } from './nats-connection.ts';
import type { NatsCopy } from './nats-copy.ts';
import { engineKey } from './nats-key.ts';

export interface NatsWritesSettings {
  readonly kv: KV;
  readonly sealer: ValueSealer;
  readonly copy: NatsCopy;
  readonly burial: NatsBurial;
  readonly onEvent: (event: BusEvent) => void;
}

interface Write {
  readonly record: BusRecord;
  /** Requests that are done when it is written: a later value stands for an earlier one. */
  readonly ids: readonly number[];
  /** Of a compare-and-set. */
  readonly expected: { readonly revision: Revision | undefined } | undefined;
  attempts: number;
  isUnderWay: boolean;
  /** It was sent, and what became of it was not heard. */
  mayBeThere: boolean;
}

export class NatsWrites {
  readonly #settings: NatsWritesSettings;
  readonly #puts = new Map<string, Write>();
  readonly #sets: Write[] = [];
  readonly #underWay = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: NatsWritesSettings) {
    this.#settings = settings;
  }

  /** Writes that the engine does not have yet. */
  get size(): number {
    return this.#puts.size + this.#sets.length;
  }

  /** Whether a write of the key can be taken. */
  hasRoomFor(key: string): boolean {
    return this.size < MOST_WAITING || this.#puts.has(key);
  }

  put(record: BusRecord, id: number): void {
    // A value that did not leave yet is replaced by the later one.
    const waiting = this.#puts.get(record.key);
    const ids = waiting && !waiting.isUnderWay ? [...waiting.ids, id] : [id];
    this.#puts.set(record.key, newWrite(record, ids, undefined));
    this.flush();
  }

  set(record: BusRecord, id: number, revision: Revision | undefined): void {
    this.#sets.push(newWrite(record, [id], { revision }));
    this.flush();
  }

  /** Starts as many writes as may be under way, one for each key. */
  flush(): void {
    if (this.#isClosed) return;
    for (const write of [...this.#sets, ...this.#puts.values()]) {
      if (this.#underWay.size >= MOST_UNDER_WAY) return;
      const { key } = write.record;
      if (this.#underWay.has(key)) continue;
      this.#underWay.add(key);
      write.isUnderWay = true;
      void this.#write(write).finally(() => {
        this.#underWay.delete(key);
        write.isUnderWay = false;
        if (!this.#retry) setImmediate(() => this.flush());
      });
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
  }

  async #write(write: Write): Promise<void> {
    const { kv, sealer, copy, burial } = this.#settings;
    const { record, expected } = write;
    const { key } = record;
    write.attempts++;
    try {
      if (expected && !(await this.#isExpected(write, expected.revision))) return;
      const sealed = sealer.seal(record);
      write.mayBeThere = true;
      const previousSeq = copy.sequenceOf(key);
      const sequence = await kv.put(engineKey(key), sealed, { previousSeq });
      burial.written(key, sequence, record.value === undefined, performance.now());
      copy.written(record, sequence);
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
    const learned = await this.#settings.copy.learn(record.key);
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
    const isOlder = there.epoch > record.epoch;
    this.#end(write);
    for (const id of ids) {
      this.#settings.onEvent(
        isOlder
          ? { kind: 'refused', id, reason: 'older-epoch' }
          : { kind: 'conflict', id, current: there },
      );
    }
  }

  /** Whether a compare-and-set may go on; else its fate is told. Throws when nobody answers. */
  async #isExpected(write: Write, expected: Revision | undefined): Promise<boolean> {
    const { copy, onEvent } = this.#settings;
    const { key, revision } = write.record;
    if ((await copy.learn(key)) === 'nothing') throw new Error(`${key}: the engine is away`);
    const current = copy.get(key);
    if (sameRevision(current?.revision, revision)) {
      this.#done(write);
      return false;
    }
    const there = current?.value === undefined ? undefined : current.revision;
    if (sameRevision(there, expected)) return true;
    this.#end(write);
    const [id = 0] = write.ids;
    // Once ours may have been there, somebody may have built upon it.
    onEvent(
      write.mayBeThere
        ? { kind: 'refused', id, reason: 'unsettled' }
        : { kind: 'conflict', id, current },
    );
    return false;
  }

  #later(write: Write): void {
    if (write.expected && write.attempts >= MOST_ATTEMPTS) {
      this.#end(write);
      const [id = 0] = write.ids;
      const reason = write.mayBeThere ? 'unsettled' : 'no-majority';
      this.#settings.onEvent({ kind: 'refused', id, reason });
    }
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, RETRY_MILLISECONDS);
  }

  #done(write: Write): void {
    this.#end(write);
    const { revision } = write.record;
    for (const id of write.ids) {
      this.#settings.onEvent({ kind: 'written', id, revision, awaited: [] });
    }
  }

  #end(write: Write): void {
    const { key } = write.record;
    if (this.#puts.get(key) === write) this.#puts.delete(key);
    const index = this.#sets.indexOf(write);
    if (index >= 0) this.#sets.splice(index, 1);
  }
}

function newWrite(record: BusRecord, ids: readonly number[], expected: Write['expected']): Write {
  return { record, ids, expected, attempts: 0, isUnderWay: false, mayBeThere: false };
}

const MOST_WAITING = 65_536;
const MOST_UNDER_WAY = 64;
const RETRY_MILLISECONDS = 100;
const MOST_ATTEMPTS = 20;
