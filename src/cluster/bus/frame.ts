/**
 * Frames: what a sealed datagram carries, one behind the other.
 *
 * | octets | field |
 * |---|---|
 * | 0 | type |
 * | 1-2 | length of the body |
 * | 3- | body |
 *
 * A piece: lane (1), flags (1: first 1, last 2), number (8), and in a first piece the message's type (2) and
 * length (4), then octets of the message. An overtaking message: type (2), body. An acknowledgement: lane
 * (1), next number (8), limit (8), ranges (each offset behind the next number (2) and length (2)). A fragment of an
 * expendable message: number (8), place in the message (2), flags (1: last 1), and in place 0 the message's type (2), then
 * octets of the message. What a receiver has seen of them: next number (8).
 * Frames of other types are passed over.
 */
import { MalformedError, OctetReader, OctetWriter } from '../../wire/octets.ts';
import { type BusMessage, readNumber, writeNumber } from './message.ts';

/** Two rows of messages that do not wait for one another. */
export const Lane = { URGENT: 0, BULK: 1 } as const;
export type Lane = (typeof Lane)[keyof typeof Lane];
export const LANES: readonly Lane[] = [Lane.URGENT, Lane.BULK];

export const FrameType = {
  PIECE: 1,
  OVERTAKING: 2,
  ACKNOWLEDGEMENT: 3,
  FRAGMENT: 4,
  SEEN: 5,
} as const;

/** A part of a message, or all of it. Pieces of a lane are numbered from 0 on. */
export interface Piece {
  readonly kind: 'piece';
  readonly lane: Lane;
  readonly number: number;
  /** In the first piece of a message: what it is, and how long. */
  readonly opens: { readonly type: number; readonly length: number } | undefined;
  readonly isLast: boolean;
  readonly octets: Uint8Array;
}

/** What a receiver has of a lane. */
export interface Acknowledgement {
  readonly kind: 'acknowledgement';
  readonly lane: Lane;
  /** All pieces below were given to whom they are for. */
  readonly next: number;
  /** Pieces from here on are not taken. */
  readonly limit: number;
  /** Pieces beyond `next` that need not be sent again, but are not yet given to anyone. */
  readonly ranges: readonly { readonly first: number; readonly length: number }[];
}

export interface Overtaking {
  readonly kind: 'overtaking';
  readonly message: BusMessage;
}

/** A part of a message that nobody repeats, or all of it. They are numbered from 0 on, over all messages. */
export interface Fragment {
  readonly kind: 'fragment';
  readonly number: number;
  /** Which of the message's: `number` of its first one is so much lower. */
  readonly place: number;
  /** Type of the message; in the first one only. */
  readonly type: number | undefined;
  readonly isLast: boolean;
  readonly octets: Uint8Array;
}

/** Fragments below this number have come, or will not. */
export interface SeenFragments {
  readonly kind: 'seen';
  readonly next: number;
}

export type Frame = Piece | Acknowledgement | Overtaking | Fragment | SeenFragments;

/** Octets of a frame around those of a message. */
export const PIECE_OVERHEAD = 3 + 10;
export const OPENING_OVERHEAD = 6;
export const OVERTAKING_OVERHEAD = 3 + 2;
export const FRAGMENT_OVERHEAD = 3 + 11;
export const FIRST_FRAGMENT_OVERHEAD = FRAGMENT_OVERHEAD + 2;
export const MAX_RANGES = 32;

const FIRST = 1;
const LAST = 2;
const LAST_FRAGMENT = 1;

export function encodePiece(piece: Omit<Piece, 'kind'>): Uint8Array {
  const { opens, octets } = piece;
  const length = PIECE_OVERHEAD - 3 + (opens ? OPENING_OVERHEAD : 0) + octets.length;
  const writer = new OctetWriter().u8(FrameType.PIECE).u16(length);
  writer.u8(piece.lane).u8((opens ? FIRST : 0) | (piece.isLast ? LAST : 0));
  writeNumber(writer, piece.number);
  if (opens) writer.u16(opens.type).u32(opens.length);
  return writer.octets(octets).finish();
}

export function encodeOvertaking({ type, body }: BusMessage): Uint8Array {
  const writer = new OctetWriter().u8(FrameType.OVERTAKING).u16(body.length + 2);
  return writer.u16(type).octets(body).finish();
}

