/**
 * This node's copy of all records, with a digest in parts and the tombstones of what was deleted.
 *
 * `apply` keeps the later of two values, so that the order in which they come does not matter. A tombstone
 * stays as long as some node may still have what it deletes; beyond the bound the oldest go.
 */
import type { NodeId } from '../node-id.ts';
import type { BusRecord, RevisionVector } from './bus.ts';
import { BUCKETS, compareRecords, recordHash } from './record.ts';

export class RecordStore {
  readonly #records = new Map<string, { readonly record: BusRecord; readonly bucket: number }>();
  /** Keys by bucket, for what one node sends another. */
  readonly #buckets: readonly Set<string>[] = Array.from({ length: BUCKETS }, () => new Set());
  readonly #digest = new Uint32Array(2 * BUCKETS);
  readonly #known = new Map<NodeId, number>();
  /** In the order of their coming. */
  readonly #tombstones = new Set<string>();
  readonly #mostTombstones: number;
  #highest = 0;

  constructor(mostTombstones = MOST_TOMBSTONES) {
    this.#mostTombstones = mostTombstones;
  }

  get(key: string): BusRecord | undefined {
    return this.#records.get(key)?.record;
  }

  /** Whether the record was later than what was there. */
  apply(record: BusRecord): boolean {
    const { number, writer } = record.revision;
    this.#highest = Math.max(this.#highest, number);
    this.#known.set(writer, Math.max(this.#known.get(writer) ?? 0, number));
    const known = this.#records.get(record.key);
    if (known && compareRecords(record, known.record) <= 0) return false;
    if (known) this.#mix(known.record);
    const bucket = this.#mix(record);
    this.#records.set(record.key, { record, bucket });
    this.#buckets[bucket]?.add(record.key);
    this.#tombstones.delete(record.key);
    if (record.value === undefined) this.#bury(record.key);
    return true;
  }

  /** The highest revision number seen: writers count on from it. */
  get highest(): number {
    return this.#highest;
  }

  get tombstones(): number {
    return this.#tombstones.size;
  }

  /** By writer, how far this copy goes. */
  get known(): RevisionVector {
    return new Map(this.#known);
  }

  /** Records with a value, by key. */
  withPrefix(prefix: string): readonly BusRecord[] {
    return [...this.#records.values()].flatMap(({ record }) =>
      record.value !== undefined && record.key.startsWith(prefix) ? [record] : [],
    );
  }

  /** All records whose keys begin so, tombstones too, that are later than the vector says. */
  since(prefix: string, from: RevisionVector): readonly BusRecord[] {
    return [...this.#records.values()].flatMap(({ record }) =>
      record.key.startsWith(prefix) &&
      record.revision.number > (from.get(record.revision.writer) ?? 0)
        ? [record]
        : [],
    );
  }

  /** The digest of each part. Two copies with the same records have the same. */
  get digest(): Uint32Array {
    return this.#digest.slice();
  }

  /** Keys of a part, as they are now. */
  keysOf(bucket: number): readonly string[] {
    return [...(this.#buckets[bucket] ?? [])];
  }

  /** Every node has what they delete: they go. */
  forgetTombstones(): void {
    for (const key of this.#tombstones) this.#forget(key);
  }

  #bury(key: string): void {
    this.#tombstones.add(key);
    for (const oldest of this.#tombstones) {
      if (this.#tombstones.size <= this.#mostTombstones) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    const known = this.#records.get(key);
    this.#tombstones.delete(key);
    if (!known) return;
    this.#mix(known.record);
    this.#records.delete(key);
    this.#buckets[known.bucket]?.delete(key);
  }

  /** Takes a record into the digest, or out of it. Tombstones do not count: they go at other times. */
  #mix(record: BusRecord): number {
    const { bucket, words } = recordHash(record);
    if (record.value === undefined) return bucket;
    this.#digest[2 * bucket] = (this.#digest[2 * bucket] ?? 0) ^ words[0];
    this.#digest[2 * bucket + 1] = (this.#digest[2 * bucket + 1] ?? 0) ^ words[1];
    return bucket;
  }
}

const MOST_TOMBSTONES = 65_536;
