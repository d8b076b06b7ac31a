/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little endian: what Wireshark and its like read.
 *
 *   section header, one interface description each, then packets; statistics at the end
 *   block:  type 4 | length 4 | body, padded to 4 | length 4
 *   option: code 2 | length 2 | value, padded to 4; the last one is of code 0
 *
 * Packets are raw IP, with times in microseconds and whatever is to be said of them as a comment.
 */

/** The link type of packets that begin with their IP header. */
export const LINKTYPE_RAW = 101;

export interface PcapngInterface {
  readonly name: string;
  readonly description: string;
  readonly snapLength: number;
}

export interface PcapngPacket {
  /** Index of the interface, in the order they were described. */
  readonly interface: number;
  /** Microseconds since 1970. */
  readonly time: number;
  readonly direction: 'in' | 'out';
  /** As much of the packet as was kept, and the octets it had. */
  readonly octets: Uint8Array;
  readonly length: number;
  readonly comment: string;
}

/** The first block of a file; `program` wrote it. */
export function pcapngSection(program: string): Uint8Array {
  const body = new Octets(16 + program.length * 4 + 16);
  body.u32(BYTE_ORDER_MAGIC).u16(1).u16(0).u32(UNKNOWN_LENGTH).u32(UNKNOWN_LENGTH);
  body.text(Option.USER_APPLICATION, program).endOfOptions();
  return block(BlockType.SECTION_HEADER, body);
}

export function pcapngInterface(one: PcapngInterface): Uint8Array {
  const body = new Octets(64 + (one.name.length + one.description.length) * 4);
  body.u16(LINKTYPE_RAW).u16(0).u32(one.snapLength);
  body.text(Option.INTERFACE_NAME, one.name);
  body.text(Option.INTERFACE_DESCRIPTION, one.description);
  body.option(Option.INTERFACE_TIME_RESOLUTION, Uint8Array.of(MICROSECONDS)).endOfOptions();
  return block(BlockType.INTERFACE_DESCRIPTION, body);
}

export function pcapngPacket(packet: PcapngPacket): Uint8Array {
  const { octets, length, comment, direction } = packet;
  const body = new Octets(64 + octets.length + comment.length * 4);
  body.u32(packet.interface).time(packet.time).u32(octets.length).u32(length).padded(octets);
  body.option(Option.PACKET_FLAGS, Uint8Array.of(direction === 'in' ? 1 : 2, 0, 0, 0));
  if (comment !== '') body.text(Option.COMMENT, comment);
  body.endOfOptions();
  return block(BlockType.ENHANCED_PACKET, body);
}

/** What a reader is told at the end: packets that the capture missed. */
export function pcapngStatistics(index: number, time: number, missed: number): Uint8Array {
  const body = new Octets(64);
  body.u32(index).time(time);
  body.option(Option.INTERFACE_DROPPED, new Octets(8).u64(missed).octets).endOfOptions();
  return block(BlockType.INTERFACE_STATISTICS, body);
}

/** Octets appended in little endian to room for as many as were announced. */
class Octets {
  readonly #room: Uint8Array;
  readonly #view: DataView;
  #length = 0;

  constructor(most: number) {
    this.#room = new Uint8Array(most);
    this.#view = new DataView(this.#room.buffer);
  }

  get octets(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }

  u16(value: number): this {
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  u64(value: number): this {
    return this.u32(value % WORD).u32(Math.floor(value / WORD));
  }

  /** The high half stands first. */
  time(microseconds: number): this {
    return this.u32(Math.floor(microseconds / WORD)).u32(microseconds % WORD);
  }

  padded(octets: Uint8Array): this {
    this.#room.set(octets, this.#length);
    this.#length = (this.#length + octets.length + 3) & ~3;
    return this;
  }

  option(code: number, value: Uint8Array): this {
    return this.u16(code).u16(value.length).padded(value);
  }

  text(code: number, text: string): this {
    return this.option(code, new TextEncoder().encode(text));
  }

  endOfOptions(): this {
    return this.u32(0);
  }
}

function block(type: number, { octets }: Octets): Uint8Array {
  const length = octets.length + 12;
  return new Octets(length).u32(type).u32(length).padded(octets).u32(length).octets;
}

const BlockType = {
  SECTION_HEADER: 0x0a0d_0d0a,
  INTERFACE_DESCRIPTION: 1,
  INTERFACE_STATISTICS: 5,
  ENHANCED_PACKET: 6,
} as const;

/** Options have numbers of their own in each type of block, but for comments. */
const Option = {
  COMMENT: 1,
  USER_APPLICATION: 4,
  INTERFACE_NAME: 2,
  INTERFACE_DESCRIPTION: 3,
  INTERFACE_TIME_RESOLUTION: 9,
  PACKET_FLAGS: 2,
  INTERFACE_DROPPED: 5,
} as const;

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
/** Both halves of a section length that nobody knows yet. */
const UNKNOWN_LENGTH = 0xffff_ffff;
/** Of a second, as a negative power of ten. */
const MICROSECONDS = 6;
const WORD = 0x1_0000_0000;