export function encodeAcknowledgement(ack: Omit<Acknowledgement, 'kind'>): Uint8Array {
  const ranges = ack.ranges.slice(0, MAX_RANGES);
  const writer = new OctetWriter().u8(FrameType.ACKNOWLEDGEMENT).u16(17 + 4 * ranges.length);
  writer.u8(ack.lane);
  writeNumber(writer, ack.next);
  writeNumber(writer, ack.limit);
  for (const { first, length } of ranges) writer.u16(first - ack.next).u16(length);
  return writer.finish();
}

export function encodeFragment(fragment: Omit<Fragment, 'kind'>): Uint8Array {
  const { number, place, type, isLast, octets } = fragment;
  const overhead = type === undefined ? FRAGMENT_OVERHEAD : FIRST_FRAGMENT_OVERHEAD;
  const writer = new OctetWriter().u8(FrameType.FRAGMENT).u16(overhead - 3 + octets.length);
  writeNumber(writer, number);
  writer.u16(place).u8(isLast ? LAST_FRAGMENT : 0);
  if (type !== undefined) writer.u16(type);
  return writer.octets(octets).finish();
}

export function encodeSeen({ next }: Omit<SeenFragments, 'kind'>): Uint8Array {
  const writer = new OctetWriter().u8(FrameType.SEEN).u16(8);
  writeNumber(writer, next);
  return writer.finish();
}

/** The frames of a datagram, and how many were passed over or are malformed. Never throws. */
export function decodeFrames(plaintext: Uint8Array): {
  readonly frames: readonly Frame[];
  readonly unknown: number;
  readonly malformed: number;
} {
  const reader = new OctetReader(plaintext);
  const frames: Frame[] = [];
  let [unknown, malformed] = [0, 0];
  try {
    while (reader.remaining > 0) {
      const type = reader.u8('frame type');
      const body = reader.within(reader.u16('frame length'), 'frame');
      const frame = decodeFrame(type, body);
      if (frame) frames.push(frame);
      else unknown++;
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    malformed++;
  }
  return { frames, unknown, malformed };
}

function decodeFrame(type: number, body: OctetReader): Frame | undefined {
  switch (type) {
    case FrameType.PIECE:
      return decodePiece(body);
    case FrameType.OVERTAKING:
      return { kind: 'overtaking', message: { type: body.u16('message type'), body: body.rest() } };
    case FrameType.ACKNOWLEDGEMENT:
      return decodeAcknowledgement(body);
    case FrameType.FRAGMENT:
      return decodeFragment(body);
    case FrameType.SEEN:
      return { kind: 'seen', next: readNumber(body, 'next number') };
    default:
      return undefined;
  }
}

function decodeFragment(body: OctetReader): Fragment {
  const number = readNumber(body, 'fragment number');
  const place = body.u16('place in the message');
  if (place > number) body.fail(`fragment ${number} in place ${place}`);
  const isLast = (body.u8('flags') & LAST_FRAGMENT) !== 0;
  const type = place === 0 ? body.u16('message type') : undefined;
  return { kind: 'fragment', number, place, type, isLast, octets: body.rest() };
}

function decodePiece(body: OctetReader): Piece {
  const lane = readLane(body);
  const flags = body.u8('flags');
  const number = readNumber(body, 'piece number');
  const opens =
    (flags & FIRST) === 0
      ? undefined
      : { type: body.u16('message type'), length: body.u32('message length') };
  return { kind: 'piece', lane, number, opens, isLast: (flags & LAST) !== 0, octets: body.rest() };
}

function decodeAcknowledgement(body: OctetReader): Acknowledgement {
  const lane = readLane(body);
  const next = readNumber(body, 'next number');
  const limit = readNumber(body, 'limit');
  const ranges: { readonly first: number; readonly length: number }[] = [];
  while (body.remaining > 0) {
    ranges.push({ first: next + body.u16('range'), length: body.u16('range length') });
  }
  return { kind: 'acknowledgement', lane, next, limit, ranges };
}

function readLane(body: OctetReader): Lane {
  const lane = body.u8('lane');
  const known = LANES.find((one) => one === lane);
  return known ?? body.fail(`lane ${lane}`);
}
