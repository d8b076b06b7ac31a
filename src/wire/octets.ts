/**
 * Reading and writing octets in network order, with exact bounds.
 *
 * `OctetReader` throws `MalformedError` and nothing else; it is the only error a decoder may let
 * escape. The packet path does not use these classes: it indexes one arena (see `esp/`).
 */

/** The octets are not what the format demands. `at` is the offset, `what` names the thing. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly at: number;
  readonly what: string;

  constructor(at: number, what: string) {
    super(`${what} (at octet ${at})`);
    this.at = at;
    this.what = what;
  }
}

/** Reads forward through octets; `base` shifts the offsets that errors name. */
export class OctetReader {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  readonly #end: number;
  #at: number;

  /** `part`: over the next `length` octets of another reader, whose memory it shares. */
  constructor(octets: Uint8Array, base = 0, part?: OctetReader, length = 0) {
    this.#octets = octets;
    // A view of its own for each of the hundred fields of a snapshot would cost more than to read them.
    this.#view = part
      ? part.#view
      : new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#base = base;
    this.#at = part ? part.#at : 0;
    this.#end = part ? part.#at + length : octets.length;
  }

  /** Offset of the next octet, counted from the start of the outermost message. */
  get at(): number {
    return this.#base + this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(what: string): number {
    this.#need(1, what);
    return this.#view.getUint8(this.#at++);
  }

  u16(what: string): number {
    this.#need(2, what);
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2);
  }

  u32(what: string): number {
    this.#need(4, what);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  /** The next `length` octets, copied: what is decoded never aliases the datagram. */
  take(length: number, what: string): Uint8Array {
    this.#need(length, what);
    if (length === 0) return NO_OCTETS;
    this.#at += length;
    return this.#octets.slice(this.#at - length, this.#at);
  }

  rest(): Uint8Array {
    return this.take(this.remaining, 'rest');
  }

  /** A reader over the next `length` octets; this one moves past them. */
  within(length: number, what: string): OctetReader {
    this.#need(length, what);
    const inner = new OctetReader(this.#octets, this.#base, this, length);
    this.#at += length;
    return inner;
  }

  skip(length: number, what: string): void {
    this.#need(length, what);
    this.#at += length;
  }

  /** Refuses octets that are left over. */
  end(what: string): void {
    if (this.remaining !== 0) this.fail(`${what}: ${this.remaining} octets left over`);
  }

  fail(what: string): never {
    throw new MalformedError(this.at, what);
  }

  #need(length: number, what: string): void {
    if (length > this.remaining) {
      this.fail(`${what}: ${length} octets needed, ${this.remaining} present`);
    }
  }
}

/** Most SPIs of proposals and notifies, and the data of many: one for all of them. */
const NO_OCTETS = new Uint8Array(0);

/** Memory to write into. */
interface Room {
  readonly octets: Uint8Array;
  readonly view: DataView;
}

/** Of writers that are finished, for the next ones: a message takes a dozen. */
const spareRooms: Room[] = [];
const MOST_SPARE_ROOMS = 8;

/** Appends octets; grows as needed. */
export class OctetWriter {
  #room: Room = spareRooms.pop() ?? newRoom(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#room.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#room.view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#room.view.setUint32(at, value);
    return this;
  }

  octets(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#room.octets.set(value, at);
    return this;
  }

  /** Overwrites two octets already written, for lengths known only afterwards. */
  u16At(at: number, value: number): this {
    if (at + 2 > this.#length) throw new RangeError(`u16At ${at} beyond ${this.#length}`);
    this.#room.view.setUint16(at, value);
    return this;
  }

  /** Overwrites four octets already written. */
  u32At(at: number, value: number): this {
    if (at + 4 > this.#length) throw new RangeError(`u32At ${at} beyond ${this.#length}`);
    this.#room.view.setUint32(at, value);
    return this;
  }

  /** Overwrites one octet already written. */
  u8At(at: number, value: number): this {
    if (at + 1 > this.#length) throw new RangeError(`u8At ${at} beyond ${this.#length}`);
    this.#room.view.setUint8(at, value);
    return this;
  }

  /** Takes back what was written behind the first so many octets. */
  truncate(length: number): this {
    if (length > this.#length) throw new RangeError(`truncate ${length} beyond ${this.#length}`);
    this.#length = length;
    return this;
  }

  /** What was written. The writer is empty afterwards. */
  finish(): Uint8Array {
    const written = this.#room.octets.slice(0, this.#length);
    if (spareRooms.length < MOST_SPARE_ROOMS) spareRooms.push(this.#room);
    this.#room = NO_ROOM;
    this.#length = 0;
    return written;
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    const { octets } = this.#room;
    if (this.#length > octets.length) {
      this.#room = newRoom(Math.max(this.#length, octets.length * 2));
      this.#room.octets.set(octets.subarray(0, at));
    }
    return at;
  }
}

function newRoom(length: number): Room {
  const octets = new Uint8Array(length);
  return { octets, view: new DataView(octets.buffer) };
}

const NO_ROOM = newRoom(0);

export function concatOctets(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Octets as text, a character each. A few hundred octets that are kept and hardly ever looked at
 * are a third as large in memory as text: an array of that size has memory of its own.
 */
export function latin1OfOctets(octets: Uint8Array): string {
  let text = '';
  for (let at = 0; at < octets.length; at += PIECE_OCTETS) {
    text += String.fromCharCode(...octets.subarray(at, at + PIECE_OCTETS));
  }
  return text;
}

export function octetsOfLatin1(text: string): Uint8Array {
  const octets = new Uint8Array(text.length);
  for (let at = 0; at < octets.length; at++) octets[at] = text.charCodeAt(at);
  return octets;
}

/** A call takes no more arguments than fit on the stack. */
const PIECE_OCTETS = 1024;

/** Equality of public octets. Not for MACs or secrets: those use `crypto/constant-time.ts`. */
export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

export function toHex(octets: Uint8Array): string {
  if (octets.length <= SHORT_OCTETS) return shortHex(octets);
  let hex = '';
  for (const octet of octets) hex += HEX_PAIRS[octet];
  return hex;
}

/** In one piece: strings that were put together stay so in memory, and SPIs are kept by thousands. */
function shortHex(octets: Uint8Array): string {
  const codes: number[] = [];
  for (const octet of octets) codes.push(hexCode(octet >> 4), hexCode(octet & 0x0f));
  return String.fromCharCode(...codes);
}

function hexCode(digit: number): number {
  return digit < 10 ? 0x30 + digit : 0x57 + digit;
}

const SHORT_OCTETS = 16;

/** Octets from hex digits; white space and colons are passed over. Throws `MalformedError`. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/[\s:]/g, '');
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new MalformedError(0, `hex: ${digits.length} characters are not pairs of hex digits`);
  }
  const octets = new Uint8Array(digits.length / 2);
  for (let at = 0; at < octets.length; at++) {
    octets[at] = (digitAt(digits, 2 * at) << 4) | digitAt(digits, 2 * at + 1);
  }
  return octets;
}

/** 0-9 are 0x30 and following; bit 0x20 of a letter is its case. */
function digitAt(digits: string, at: number): number {
  const code = digits.charCodeAt(at);
  return code < 0x40 ? code - 0x30 : (code | 0x20) - 0x57;
}

const HEX_PAIRS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));
