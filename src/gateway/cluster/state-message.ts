/**
 * What nodes say to one another about IKE SAs and Child SAs, as octets: types and attributes of the bus.
 *
 * A process writes one log of records (IKE_PUT, SEQ_RESERVE), counted from 1; who has them all up to a position says so
 * (ACK). A node that missed some asks for everything (SNAPSHOT_REQ, answered by SNAPSHOT_CHUNK as often as it
 * takes and one SNAPSHOT_END). What is not known is passed over; `MalformedError` is the only error that leaves
 * `decode`.
 */
import type { Epoch, Sid } from '../../cluster/ballot.ts';
import {
  Attributes,
  AttributeWriter,
  type BusMessage,
  MessageType,
  readNumber,
  writeNumber,
} from '../../cluster/bus/message.ts';
import type { SegmentAtEpoch } from '../../cluster/coordinator-message.ts';
import { EDGE_WORDS, type Edges } from '../../events/edge-digest.ts';
import type { SnapshotBundle } from '../../ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../ike/snapshot-codec.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import { type Spi, spi } from '../../ipsec/spi.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';

/** A bundle of the sender's IKE SAs, in its place in the sender's log. */
export interface PutMessage {
  readonly kind: 'put';
  readonly sid: Sid;
  readonly position: number;
  readonly bundle: SnapshotBundle;
  /** The sender changed them while it did not know of a later owner, and is none any more. */
  readonly yielded: boolean;
}

/** The sender has the log of process `of` up to `position`, but for what it refused. */
export interface AckMessage {
  readonly kind: 'ack';
  readonly sid: Sid;
  readonly of: Sid;
  readonly position: number;
  readonly refused: readonly number[];
}

export interface SnapshotRequest {
  readonly kind: 'snapshot-request';
  readonly sid: Sid;
  /** Everything; unset: only how far the log goes, and what its writer says of itself. */
  readonly whole: boolean;
}

/** Some of the IKE SAs that the sender has, its own and those it follows. */
export interface SnapshotChunk {
  readonly kind: 'snapshot-chunk';
  readonly sid: Sid;
  /** How long ago these were told, in milliseconds. */
  readonly age: number;
  readonly bundle: SnapshotBundle;
}

/** The chunks before it are all there was, when the log went up to `position`. */
export interface SnapshotEnd {
  readonly kind: 'snapshot-end';
  readonly sid: Sid;
  readonly whole: boolean;
  readonly position: number;
  readonly synced: boolean;
  readonly owns: readonly SegmentAtEpoch[];
}

/** Outbound numbers of a Child SA, named by its inbound SPI, that the owner of its segment may use. */
export interface Reservation {
  readonly spiIn: Spi;
  readonly epoch: Epoch;
  readonly upTo: SequenceHalves;
}

/** Reservations in the sender's log; without a position, all that the sender has heard of. */
export interface ReserveMessage {
  readonly kind: 'reserve';
  readonly sid: Sid;
  readonly position: number | undefined;
  readonly reservations: readonly Reservation[];
}

/** Where the replay windows of the sender's Child SAs are. */
export interface EdgesMessage {
  readonly kind: 'edges';
  readonly sid: Sid;
  readonly edges: Edges;
}

export type StateMessage =
  | PutMessage
  | ReserveMessage
  | EdgesMessage
  | AckMessage
  | SnapshotRequest
  | SnapshotChunk
  | SnapshotEnd;

export function encodeStateMessage(message: StateMessage): BusMessage {
  const to = new AttributeWriter().number(Attribute.SID, message.sid);
  switch (message.kind) {
    case 'put':
      to.number(Attribute.POSITION, message.position);
      to.octets(Attribute.BUNDLE, encodeBundle(message.bundle));
      flag(to, Attribute.YIELDED, message.yielded);
      break;
    case 'ack':
      to.number(Attribute.OF, message.of).number(Attribute.POSITION, message.position);
      for (const position of message.refused) to.number(Attribute.REFUSED, position);
      break;
    case 'reserve':
      if (message.position !== undefined) to.number(Attribute.POSITION, message.position);
      to.octets(Attribute.RESERVATIONS, encodeReservations(message.reservations));
      break;
    case 'edges':
      to.octets(Attribute.EDGES, encodeEdges(message.edges));
      break;
    case 'snapshot-request':
      flag(to, Attribute.WHOLE, message.whole);
      break;
    case 'snapshot-chunk':
      to.number(Attribute.AGE, message.age);
      to.octets(Attribute.BUNDLE, encodeBundle(message.bundle));
      break;
    case 'snapshot-end':
      to.number(Attribute.POSITION, message.position);
      flag(to, Attribute.WHOLE, message.whole);
      flag(to, Attribute.SYNCED, message.synced);
      to.octets(Attribute.OWNS, encodeOwns(message.owns));
      break;
    default:
      message satisfies never;
  }
  return { type: TYPES[message.kind], body: to.finish() };
}

