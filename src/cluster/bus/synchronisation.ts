/**
 * How one node brings its copy and a peer's together: digests in parts, and records of the parts that differ.
 *
 * A node that joins has nothing, so every part differs: it asks one peer for all of them (the snapshot) while
 * new writes reach it from everybody (the tail), and compares again. The same repairs what a full queue or a
 * partition left out. A peer is synchronised once each part was found equal.
 */
import { after, type Instant } from '../../wire/instant.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { BusRecord, Member } from './bus.ts';
import { Attributes, AttributeWriter, type BusMessage, MessageType } from './message.ts';
import { BUCKETS, readRecord, writeRecord } from './record.ts';
import type { RecordStore } from './record-store.ts';

/** Of digests and snapshots. */
export const SynchronisationAttribute = {
  HIGHEST: 1,
  VOTES: 2,
  DIGEST: 3,
  BUCKETS: 4,
  RECORDS: 5,
} as const;
const Attribute = SynchronisationAttribute;

/** What a peer said of its copy. */
export interface PeerDigest {
  readonly highest: number;
  /** It may promise ballots. */
  readonly votes: boolean;
  readonly words: Uint32Array;
}

export class PeerSynchronisation {
  readonly #store: RecordStore;
  /** Parts that were equal since the peer came. */
  readonly #agreed = new Set<number>();
  /** How often in a row a part was not. */
  readonly #differed = new Uint8Array(BUCKETS);
  #state: Member['state'] = 'gone';
  #votes: boolean | undefined;
  /** Keys the peer asked for and was not yet sent. */
  #asked: string[] = [];
  #ending = false;
  #onTheirWay = 0;
  #awaitedUntil: Instant | undefined;
  #wasEqualAt: Instant | undefined;
  #notBefore: Instant | undefined;

  constructor(store: RecordStore) {
    this.#store = store;
  }

  get state(): Member['state'] {
    return this.#state;
  }

  /** Undefined before it said so. */
  get votes(): boolean | undefined {
    return this.#votes;
  }

  /** When its copy was last found equal as a whole. */
  get wasEqualAt(): Instant | undefined {
    return this.#wasEqualAt;
  }

  came(): void {
    this.went();
    this.#state = 'joining';
  }

  went(): void {
    this.#state = 'gone';
    this.#agreed.clear();
    this.#differed.fill(0);
    this.#votes = undefined;
    this.#asked = [];
    this.#ending = false;
    this.#onTheirWay = 0;
    this.#awaitedUntil = undefined;
    this.#wasEqualAt = undefined;
    this.#notBefore = undefined;
  }

  /** Whether records were asked for and have not all come. */
  isAwaiting(now: Instant): boolean {
    return this.#awaitedUntil !== undefined && now < this.#awaitedUntil;
  }

