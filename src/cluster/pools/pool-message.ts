/**
 * What nodes say to one another about the records of address pools: messages of the bus's own kinds and a
 * few more, each in a POOL_LEASE.
 *
 * | attribute | value |
 * |---|---|
 * | 1 | kind: a type of the bus, or one of ours |
 * | 2 | body |
 * | 3 | number by which the receiver says that it has it; of ACK, COMPARE and COMPARED the number meant |
 */
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { BusRecord } from '../bus/bus.ts';
import { Attributes, AttributeWriter, type BusMessage, MessageType } from '../bus/message.ts';
import { readRecord, writeRecord } from '../bus/record.ts';

export interface PoolMessage {
  readonly kind: number;
  readonly body: Uint8Array;
  /** 0: nobody waits to hear of it. */
  readonly number: number;
}

/** Kinds that are none of the bus. */
export const PoolMessageKind = {
  /** Here is a digest: send what you have otherwise. */
  COMPARE: 0x8000,
  /** Records of parts that differ; with nothing in it, there are no more. */
  COMPARED: 0x8001,
} as const;

export function encodePoolMessage({ kind, body, number }: PoolMessage): BusMessage {
  const to = new AttributeWriter().number(Attribute.KIND, kind).octets(Attribute.BODY, body);
  if (number > 0) to.number(Attribute.NUMBER, number);
  return { type: MessageType.POOL_LEASE, body: to.finish() };
}

/** Throws `MalformedError`. */
export function decodePoolMessage({ body }: BusMessage): PoolMessage {
  const from = new Attributes(body);
  const kind = from.number(Attribute.KIND, 'kind');
  const has = from.find(Attribute.NUMBER) !== undefined;
  const number = has ? from.number(Attribute.NUMBER, 'number') : 0;
  return { kind, body: from.octets(Attribute.BODY, 'body'), number };
}

/** In parts that each fit into a message, made as they are asked for. */
export function* encodeRecords(records: Iterable<BusRecord>): Generator<Uint8Array> {
  let writer = new OctetWriter();
  for (const record of records) {
    writeRecord(writer, record);
    if (writer.length < PART_OCTETS) continue;
    yield writer.finish();
    writer = new OctetWriter();
  }
  if (writer.length > 0) yield writer.finish();
}

/** Throws `MalformedError`. */
export function decodeRecords(octets: Uint8Array): readonly BusRecord[] {
  const reader = new OctetReader(octets);
  const records: BusRecord[] = [];
  while (reader.remaining > 0) records.push(readRecord(reader));
  return records;
}

/** With the longest record behind it, still less than a message may have. */
const PART_OCTETS = 24_000;
const Attribute = { KIND: 1, BODY: 2, NUMBER: 3 } as const;
