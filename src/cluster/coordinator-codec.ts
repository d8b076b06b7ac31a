/**
 * The coordinator's messages as octets: types and attributes of the bus (`bus/message.ts`).
 *
 * A heartbeat fits into one datagram with 256 claims: segments and epochs are written as differences, in
 * groups of seven bits. What is not known is passed over; `MalformedError` is the only error that leaves
 * `decode`.
 */
import { MalformedError, OctetReader, OctetWriter } from '../wire/octets.ts';
import type { Ballot, Segment } from './ballot.ts';
import {
  Attributes,
  AttributeWriter,
  type BusMessage,
  MessageType,
  readNumber,
  writeNumber,
} from './bus/message.ts';
import { type ConfigurationField, MAX_SEGMENTS } from './cluster-settings.ts';
import type {
  CoordinatorMessage,
  HeartbeatMessage,
  HelloMessage,
  LeaseMessage,
  SegmentAtEpoch,
} from './coordinator-message.ts';
import { isNodeId } from './node-id.ts';
import type { Claim } from './segment-records.ts';

const Attribute = {
  SENDER: 1,
  FIELDS: 2,
  CAPABILITY: 3,
  CONFIGURATION: 4,
  VIEW: 5,
  CLAIMS: 6,
  REFUSED: 7,
  PRECEDENCE: 8,
  APPLIED: 9,
  BATCH: 10,
  SEGMENTS: 11,
  PINNED: 12,
  STATE: 13,
} as const;

const TYPES = {
  hello: MessageType.HELLO,
  heartbeat: MessageType.HEARTBEAT,
  lease: MessageType.LEASE,
  bye: MessageType.BYE,
  'segment-give': MessageType.SEG_GIVE,
  'segment-take': MessageType.SEG_TAKE,
  'segment-freeze': MessageType.SEG_FREEZE,
  'segment-done': MessageType.SEG_DONE,
} as const;

const WEIGHTS = ['protocol', 'policy', 'advice'] as const;

type Write = (writer: OctetWriter) => void;

export function encodeCoordinatorMessage(message: CoordinatorMessage): BusMessage {
  const to = new AttributeWriter();
  put(to, Attribute.SENDER, (writer) => writer.u8(message.node).u16(message.sid));
  if (message.kind === 'hello') encodeHello(to, message);
  else if (message.kind === 'heartbeat') encodeHeartbeat(to, message);
  else if (message.kind === 'lease') encodeLease(to, message);
  else if (message.kind !== 'bye') {
    if (message.batch !== undefined) to.number(Attribute.BATCH, message.batch);
    put(to, Attribute.SEGMENTS, (writer) => {
      for (const one of message.segments) writeSegment(writer, one);
    });
    if (message.kind === 'segment-freeze') {
      if (message.pinned) to.octets(Attribute.PINNED, new Uint8Array(0));
      to.octets(Attribute.STATE, message.state);
    }
  }
  return { type: TYPES[message.kind], body: to.finish() };
}

/** Undefined for types of others. Throws `MalformedError`. */
export function decodeCoordinatorMessage(message: BusMessage): CoordinatorMessage | undefined {
  const kind = kindOf(message.type);
  if (kind === undefined) return undefined;
  const from = new Attributes(message.body);
  const reader = new OctetReader(from.octets(Attribute.SENDER, 'sender'));
  const sender = { node: reader.u8('node'), sid: reader.u16('SID') };
  if (!isNodeId(sender.node)) throw new MalformedError(0, `node ${sender.node}`);
  switch (kind) {
    case 'hello':
      return { kind, ...sender, ...decodeHello(from) };
    case 'heartbeat':
      return { kind, ...sender, ...decodeHeartbeat(from) };
    case 'lease':
      return { kind, ...sender, ...decodeLease(from) };
    case 'bye':
      return { kind, ...sender };
    case 'segment-take': {
      const isAnswer = from.find(Attribute.BATCH) !== undefined;
      const batch = isAnswer ? from.number(Attribute.BATCH, 'batch') : undefined;
      return { kind, ...sender, batch, segments: decodeSegments(from) };
    }
    case 'segment-freeze': {
      const pinned = from.find(Attribute.PINNED) !== undefined;
      const state = from.octets(Attribute.STATE, 'state');
      return { kind, ...sender, ...decodeBatch(from), pinned, state };
    }
    default:
      return { kind, ...sender, ...decodeBatch(from) };
  }
}

function kindOf(type: number): CoordinatorMessage['kind'] | undefined {
  switch (type) {
    case MessageType.HELLO:
      return 'hello';
    case MessageType.HEARTBEAT:
      return 'heartbeat';
    case MessageType.LEASE:
      return 'lease';
    case MessageType.BYE:
      return 'bye';
    case MessageType.SEG_GIVE:
      return 'segment-give';
    case MessageType.SEG_TAKE:
      return 'segment-take';
    case MessageType.SEG_FREEZE:
      return 'segment-freeze';
    case MessageType.SEG_DONE:
      return 'segment-done';
    default:
      return undefined;
  }
}

