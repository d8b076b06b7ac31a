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
  /** Outer TOS or traffic class octet: sent with the packet, or as it arrived. */
  TOS: 6,
  /** Bit 0: set DF outside. */
  FLAGS: 7,
  /** Index of the SA in the packet loop's tables; the native layer ignores it. */
  SA: 8,
  /** Drop reason, 0 = none; the native layer looks at it only to pass such rows over in `writeTun`. */
  DROP: 9,
  /** Octets of the inner packet, kept while the row is sealed and sent; the native layer ignores it. */
  INNER: 10,
} as const;

/** Words of one row. */
export const WORDS = 12;

export const STATUS_OK = 0;
export const STATUS_BAD_ICV = 1;

export const FLAG_DF = 1;

/**
 * In DROP: the packet went another way and is no drop: an IKE message, a packet that a trap holds,
 * one that passes without protection.
 */
export const DROP_TAKEN = -1;

/** In DROP, inbound: the packet waits for its SA and is no drop. */
export const DROP_HELD = -2;

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

/** Room in front of an inner packet for ESP header, IV and anything a later mode puts there. */
export const HEADROOM = 64;
/** Octets from one slot to the next: a 9000-octet packet with all ESP adds, odd against cache sets. */
export const SLOT_OCTETS = 9408;
/** Packets of a batch. */
export const BATCH_SIZE = 64;

export interface Batch {
  readonly arena: Uint8Array;
  readonly words: Int32Array;
  readonly origins: Uint8Array;
  readonly size: number;
}

/** Makes the first `count` rows ready to receive packets from `headroom` octets into their slots. */
export function emptyRows(batch: Batch, count: number, headroom: number): void {
  for (let row = 0; row < count; row++) {
    const at = row * WORDS;
    batch.words[at + Word.OFFSET] = row * SLOT_OCTETS + headroom;
    batch.words[at + Word.LENGTH] = SLOT_OCTETS - headroom - (headroom === 0 ? 0 : TAILROOM);
    batch.words[at + Word.CONTEXT] = -1;
    batch.words[at + Word.PATH] = -1;
    batch.words[at + Word.STATUS] = STATUS_OK;
    batch.words[at + Word.DROP] = 0;
  }
}

/** Room behind an inner packet for padding, trailer and ICV. */
const TAILROOM = 64;

/** A batch of `size` empty slots. */
export function createBatch(size = BATCH_SIZE): Batch {
  return {
    arena: new Uint8Array(new SharedArrayBuffer(size * SLOT_OCTETS)),
    words: new Int32Array(new SharedArrayBuffer(size * WORDS * 4)),
    origins: new Uint8Array(new SharedArrayBuffer(size * ORIGIN_OCTETS)),
    size,
  };
}
