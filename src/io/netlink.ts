/**
 * Netlink messages (Linux `netlink(7)`): header, attributes, and a socket that asks and is answered.
 *
 *   octets 0-3   length of the message, header included
 *   octets 4-5   type
 *   octets 6-7   flags
 *   octets 8-11  sequence number, repeated in the answers
 *   octets 12-15 port, 0 = the kernel
 *
 * Integers are in the order of the machine; the machines we run on are little-endian.
 */
import { concatOctets } from '../wire/octets.ts';
import { type Native, native } from './native.ts';

/** Flags of a request (`linux/netlink.h`). */
export const NetlinkFlag = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP_INTERRUPTED: 0x10,
  /** Of a "get" request. */
  DUMP: 0x300,
  /** Of a "new" request. */
  REPLACE: 0x100,
  EXCLUSIVE: 0x200,
  CREATE: 0x400,
} as const;

const MessageType = { ERROR: 2, DONE: 3 } as const;
const ERROR_TEXT = 1;
const FLAG_CAPPED = 0x100;
const FLAG_EXTENDED = 0x200;
const HEADER = 16;

/** One message: `body` starts with the fixed part of its type and goes on with attributes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** The kernel's refusal. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly errno: number;
  /** The kernel's own words; empty where it has none. */
  readonly reason: string;

  constructor(what: string, errno: number, reason: string) {
    super(`${what}: ${reason === '' ? '' : `${reason}, `}errno ${errno}`);
    this.errno = errno;
    this.reason = reason;
  }
}

/** Errnos that have a meaning for routes, rules and addresses. */
export const Errno = {
  ENOENT: 2,
  ESRCH: 3,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  EHOSTUNREACH: 113,
} as const;

/** Appends integers in machine order and attributes, padded to four octets. */
export class NetlinkWriter {
  #octets = new Uint8Array(64);
  #length = 0;

  u8(...values: readonly number[]): this {
    this.#makeRoom(values.length);
    for (const value of values) this.#octets[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value, value >>> 8);
  }

  u32(value: number): this {
    return this.u8(value, value >>> 8, value >>> 16, value >>> 24);
  }

  octets(value: Uint8Array): this {
    this.#makeRoom(value.length);
    this.#octets.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    this.u16(value.length + 4)
      .u16(type)
      .octets(value);
    while (this.#length % 4 !== 0) this.u8(0);
    return this;
  }

  attribute32(type: number, value: number): this {
    return this.attribute(type, new NetlinkWriter().u32(value).finish());
  }

  finish(): Uint8Array {
    return this.#octets.slice(0, this.#length);
  }

  #makeRoom(more: number): void {
    if (this.#length + more <= this.#octets.length) return;
    const larger = new Uint8Array(Math.max(this.#length + more, this.#octets.length * 2));
    larger.set(this.#octets);
    this.#octets = larger;
  }
}

export function encodeMessage(sequence: number, message: NetlinkMessage): Uint8Array {
  return new NetlinkWriter()
    .u32(HEADER + message.body.length)
    .u16(message.type)
    .u16(message.flags)
    .u32(sequence)
    .u32(0)
    .octets(message.body)
    .finish();
}

/** The messages in what was received; a rest that is no message is left out. */
export function decodeMessages(octets: Uint8Array): readonly NetlinkMessage[] {
  const view = viewOf(octets);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + HEADER <= octets.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > octets.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      body: octets.slice(at + HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Attributes by type, the last one of a type; flags in the type are cleared. */
export function decodeAttributes(octets: Uint8Array, at = 0): ReadonlyMap<number, Uint8Array> {
  const view = viewOf(octets);
  const attributes = new Map<number, Uint8Array>();
  for (let next = at; next + 4 <= octets.length; ) {
    const length = view.getUint16(next, true);
    if (length < 4 || next + length > octets.length) break;
    attributes.set(view.getUint16(next + 2, true) & 0x3fff, octets.slice(next + 4, next + length));
    next += align(length);
  }
  return attributes;
}

/** An unsigned 32-bit attribute; undefined when it is absent or of another size. */
export function attribute32(value: Uint8Array | undefined): number | undefined {
  return value?.length === 4 ? viewOf(value).getUint32(0, true) : undefined;
}

export function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** Protocols of netlink sockets (`linux/netlink.h`). */
export const NetlinkProtocol = { ROUTE: 0, NETFILTER: 12 } as const;
export type NetlinkProtocol = (typeof NetlinkProtocol)[keyof typeof NetlinkProtocol];

/** A netlink socket. Each request waits for its answer, a second at most. */
export class Netlink {
  readonly #addon: Native;
  readonly #fd: number;
  #sequence = 0;

  constructor(addon: Native = native(), protocol: NetlinkProtocol = NetlinkProtocol.ROUTE) {
    this.#addon = addon;
    this.#fd = addon.netlink(0, protocol);
  }

  close(): void {
    this.#addon.close(this.#fd);
  }

  /** Asks for one thing or for a change; answers the messages before the acknowledgement. */
  request(what: string, type: number, flags: number, body: Uint8Array): readonly NetlinkMessage[] {
    return this.#exchange(what, type, flags | NetlinkFlag.ACK, body);
  }

  /** Asks for all; asks again when a change in between made the list inconsistent. */
  dump(what: string, type: number, body: Uint8Array): readonly NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      const answers = this.#exchange(what, type, NetlinkFlag.DUMP, body);
      const torn = answers.some((one) => (one.flags & NetlinkFlag.DUMP_INTERRUPTED) !== 0);
      if (!torn || attempt === 5) return answers;
    }
  }

  /** Messages that take effect together or not at all. One of them asks for an acknowledgement by its flags. */
  batch(what: string, messages: readonly NetlinkMessage[]): void {
    this.#send(what, messages);
  }

  #exchange(what: string, type: number, flags: number, body: Uint8Array) {
    return this.#send(what, [{ type, flags, body }]);
  }

  #send(what: string, messages: readonly NetlinkMessage[]): readonly NetlinkMessage[] {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const request = concatOctets(
      ...messages.map(({ type, flags, body }) =>
        encodeMessage(this.#sequence, { type, flags: flags | NetlinkFlag.REQUEST, body }),
      ),
    );
    const answers = decodeMessages(this.#addon.netlinkRequest(this.#fd, request));
    for (const answer of answers) {
      if (answer.type === MessageType.ERROR || answer.type === MessageType.DONE) {
        throwRefusal(what, answer);
      }
    }
    return answers.filter(({ type: kind }) => kind > MessageType.DONE);
  }
}

/** ERROR and DONE start with a negative errno, 0 = all is well. */
function throwRefusal(what: string, answer: NetlinkMessage): void {
  if (answer.body.length < 4) return;
  const error = viewOf(answer.body).getInt32(0, true);
  if (error === 0) return;
  throw new NetlinkError(what, -error, refusalText(answer));
}

/** The reason in words, behind the request that the kernel repeats (`NLMSGERR_ATTR_MSG`). */
function refusalText(answer: NetlinkMessage): string {
  if ((answer.flags & FLAG_EXTENDED) === 0) return '';
  const quoted =
    answer.type !== MessageType.ERROR
      ? 0
      : (answer.flags & FLAG_CAPPED) !== 0 || answer.body.length < 8
        ? HEADER
        : align(viewOf(answer.body).getUint32(4, true));
  const text = decodeAttributes(answer.body, 4 + quoted).get(ERROR_TEXT);
  return text === undefined ? '' : new TextDecoder().decode(text.subarray(0, -1));
}

function align(length: number): number {
  return (length + 3) & ~3;
}
