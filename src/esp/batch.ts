/**
 * A batch: the packets of one turn of the packet loop, in one arena (RFC 4303 §3.3, §3.4).
 *
 * Every packet is a slot of the arena and a row of descriptor words. TypeScript decides and writes
 * the words; the native layer copies, seals, opens and sends what they name, and writes STATUS.
 */

/** Columns of a descriptor row. */
export const Word = {
  /** First octet of the packet in the arena. */
  OFFSET: 0,
  /** Octets of the packet; before a receive, the octets there is room for. */
  LENGTH: 1,
  /** Native crypto context that seals or opens the packet; -1 = none, the row is passed over. */
  CONTEXT: 2,
  /** Written by the native layer: 0 done, BAD_ICV, or a negative errno. */
  STATUS: 3,
  /** High half of the sequence number, used in the ICV with ESN. */
  SEQUENCE_HIGH: 4,
  /** Native path (outer addresses and ports) the packet leaves by; below 0 = none, passed over. */
  PATH: 5,
  /**
   * Outer TOS or traffic class octet: sent with the packet, or as it arrived. Of what was read: how
   * many workers had it before.
   */
  TOS: 6,
  /** Bit 0: set DF outside. */
  FLAGS: 7,
  /** Index of the SA in the packet loop's tables; the native layer ignores it. */
  SA: 8,
  /** Drop reason, 0 = none; the native layer looks at it only to pass such rows over in `writeTun`. */
  DROP: 9,
  /** Octets of the inner packet, whatever becomes of the row; the native layer ignores it. */
  INNER: 10,
  /** Before a seal: where in the arena the rest of the packet stands. */
  SOURCE: 11,
  /** Octets of it; 0 = the packet is all there. */
  SOURCE_LENGTH: 12,
  /** Where in the packet that goes. */
  COPY_TO: 13,
  /** First octet that a checksum covers, which ends with what was copied; -1 = none. */
  SUM_FROM: 14,
  /** Where the checksum stands; until then the sum of what it covers besides. */
  SUM_AT: 15,
  /** Received: octets of each datagram where several came merged into the row, else 0. */
  SEGMENT: 16,
  /** Row of the arrivals whose origin is this packet's. */
  ORIGIN: 17,
  /** Rows from here to the one whose octets are written to the device behind these; 0 = none. */
  NEXT: 18,
  /** Written by `open` where FLAG_SUM asks for it: the sum over the body (RFC 1071). */
  SUM: 19,
} as const;

/** Words of one row. */
export const WORDS = 20;

export const STATUS_OK = 0;
export const STATUS_BAD_ICV = 1;

export const FLAG_DF = 1;
/** Inbound: `open` sums the body up. */
export const FLAG_SUM = 2;

/**
 * In DROP: the packet went another way and is no drop: an IKE message, a packet that a trap holds,
 * one that passes without protection.
 */
export const DROP_TAKEN = -1;

/** In DROP, inbound: the packet waits for its SA and is no drop. */
export const DROP_HELD = -2;

/** In DROP, inbound: the packet is of another worker's SA, which has it now, and is no drop. */
export const DROP_ELSEWHERE = -4;

/** In DROP, inbound: the row's octets are written with those of another row, which names it NEXT. */
export const DROP_JOINED = -3;

/** In DROP, inbound: another node has the packet's SA; it is opened for the window's sake and is no drop. */
export const DROP_SAMPLED = -5;

/** In PATH: the packet leaves as it is, to the destination in its origin (`sendTo`). */
export const PATH_OF_ORIGIN = -2;

/** Octets the native layer writes per received packet into `origins`. */
export const ORIGIN_OCTETS = 48;

/** Offsets in an origin: where a datagram came from and which address it was sent to. */
export const Origin = {
  /** 4 or 6. */
  FAMILY: 0,
  /** Source port, network order; 0 on raw sockets. */
  PORT: 2,
  /** Interface index, little endian of the machine, 4 octets. */
  INTERFACE: 4,
  /** Source address, 4 or 16 octets. */
  SOURCE: 8,
  /** Destination address, 4 or 16 octets. */
  DESTINATION: 24,
} as const;

/** Octets of the virtio-net header that stands in front of a packet of the TUN device. */
export const VNET_HEADER_OCTETS = 10;

/** Room in front of a packet for the header of the device or of an ESP packet. */
export const HEADROOM = 64;
/** The largest packet there is, with what ESP adds; odd against cache sets. */
export const LARGEST_SLOT = 65_536 + 576;
/** Datagrams of one receive, and packets of one read of the TUN device. */
export const BATCH_SIZE = 64;
/** Packets that are opened or sealed in one call: those of a few super-packets. */
export const PACKETS = 256;

/** Where packets go that need a header and stand behind another: as much as a receive can be. */
export const SPARE_OCTETS = BATCH_SIZE * LARGEST_SLOT + PACKETS * HEADROOM;

export interface Batch {
  readonly arena: Uint8Array;
  readonly words: Int32Array;
  readonly origins: Uint8Array;
  readonly size: number;
  /** Octets from one slot to the next; 0 where rows have no slots of their own. */
  readonly slotOctets: number;
}

/** Makes the first `count` rows ready to receive packets from `HEADROOM` octets into their slots. */
export function emptyRows(batch: Batch, count: number): void {
  const { words, slotOctets } = batch;
  for (let row = 0; row < count; row++) {
    const at = row * WORDS;
    words[at + Word.OFFSET] = row * slotOctets + HEADROOM;
    words[at + Word.LENGTH] = slotOctets - HEADROOM;
    words[at + Word.STATUS] = STATUS_OK;
    words[at + Word.TOS] = 0;
    words[at + Word.DROP] = 0;
    words[at + Word.SEGMENT] = 0;
    words[at + Word.NEXT] = 0;
    words[at + Word.SOURCE_LENGTH] = 0;
  }
}

/** A batch of `size` empty slots; `more` octets of the arena belong to none of them. */
export function createBatch(size = BATCH_SIZE, slotOctets = LARGEST_SLOT, more = 0): Batch {
  const arena = new Uint8Array(new SharedArrayBuffer(size * slotOctets + more));
  const batch = { ...createRows(arena, size), slotOctets };
  emptyRows(batch, size);
  return batch;
}

/** Rows for packets that stand anywhere in an arena. */
export function createRows(arena: Uint8Array, size = PACKETS): Batch {
  return {
    arena,
    words: new Int32Array(new SharedArrayBuffer(size * WORDS * 4)),
    origins: new Uint8Array(new SharedArrayBuffer(size * ORIGIN_OCTETS)),
    size,
    slotOctets: 0,
  };
}
