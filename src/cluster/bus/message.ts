/**
 * Messages between nodes: a type of 16 bits and a body of attributes, each with type and length.
 *
 * | octets | field |
 * |---|---|
 * | 0-1 | attribute type |
 * | 2-5 | length of the value |
 * | 6- | value |
 *
 * A reader passes over attributes it does not know, so that a newer node may say more than an older one
 * understands; what may not be passed over needs a message type or a wire version of its own.
 */
import { MalformedError, OctetReader, OctetWriter } from '../../wire/octets.ts';

/** What a message is about. A receiver counts a type it does not know, and drops the message. */
export const MessageType = {
  HELLO: 1,
  HEARTBEAT: 2,
  VOTE: 3,
  LEASE: 4,
  IKE_PUT: 5,
  IKE_WAL: 6,
  IKE_DEL: 7,
  CHILD_PUT: 8,
  CHILD_DEL: 9,
  SEQ_RESERVE: 10,
  ACK: 11,
  EDGE_DIGEST: 12,
  SEG_TAKE: 13,
  SEG_GIVE: 14,
  SEG_FREEZE: 15,
  SEG_DONE: 16,
  SNAPSHOT_REQ: 17,
  SNAPSHOT_CHUNK: 18,
  SNAPSHOT_END: 19,
  FORWARD: 20,
  POOL_LEASE: 21,
  POOL_RELEASE: 22,
  PROBE: 23,
  BYE: 24,
  RECORD_PUT: 25,
  RECORD_DIGEST: 26,
  CAS_PREPARE: 27,
  CAS_PROMISE: 28,
  CAS_ACCEPT: 29,
  CAS_ACCEPTED: 30,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(MessageType));

export function isKnownMessage(type: number): boolean {
  return KNOWN_TYPES.has(type);
}

export interface BusMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** No message is longer; what is more than that goes as several. */
export const MAX_MESSAGE_OCTETS = 65_536;

/** Writes attributes one behind the other. */
export class AttributeWriter {
  readonly #writer = new OctetWriter();

  octets(type: number, value: Uint8Array): this {
    this.#writer.u16(type).u32(value.length).octets(value);
    return this;
  }

  number(type: number, value: number): this {
    this.#writer.u16(type).u32(8);
    writeNumber(this.#writer, value);
    return this;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

/** The attributes of a body by type, in the order they came. Throws `MalformedError`. */
export class Attributes {
  readonly #values: readonly { readonly type: number; readonly value: Uint8Array }[];

  constructor(body: Uint8Array) {
    const reader = new OctetReader(body);
    const values: { readonly type: number; readonly value: Uint8Array }[] = [];
    while (reader.remaining > 0) {
      const type = reader.u16('attribute type');
      values.push({ type, value: reader.take(reader.u32('attribute length'), 'attribute value') });
    }
    this.#values = values;
  }

  all(type: number): readonly Uint8Array[] {
    return this.#values.flatMap((one) => (one.type === type ? [one.value] : []));
  }

  find(type: number): Uint8Array | undefined {
    return this.#values.find((one) => one.type === type)?.value;
  }

  octets(type: number, what: string): Uint8Array {
    const value = this.find(type);
    if (value === undefined) throw new MalformedError(0, `${what}: attribute ${type} is missing`);
    return value;
  }

  number(type: number, what: string): number {
    const reader = new OctetReader(this.octets(type, what));
    const value = readNumber(reader, what);
    reader.end(what);
    return value;
  }
}

/** How many attributes of a body are none of `known`. Throws `MalformedError`. */
export function unknownAttributes(body: Uint8Array, known: readonly number[]): number {
  const reader = new OctetReader(body);
  let count = 0;
  while (reader.remaining > 0) {
    if (!known.includes(reader.u16('attribute type'))) count++;
    reader.skip(reader.u32('attribute length'), 'attribute value');
  }
  return count;
}

/** A whole number as 64 bits. */
export function writeNumber(writer: OctetWriter, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} as 64 bits`);
  writer.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
}

/** Of 64 bits, a number that is exact; throws `MalformedError` for what is larger. */
export function readNumber(reader: OctetReader, what: string): number {
  const high = reader.u32(what);
  const value = high * 2 ** 32 + reader.u32(what);
  if (!Number.isSafeInteger(value)) reader.fail(`${what}: a number of more than 53 bits`);
  return value;
}
