/**
 * Packets of the vici protocol and the segments that carry them over a stream.
 *
 * Segment: length (4, big endian), packet. Packet: type (1), for named types name length (1) and
 * name, then for types with content the message. A packet has at most 512 KiB.
 */
import { MalformedError, OctetReader, OctetWriter } from '../wire/octets.ts';
import {
  decodeViciMessage,
  encodeViciMessage,
  octetsToText,
  textToOctets,
  type ViciSection,
} from './message.ts';

/** Packet types. */
export const PacketType = {
  CMD_REQUEST: 0,
  CMD_RESPONSE: 1,
  CMD_UNKNOWN: 2,
  EVENT_REGISTER: 3,
  EVENT_UNREGISTER: 4,
  EVENT_CONFIRM: 5,
  EVENT_UNKNOWN: 6,
  EVENT: 7,
} as const;

export type Packet =
  | { readonly kind: 'request'; readonly name: string; readonly message: ViciSection }
  | { readonly kind: 'response'; readonly message: ViciSection }
  | { readonly kind: 'command-unknown' }
  | { readonly kind: 'register'; readonly name: string }
  | { readonly kind: 'unregister'; readonly name: string }
  | { readonly kind: 'event-confirm' }
  | { readonly kind: 'event-unknown' }
  | { readonly kind: 'event'; readonly name: string; readonly message: ViciSection };

/** The largest packet a segment may announce. */
export const MAX_SEGMENT_OCTETS = 512 * 1024;

/** Throws `MalformedError`. */
export function decodePacket(octets: Uint8Array): Packet {
  const reader = new OctetReader(octets);
  const type = reader.u8('packet type');
  switch (type) {
    case PacketType.CMD_REQUEST:
      return { kind: 'request', name: decodeName(reader), message: decodeRest(reader) };
    case PacketType.CMD_RESPONSE:
      return { kind: 'response', message: decodeRest(reader) };
    case PacketType.CMD_UNKNOWN:
      return withoutContent(reader, { kind: 'command-unknown' });
    case PacketType.EVENT_REGISTER:
      return withoutContent(reader, { kind: 'register', name: decodeName(reader) });
    case PacketType.EVENT_UNREGISTER:
      return withoutContent(reader, { kind: 'unregister', name: decodeName(reader) });
    case PacketType.EVENT_CONFIRM:
      return withoutContent(reader, { kind: 'event-confirm' });
    case PacketType.EVENT_UNKNOWN:
      return withoutContent(reader, { kind: 'event-unknown' });
    case PacketType.EVENT:
      return { kind: 'event', name: decodeName(reader), message: decodeRest(reader) };
    default:
      return reader.fail(`packet type ${type} is none of 0-7`);
  }
}

export function encodePacket(packet: Packet): Uint8Array {
  const writer = new OctetWriter().u8(typeOfPacket[packet.kind]);
  if ('name' in packet) {
    const name = textToOctets(packet.name);
    if (name.length > 0xff) throw new RangeError(`vici packet name of ${name.length} octets`);
    writer.u8(name.length).octets(name);
  }
  if ('message' in packet) writer.octets(encodeViciMessage(packet.message));
  return writer.finish();
}

/** The packet with its length in front, ready for the stream. */
export function encodeSegment(packet: Packet): Uint8Array {
  const octets = encodePacket(packet);
  if (octets.length > MAX_SEGMENT_OCTETS) {
    throw new RangeError(`vici packet of ${octets.length} octets, ${MAX_SEGMENT_OCTETS} allowed`);
  }
  return new OctetWriter().u32(octets.length).octets(octets).finish();
}

export type Segments =
  | { readonly kind: 'segments'; readonly packets: readonly Uint8Array[] }
  /** The stream cannot be followed any further: close it. */
  | { readonly kind: 'malformed'; readonly what: string };

/** Cuts a stream into packets. Holds no more than it received; once malformed, always malformed. */
export class SegmentReader {
  #octets = new Uint8Array(4);
  #held = 0;
  /** Octets that must be held before the next step: a length, or a packet. */
  #needed = 4;
  #inPacket = false;
  #fault: string | undefined;

  /** Takes what arrived and answers the packets (without their length) that are now complete. */
  push(octets: Uint8Array): Segments {
    const packets: Uint8Array[] = [];
    let at = 0;
    while (this.#fault === undefined) {
      const part = octets.subarray(at, at + this.#needed - this.#held);
      at += part.length;
      this.#hold(part);
      if (this.#held < this.#needed) return { kind: 'segments', packets };
      this.#step(packets);
    }
    return { kind: 'malformed', what: this.#fault };
  }

  /** Octets of an unfinished segment that are held. */
  get pending(): number {
    return this.#held + (this.#inPacket ? 4 : 0);
  }

  /** Grows by doubling, never to more than what is needed: a length alone allocates nothing. */
  #hold(part: Uint8Array): void {
    const held = this.#held + part.length;
    if (held > this.#octets.length) {
      const larger = new Uint8Array(
        Math.min(this.#needed, Math.max(held, this.#octets.length * 2)),
      );
      larger.set(this.#octets.subarray(0, this.#held));
      this.#octets = larger;
    }
    this.#octets.set(part, this.#held);
    this.#held = held;
  }

  #step(packets: Uint8Array[]): void {
    const whole = this.#octets.subarray(0, this.#held);
    this.#octets = new Uint8Array(4);
    this.#held = 0;
    if (this.#inPacket) {
      packets.push(whole);
      this.#needed = 4;
      this.#inPacket = false;
      return;
    }
    const length = new OctetReader(whole).u32('segment length');
    if (length === 0 || length > MAX_SEGMENT_OCTETS) {
      this.#fault = `segment of ${length} octets; 1 to ${MAX_SEGMENT_OCTETS} are allowed`;
    }
    this.#needed = length;
    this.#inPacket = true;
  }
}

function decodeName(reader: OctetReader): string {
  const octets = reader.take(reader.u8('packet name length'), 'packet name');
  const printable = octets.every((octet) => octet > 0x20 && octet < 0x7f);
  if (!printable) throw new MalformedError(reader.at, 'packet name: not printable ASCII');
  return octetsToText(octets);
}

function decodeRest(reader: OctetReader): ViciSection {
  const at = reader.at;
  return decodeViciMessage(reader.rest(), at);
}

function withoutContent(reader: OctetReader, packet: Packet): Packet {
  reader.end(`packet ${packet.kind}`);
  return packet;
}

const typeOfPacket = {
  request: PacketType.CMD_REQUEST,
  response: PacketType.CMD_RESPONSE,
  'command-unknown': PacketType.CMD_UNKNOWN,
  register: PacketType.EVENT_REGISTER,
  unregister: PacketType.EVENT_UNREGISTER,
  'event-confirm': PacketType.EVENT_CONFIRM,
  'event-unknown': PacketType.EVENT_UNKNOWN,
  event: PacketType.EVENT,
} as const;
