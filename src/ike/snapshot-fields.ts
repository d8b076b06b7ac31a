/**
 * Fields of a snapshot as octets: tag, length, value.
 *
 * | octet | field                                                       |
 * |-------|-------------------------------------------------------------|
 * | 0     | Tag                                                         |
 * | 1     | Length (2), or 65535 and then the length (4)                |
 * | 3     | Value: a number in as few octets as it takes, octets, or fields |
 *
 * A reader passes over tags it does not know, so an older node reads what a newer one writes. Decoding
 * throws `MalformedError` and nothing else.
 */
import { MalformedError, type OctetReader, type OctetWriter } from '../wire/octets.ts';

/** How a value stands in a field. `decode` reads the field to its end. */
export interface Coding<T> {
  encode(writer: OctetWriter, value: T): void;
  decode(reader: OctetReader): T;
}

const LONG = 0xffff;

export class FieldWriter {
  readonly #writer: OctetWriter;

  constructor(writer: OctetWriter) {
    this.#writer = writer;
  }

  /** Nothing for undefined. */
  put<T>(tag: number, coding: Coding<T>, value: T | undefined): this {
    if (value === undefined) return this;
    const writer = this.#writer.u8(tag).u16(LONG);
    const at = writer.length;
    coding.encode(writer, value);
    const length = writer.length - at;
    if (length < LONG) writer.u16At(at - 2, length);
    else this.#putLong(coding, value, at);
    return this;
  }

  /** What turned out to be long once more, behind a length of four octets. */
  #putLong<T>(coding: Coding<T>, value: T, at: number): void {
    const writer = this.#writer.truncate(at).u32(0);
    coding.encode(writer, value);
    writer.u32At(at, writer.length - at - 4);
  }

  /** One field for each. */
  each<T>(tag: number, coding: Coding<T>, values: readonly T[]): this {
    for (const value of values) this.put(tag, coding, value);
    return this;
  }

  /** A field without a value where it is so. */
  flag(tag: number, set: boolean): this {
    return this.put(tag, NOTHING, set ? true : undefined);
  }
}

export class FieldReader {
  /** In the order in which they stand; few enough to be looked through. */
  readonly #tags: number[] = [];
  readonly #values: OctetReader[] = [];
  readonly #at: number;

  constructor(reader: OctetReader) {
    this.#at = reader.at;
    while (reader.remaining > 0) {
      const tag = reader.u8('tag');
      const short = reader.u16('length');
      const length = short === LONG ? reader.u32('length') : short;
      this.#tags.push(tag);
      this.#values.push(reader.within(length, 'field'));
    }
  }

  need<T>(tag: number, coding: Coding<T>, what: string): T {
    const value = this.maybe(tag, coding);
    return value === undefined ? this.fail(`${what}: no field ${tag}`) : value;
  }

  maybe<T>(tag: number, coding: Coding<T>): T | undefined {
    const index = this.#tags.indexOf(tag);
    const field = index < 0 ? undefined : this.#values[index];
    if (!field) return undefined;
    if (this.#tags.includes(tag, index + 1)) field.fail(`field ${tag} stands more than once`);
    return decodeField(tag, coding, field);
  }

  all<T>(tag: number, coding: Coding<T>): readonly T[] {
    const values: T[] = [];
    for (const [index, field] of this.#values.entries()) {
      if (this.#tags[index] === tag) values.push(decodeField(tag, coding, field));
    }
    return values;
  }

  flag(tag: number): boolean {
    return this.maybe(tag, NOTHING) ?? false;
  }

  fail(what: string): never {
    throw new MalformedError(this.#at, what);
  }
}

function decodeField<T>(tag: number, coding: Coding<T>, field: OctetReader): T {
  const value = coding.decode(field);
  if (field.remaining > 0) field.end(`field ${tag}`);
  return value;
}

/** A value that is made of fields itself. */
export function fields<T>(
  encode: (writer: FieldWriter, value: T) => void,
  decode: (reader: FieldReader) => T,
): Coding<T> {
  return {
    encode: (writer, value) => encode(new FieldWriter(writer), value),
    decode: (reader) => decode(new FieldReader(reader)),
  };
}

/** A value that stands for another. */
export function mapped<Inner, T>(
  inner: Coding<Inner>,
  to: (value: T) => Inner,
  from: (value: Inner, reader: OctetReader) => T,
): Coding<T> {
  return {
    encode: (writer, value) => inner.encode(writer, to(value)),
    decode: (reader) => from(inner.decode(reader), reader),
  };
}

/** One of these words, as its place among them. New words come last. */
export function word<Word extends string>(words: readonly Word[]): Coding<Word> {
  return {
    encode: (writer, value) => writer.u8(words.indexOf(value)),
    decode: (reader) => {
      const index = reader.u8('word');
      return words[index] ?? reader.fail(`no word ${index} of ${words.join(', ')}`);
    },
  };
}

const NOTHING: Coding<true> = { encode: () => {}, decode: () => true };

const NUMBER_OCTETS = 7;

/** A whole number from 0 to 2^53-1, in as few octets as it takes. */
export const NUMBER: Coding<number> = {
  encode(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no number`);
    let unit = 1;
    while (unit * 256 <= value) unit *= 256;
    if (value === 0) return;
    for (; unit >= 1; unit /= 256) writer.u8(Math.floor(value / unit) % 256);
  },
  decode(reader) {
    if (reader.remaining > NUMBER_OCTETS) reader.fail(`a number of ${reader.remaining} octets`);
    let value = 0;
    while (reader.remaining > 0) value = value * 256 + reader.u8('number');
    return Number.isSafeInteger(value) ? value : reader.fail('a number above 2^53-1');
  },
};

/** A whole number of either sign, the sign in the lowest bit. */
export const SIGNED: Coding<number> = mapped(
  NUMBER,
  (value) => (value < 0 ? -2 * value - 1 : 2 * value),
  (value) => (value % 2 === 0 ? value / 2 : -(value + 1) / 2),
);

/** A number of so many bits. */
export function bits(count: number): Coding<number> {
  return mapped(
    NUMBER,
    (value: number) => value,
    (value, reader) =>
      value < 2 ** count ? value : reader.fail(`${value} has more than ${count} bits`),
  );
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

export const OCTETS: Coding<Uint8Array> = {
  encode: (writer, value) => writer.octets(value),
  decode: (reader) => reader.rest(),
};

export const TEXT: Coding<string> = mapped(
  OCTETS,
  (value) => ENCODER.encode(value),
  (value) => DECODER.decode(value),
);
