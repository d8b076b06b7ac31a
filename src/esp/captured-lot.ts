/**
 * What a capture wants of the packet path and what it gets: copies of packets in lots, one for each
 * batch, as octets one behind the other and a row of words for each.
 */
import type { Instant } from '../wire/instant.ts';

/** Where a packet was seen. */
export const TapPoint = {
  /** Outside, from the peer. */
  RECEIVED: 0,
  /** Inside, as it was written to the TUN device: packets that were joined are one. */
  DELIVERED: 1,
  /** Inside, as it was read from the TUN device: a super-packet is one. */
  READ: 2,
  /** Outside, to the peer. */
  SENT: 3,
  /** Inside: an ICMP error of the gateway itself. */
  ANSWERED: 4,
} as const;

/** In place of a drop reason: the packet waits for its SA, and is seen again when it is there. */
export const TAP_HELD = -1;
/** In place of a drop reason: the packet leaves without protection. */
export const TAP_BYPASS = -2;
/** In place of a drop reason: there is nothing in the packet (RFC 4303 §2.6). */
export const TAP_DUMMY = -3;

/** Columns of a captured packet in `CapturedLot.rows`. */
export const TapWord = {
  /** One of `TapPoint`. */
  POINT: 0,
  /** Octets of it that are in `octets`. */
  LENGTH: 1,
  /** Octets it had. */
  ORIGINAL: 2,
  /** Number of the Child SA; -1 = none. */
  CHILD_SA: 3,
  /** Outside: that of the packet; else 0. */
  SPI: 4,
  /** A DropReason, 0, TAP_HELD, TAP_BYPASS or TAP_DUMMY. */
  REASON: 5,
} as const;

export const TAP_WORDS = 6;

/** Packets of one batch, one behind the other. */
export interface CapturedLot {
  readonly at: Instant;
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly rows: Int32Array;
  /** Packets that were not copied since the last lot. */
  readonly missed: number;
}

/** What of the packets is wanted. */
export interface TapSettings {
  /** Octets of a packet that are kept. */
  readonly snapLength: number;
  readonly dropsOnly: boolean;
  /** Packets of an SA with this SPI in either direction, or that carry it. */
  readonly spi?: number;
  /** Packets of these Child SAs; unset = of all and of none. */
  readonly childSas?: readonly number[];
}

/** Where the copies go. */
export interface TapOutlet {
  readonly post: (lot: CapturedLot) => void;
  /** The UDP port that ESP arrives at. */
  readonly nattPort: number;
}

/** Octets, and an allowance for each packet, that may be on their way to whoever takes them. */
export const TAP_CREDIT = 4 << 20;
/** What a packet costs besides its octets. */
export const TAP_PACKET_COST = 64;