/** Undefined for types of others. Throws `MalformedError`. */
export function decodeStateMessage({ type, body }: BusMessage): StateMessage | undefined {
  const kind = KINDS.get(type);
  if (kind === undefined) return undefined;
  const from = new Attributes(body);
  const sid = from.number(Attribute.SID, 'SID');
  const has = (attribute: number) => from.find(attribute) !== undefined;
  const position = () => from.number(Attribute.POSITION, 'position');
  const bundle = () => decodeBundle(from.octets(Attribute.BUNDLE, 'bundle'));
  switch (kind) {
    case 'put':
      return {
        ...{ kind, sid, position: position(), bundle: bundle() },
        yielded: has(Attribute.YIELDED),
      };
    case 'ack': {
      const refused = from
        .all(Attribute.REFUSED)
        .map((one) => readNumber(new OctetReader(one), 'refused position'));
      const of = from.number(Attribute.OF, 'SID of the log');
      return { kind, sid, of, position: position(), refused };
    }
    case 'reserve': {
      const reservations = decodeReservations(from.octets(Attribute.RESERVATIONS, 'reservations'));
      const at = has(Attribute.POSITION) ? position() : undefined;
      return { kind, sid, position: at, reservations };
    }
    case 'edges':
      return { kind, sid, edges: decodeEdges(from.octets(Attribute.EDGES, 'edges')) };
    case 'snapshot-request':
      return { kind, sid, whole: has(Attribute.WHOLE) };
    case 'snapshot-chunk':
      return { kind, sid, age: from.number(Attribute.AGE, 'age'), bundle: bundle() };
    case 'snapshot-end': {
      const owns = decodeOwns(from.octets(Attribute.OWNS, 'segments'));
      const [whole, synced] = [has(Attribute.WHOLE), has(Attribute.SYNCED)];
      return { kind, sid, whole, position: position(), synced, owns };
    }
    default:
      return kind satisfies never;
  }
}

/** IKE SAs of one message: with a dozen Child SAs each it still fits. */
export const SAS_IN_ONE = 8;

/** A bundle in parts that each fit into one message; what belongs to one IKE SA stays together. */
export function partsOf({ snapshots, gone }: SnapshotBundle): readonly SnapshotBundle[] {
  const parts: SnapshotBundle[] = [];
  for (let at = 0; at < snapshots.length; at += SAS_IN_ONE) {
    parts.push({ snapshots: snapshots.slice(at, at + SAS_IN_ONE), gone: [] });
  }
  if (gone.length > 0) parts.push({ snapshots: [], gone });
  return parts;
}

function encodeOwns(owns: readonly SegmentAtEpoch[]): Uint8Array {
  const writer = new OctetWriter();
  for (const { segment, epoch } of owns) writeNumber(writer.u16(segment), epoch);
  return writer.finish();
}

function decodeOwns(octets: Uint8Array): readonly SegmentAtEpoch[] {
  const reader = new OctetReader(octets);
  const owns: SegmentAtEpoch[] = [];
  while (reader.remaining > 0) {
    owns.push({ segment: reader.u16('segment'), epoch: readNumber(reader, 'epoch') });
  }
  return owns;
}

function encodeReservations(reservations: readonly Reservation[]): Uint8Array {
  const writer = new OctetWriter();
  for (const { spiIn, epoch, upTo } of reservations) {
    writeNumber(writer.u32(spiIn), epoch);
    writer.u32(upTo.high).u32(upTo.low);
  }
  return writer.finish();
}

function decodeReservations(octets: Uint8Array): readonly Reservation[] {
  const reader = new OctetReader(octets);
  const reservations: Reservation[] = [];
  while (reader.remaining > 0) {
    const spiIn = spi(reader.u32('SPI'));
    const epoch = readNumber(reader, 'epoch');
    const upTo = { high: reader.u32('high half'), low: reader.u32('low half') };
    reservations.push({ spiIn, epoch, upTo });
  }
  return reservations;
}

function encodeEdges(edges: Edges): Uint8Array {
  const writer = new OctetWriter();
  for (const word of edges) writer.u32(word);
  return writer.finish();
}

function decodeEdges(octets: Uint8Array): Edges {
  const reader = new OctetReader(octets);
  const words: number[] = [];
  while (reader.remaining > 0) {
    for (let word = 0; word < EDGE_WORDS; word++) words.push(reader.u32('edge'));
  }
  return Uint32Array.from(words);
}

function flag(to: AttributeWriter, attribute: number, value: boolean): void {
  if (value) to.octets(attribute, new Uint8Array(0));
}

const Attribute = {
  SID: 1,
  POSITION: 2,
  BUNDLE: 3,
  OF: 4,
  REFUSED: 5,
  WHOLE: 6,
  AGE: 7,
  SYNCED: 8,
  OWNS: 9,
  RESERVATIONS: 10,
  EDGES: 11,
  YIELDED: 12,
} as const;

const TYPES = {
  put: MessageType.IKE_PUT,
  reserve: MessageType.SEQ_RESERVE,
  edges: MessageType.EDGE_DIGEST,
  ack: MessageType.ACK,
  'snapshot-request': MessageType.SNAPSHOT_REQ,
  'snapshot-chunk': MessageType.SNAPSHOT_CHUNK,
  'snapshot-end': MessageType.SNAPSHOT_END,
} as const;

const KINDS: ReadonlyMap<number, StateMessage['kind']> = new Map([
  [TYPES.put, 'put'],
  [TYPES.reserve, 'reserve'],
  [TYPES.edges, 'edges'],
  [TYPES.ack, 'ack'],
  [TYPES['snapshot-request'], 'snapshot-request'],
  [TYPES['snapshot-chunk'], 'snapshot-chunk'],
  [TYPES['snapshot-end'], 'snapshot-end'],
]);