function encodeHello(to: AttributeWriter, hello: HelloMessage): void {
  put(to, Attribute.FIELDS, (writer) => {
    writer.u16(hello.version).u16(hello.oldestVersion);
    writeNumber(writer, hello.boot);
    writer.u32(hello.nonce);
    writeNumber(writer, hello.yourBoot);
    writer.u32(hello.yourNonce);
  });
  for (const one of hello.capabilities) to.octets(Attribute.CAPABILITY, textOctets(one));
  for (const { name, digest, weight } of hello.configuration) {
    put(to, Attribute.CONFIGURATION, (writer) => {
      const octets = textOctets(name);
      writer.u8(WEIGHTS.indexOf(weight)).u8(octets.length).octets(octets);
      writer.octets(textOctets(digest));
    });
  }
}

type Body<Message> = Omit<Message, 'kind' | 'node' | 'sid'>;

function decodeHello(from: Attributes): Body<HelloMessage> {
  const reader = new OctetReader(from.octets(Attribute.FIELDS, 'HELLO'));
  return {
    version: reader.u16('version'),
    oldestVersion: reader.u16('oldest version'),
    boot: readNumber(reader, 'start'),
    nonce: reader.u32('nonce'),
    yourBoot: readNumber(reader, 'start of the receiver'),
    yourNonce: reader.u32('nonce of the receiver'),
    capabilities: from.all(Attribute.CAPABILITY).map(text),
    configuration: from.all(Attribute.CONFIGURATION).map(decodeField),
  };
}

function decodeField(octets: Uint8Array): ConfigurationField {
  const reader = new OctetReader(octets);
  // A weight of a later version is the heaviest: it is better to refuse than to overlook.
  const weight = WEIGHTS[reader.u8('weight')] ?? 'protocol';
  const name = text(reader.take(reader.u8('length of a name'), 'name'));
  return { name, weight, digest: text(reader.rest()) };
}

function encodeHeartbeat(to: AttributeWriter, message: HeartbeatMessage): void {
  const { advert, legs, alone, contact, synced } = message;
  put(to, Attribute.FIELDS, (writer) => {
    writeNumber(writer, message.counter);
    writer.u32(advert.demotion).u8(advert.advbase).u8(advert.advskew).u8(message.load);
    writer.u8(bits([legs.wan, legs.lan, legs.sync, alone, contact, synced]));
  });
  put(to, Attribute.VIEW, (writer) => {
    for (const node of message.view) writer.u8(node);
  });
  put(to, Attribute.CLAIMS, (writer) => writeClaims(writer, message.claims));
}

function decodeHeartbeat(from: Attributes): Body<HeartbeatMessage> {
  const reader = new OctetReader(from.octets(Attribute.FIELDS, 'HEARTBEAT'));
  const counter = readNumber(reader, 'counter');
  const advert = {
    demotion: reader.u32('demotion'),
    advbase: reader.u8('advbase'),
    advskew: reader.u8('advskew'),
  };
  const load = reader.u8('load');
  const flags = reader.u8('flags');
  return {
    counter,
    advert,
    load,
    legs: { wan: bit(flags, 0), lan: bit(flags, 1), sync: bit(flags, 2) },
    alone: bit(flags, 3),
    contact: bit(flags, 4),
    synced: bit(flags, 5),
    view: [...from.octets(Attribute.VIEW, 'view')].filter(isNodeId),
    claims: readClaims(from.octets(Attribute.CLAIMS, 'claims')),
  };
}

/** By segment, each as the distance from the one before, and the epoch above the lowest of all. */
function writeClaims(writer: OctetWriter, claims: readonly Claim[]): void {
  const base = claims.reduce((least, { epoch }) => Math.min(least, epoch), Number.MAX_SAFE_INTEGER);
  if (claims.length > 0) writeNumber(writer, base);
  let before = -1;
  for (const claim of claims.toSorted((a, b) => a.segment - b.segment)) {
    const flags = bits([claim.owned, claim.settled, claim.after !== undefined]);
    writeGroups(writer, (claim.segment - before - 1) * 8 + flags);
    writeGroups(writer, claim.epoch - base);
    if (claim.after) writeBallot(writer, claim.after);
    before = claim.segment;
  }
}