  /** The request for what the peer has otherwise than we; undefined where nothing is to be asked. */
  compare(digest: PeerDigest, now: Instant, mayAsk: boolean): BusMessage | undefined {
    this.#votes = digest.votes;
    const own = this.#store.digest;
    const wanted: number[] = [];
    let equal = true;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const [first, second] = [2 * bucket, 2 * bucket + 1];
      if (own[first] === digest.words[first] && own[second] === digest.words[second]) {
        this.#agreed.add(bucket);
        this.#differed[bucket] = 0;
        continue;
      }
      equal = false;
      const times = Math.min((this.#differed[bucket] ?? 0) + 1, PATIENCE);
      this.#differed[bucket] = times;
      // A write on its way makes a part differ for a moment; one never found equal is asked for at once.
      const due = times === PATIENCE || !this.#agreed.has(bucket);
      if (due) wanted.push(bucket);
    }
    if (equal) this.#wasEqualAt = now;
    if (this.#agreed.size === BUCKETS) this.#state = 'synchronised';
    const isEarly = this.#notBefore !== undefined && now < this.#notBefore;
    if (wanted.length === 0 || !mayAsk || isEarly) return undefined;
    this.#notBefore = after(now, PAUSE_MILLISECONDS);
    this.#awaitedUntil = after(now, AWAITED_MILLISECONDS);
    const body = new AttributeWriter().octets(Attribute.BUCKETS, Uint8Array.from(wanted)).finish();
    return { type: MessageType.SNAPSHOT_REQ, body };
  }

  /** The peer asks. Throws `MalformedError`. */
  asked(body: Uint8Array): void {
    const buckets = new Attributes(body).octets(Attribute.BUCKETS, 'parts');
    this.#asked = [...new Set(buckets)].flatMap((bucket) => this.#store.keysOf(bucket));
    this.#ending = true;
  }

  /** The next message of what was asked for, as long as few are on their way. */
  nextChunk(): BusMessage | undefined {
    if (this.#onTheirWay >= MOST_ON_THEIR_WAY) return undefined;
    if (this.#asked.length > 0) {
      this.#onTheirWay++;
      return { type: MessageType.SNAPSHOT_CHUNK, body: this.#chunk() };
    }
    if (!this.#ending) return undefined;
    this.#ending = false;
    this.#onTheirWay++;
    return { type: MessageType.SNAPSHOT_END, body: new Uint8Array(0) };
  }

  /** A message of `nextChunk` arrived, or will not. */
  chunkEnded(arrived: boolean): void {
    this.#onTheirWay = Math.max(0, this.#onTheirWay - 1);
    if (arrived) return;
    // The peer asks again when nothing comes.
    this.#asked = [];
    this.#ending = false;
  }

  /** Records of a message that answers us. Throws `MalformedError`. */
  received(body: Uint8Array, now: Instant): readonly BusRecord[] {
    if (this.#awaitedUntil !== undefined) this.#awaitedUntil = after(now, AWAITED_MILLISECONDS);
    return new Attributes(body).all(Attribute.RECORDS).flatMap((octets) => {
      const reader = new OctetReader(octets);
      const records: BusRecord[] = [];
      while (reader.remaining > 0) records.push(readRecord(reader));
      return records;
    });
  }

  /** All that was asked for has come. */
  ended(): void {
    this.#awaitedUntil = undefined;
  }

  #chunk(): Uint8Array {
    const writer = new OctetWriter();
    let key = this.#asked.at(-1);
    while (key !== undefined) {
      const record = this.#store.get(key);
      const length = record ? RECORD_OVERHEAD + key.length + (record.value?.length ?? 0) : 0;
      if (writer.length > 0 && writer.length + length > CHUNK_OCTETS) break;
      if (record) writeRecord(writer, record);
      this.#asked.pop();
      key = this.#asked.at(-1);
    }
    return new AttributeWriter().octets(Attribute.RECORDS, writer.finish()).finish();
  }
}

export function encodeDigest(store: RecordStore, votes: boolean): BusMessage {
  const writer = new OctetWriter();
  for (const word of store.digest) writer.u32(word);
  const body = new AttributeWriter()
    .number(Attribute.HIGHEST, store.highest)
    .number(Attribute.VOTES, votes ? 1 : 0)
    .octets(Attribute.DIGEST, writer.finish())
    .finish();
  return { type: MessageType.RECORD_DIGEST, body };
}

/** Throws `MalformedError`. */
export function decodeDigest(body: Uint8Array): PeerDigest {
  const attributes = new Attributes(body);
  const reader = new OctetReader(attributes.octets(Attribute.DIGEST, 'digest'));
  const words = new Uint32Array(2 * BUCKETS);
  for (let index = 0; index < words.length; index++) words[index] = reader.u32('digest');
  reader.end('digest');
  return {
    highest: attributes.number(Attribute.HIGHEST, 'highest'),
    votes: attributes.number(Attribute.VOTES, 'votes') === 1,
    words,
  };
}

const CHUNK_OCTETS = 48_000;
const RECORD_OVERHEAD = 28;
const MOST_ON_THEIR_WAY = 16;
/** A request is given up, and made again, when nothing came for so long. */
const AWAITED_MILLISECONDS = 2000;
/** Between two requests: digests also come when somebody else's copy has changed. */
const PAUSE_MILLISECONDS = 250;
/** Digests in a row that show a part to differ before it is asked for. */
const PATIENCE = 3;
