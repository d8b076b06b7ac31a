/**
 * Records as an engine keeps them: sealed before they leave the node, so that it learns nothing of them.
 *
 * | octets | field |
 * |---|---|
 * | 0 | version: 1 |
 * | 1-4 | key id |
 * | 5 | node that sealed it |
 * | 6-13 | incarnation of that node's process |
 * | 14-21 | epoch |
 * | 22-29 | counter |
 * | 30- | AES-256-GCM over the record |
 *
 * Each process of each node has a key of its own, so that a counter makes the nonce. Authenticated besides:
 * bucket, key, and the octets in front of the counter. An engine can withhold a value, or bring back an old one,
 * which every copy that knows a later one refuses; it can neither read, change nor move one.
 */
import { open, seal } from '../../crypto/message-cipher.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import {
  concatOctets,
  MalformedError,
  OctetReader,
  OctetWriter,
  octetsOfLatin1,
  toHex,
} from '../../wire/octets.ts';
import type { NodeId } from '../node-id.ts';
import type { BusRecord } from './bus.ts';
import type { ClusterKey, KeyRing } from './cluster-key.ts';
import { writeNumber } from './message.ts';
import { AES_GCM } from './noise.ts';
import { encodeRecord, readRecord } from './record.ts';

export const SEALED_VALUE_VERSION = 1;
/** Octets around those of the record. */
export const SEALED_VALUE_OVERHEAD = 30 + 16;

export class ValueSealer {
  readonly #bucket: string;
  readonly #local: NodeId;
  readonly #incarnation: Uint8Array;
  #ring: KeyRing;
  #counter = 0;
  readonly #keys = new Map<string, SecretBytes>();

  constructor(settings: {
    readonly bucket: string;
    readonly local: NodeId;
    readonly ring: KeyRing;
    readonly random: RandomBytes;
  }) {
    this.#bucket = settings.bucket;
    this.#local = settings.local;
    this.#ring = settings.ring;
    this.#incarnation = settings.random(INCARNATION_OCTETS);
  }

  /** Seals with the first key, opens what any of them sealed. */
  set ring(ring: KeyRing) {
    this.#ring = ring;
  }

  seal(record: BusRecord): Uint8Array {
    const key = this.#ring.first;
    const writer = new OctetWriter().u8(SEALED_VALUE_VERSION).u32(key.id).u8(this.#local);
    writer.octets(this.#incarnation);
    writeNumber(writer, record.epoch);
    const front = writer.finish();
    const counter = new OctetWriter();
    writeNumber(counter, ++this.#counter);
    const iv = counter.finish();
    const cipher = {
      algorithm: AES_GCM,
      key: this.#keyOf(key, front).reveal(),
      iv,
      aad: this.#aad(record.key, front),
    };
    return concatOctets(front, iv, seal({ ...cipher, plaintext: encodeRecord(record) }));
  }

  /** The record that stands under `key`; undefined where nobody of the cluster sealed that for there. */
  open(key: string, sealed: Uint8Array): BusRecord | undefined {
    if (sealed.length < SEALED_VALUE_OVERHEAD || sealed[0] !== SEALED_VALUE_VERSION)
      return undefined;
    const front = sealed.subarray(0, FRONT_OCTETS);
    const clusterKey = this.#ring.byId(new OctetReader(front.subarray(1)).u32('key id'));
    if (clusterKey === undefined) return undefined;
    const plaintext = open({
      algorithm: AES_GCM,
      key: this.#keyOf(clusterKey, front).reveal(),
      iv: sealed.subarray(FRONT_OCTETS, FRONT_OCTETS + 8),
      aad: this.#aad(key, front),
      ciphertext: sealed.subarray(FRONT_OCTETS + 8),
    });
    if (plaintext === undefined) return undefined;
    try {
      const reader = new OctetReader(plaintext);
      const record = readRecord(reader);
      reader.end('record');
      return record.key === key ? record : undefined;
    } catch (error) {
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  }

  #aad(key: string, front: Uint8Array): Uint8Array {
    return concatOctets(octetsOfLatin1(`${this.#bucket}\0${key}\0`), front);
  }

  #keyOf(clusterKey: ClusterKey, front: Uint8Array): SecretBytes {
    const seed = front.subarray(1, 6 + INCARNATION_OCTETS);
    const name = toHex(seed);
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    // Anybody may have written what is looked at here: what is kept of it is bounded.
    if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
    const length = 32 + AES_GCM.saltLength;
    const derived = clusterKey.valueKey(seed, length);
    this.#keys.set(name, derived);
    return derived;
  }
}

const INCARNATION_OCTETS = 8;
const FRONT_OCTETS = 6 + INCARNATION_OCTETS + 8;
const MOST_KEYS = 256;