function readClaims(octets: Uint8Array): readonly Claim[] {
  const reader = new OctetReader(octets);
  const claims: Claim[] = [];
  if (reader.remaining === 0) return claims;
  const base = readNumber(reader, 'lowest epoch');
  let segment = -1;
  while (reader.remaining > 0) {
    const head = readGroups(reader, 'claim');
    segment = checked(reader, segment + 1 + Math.floor(head / 8));
    const epoch = base + readGroups(reader, 'epoch');
    if (!Number.isSafeInteger(epoch)) reader.fail(`epoch ${epoch}`);
    const after = bit(head, 2) ? readBallot(reader) : undefined;
    claims.push({ segment, epoch, owned: bit(head, 0), settled: bit(head, 1), after });
  }
  return claims;
}

function encodeLease(to: AttributeWriter, lease: LeaseMessage): void {
  put(to, Attribute.FIELDS, (writer) => writeNumber(writer.u16(lease.to), lease.counter));
  put(to, Attribute.REFUSED, (writer) => {
    for (const { segment, epoch, standing, isOwned } of lease.refused) {
      writeSegment(writer, { segment, epoch });
      writeBallot(writer, standing);
      writer.u8(bits([isOwned]));
    }
  });
  put(to, Attribute.PRECEDENCE, (writer) => {
    for (const { segment, epoch, previous } of lease.precedence) {
      writeSegment(writer, { segment, epoch });
      writeBallot(writer, previous);
    }
  });
  put(to, Attribute.APPLIED, (writer) => {
    for (const { sid, position } of lease.applied) writeNumber(writer.u16(sid), position);
  });
}

function decodeLease(from: Attributes): Body<LeaseMessage> {
  const reader = new OctetReader(from.octets(Attribute.FIELDS, 'LEASE'));
  return {
    to: reader.u16('SID'),
    counter: readNumber(reader, 'counter'),
    refused: list(from.octets(Attribute.REFUSED, 'refusals'), (one) => {
      return { ...readSegment(one), standing: readBallot(one), isOwned: bit(one.u8('flags'), 0) };
    }),
    precedence: list(from.octets(Attribute.PRECEDENCE, 'precedence'), (one) => {
      return { ...readSegment(one), previous: readBallot(one) };
    }),
    applied: list(from.octets(Attribute.APPLIED, 'positions'), (one) => {
      return { sid: one.u16('SID'), position: readNumber(one, 'position') };
    }),
  };
}

function decodeBatch(from: Attributes) {
  return { batch: from.number(Attribute.BATCH, 'batch'), segments: decodeSegments(from) };
}

function decodeSegments(from: Attributes): readonly SegmentAtEpoch[] {
  return list(from.octets(Attribute.SEGMENTS, 'segments'), readSegment);
}

function writeSegment(writer: OctetWriter, { segment, epoch }: SegmentAtEpoch): void {
  writeNumber(writer.u16(segment), epoch);
}

function readSegment(reader: OctetReader): SegmentAtEpoch {
  return { segment: checked(reader, reader.u16('segment')), epoch: readNumber(reader, 'epoch') };
}

function checked(reader: OctetReader, segment: Segment): Segment {
  if (segment >= MAX_SEGMENTS) reader.fail(`segment ${segment} of at most ${MAX_SEGMENTS}`);
  return segment;
}

function writeBallot(writer: OctetWriter, { epoch, sid }: Ballot): void {
  writeNumber(writer.u16(sid), epoch);
}

function readBallot(reader: OctetReader): Ballot {
  return { sid: reader.u16('SID'), epoch: readNumber(reader, 'epoch') };
}

function put(to: AttributeWriter, type: number, write: Write): void {
  const writer = new OctetWriter();
  write(writer);
  to.octets(type, writer.finish());
}

function list<Item>(octets: Uint8Array, read: (reader: OctetReader) => Item): readonly Item[] {
  const reader = new OctetReader(octets);
  const items: Item[] = [];
  while (reader.remaining > 0) items.push(read(reader));
  return items;
}

/** Seven bits in each octet, the lowest first; the highest bit says that more follow. */
function writeGroups(writer: OctetWriter, value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) writer.u8((rest % 0x80) | 0x80);
  writer.u8(rest);
}

function readGroups(reader: OctetReader, what: string): number {
  let value = 0;
  for (let factor = 1; ; factor *= 0x80) {
    const group = reader.u8(what);
    value += (group & 0x7f) * factor;
    if (!Number.isSafeInteger(value)) reader.fail(`${what}: a number of more than 53 bits`);
    if (group < 0x80) return value;
  }
}

function bits(flags: readonly boolean[]): number {
  return flags.reduce((sum, flag, at) => sum + (flag ? 1 << at : 0), 0);
}

function bit(flags: number, at: number): boolean {
  return (flags & (1 << at)) !== 0;
}

function textOctets(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(octets: Uint8Array): string {
  return new TextDecoder().decode(octets);
}
