/** Messages of compare-and-set as octets. */
import { OctetReader } from '../../wire/octets.ts';
import { isNodeId } from '../node-id.ts';
import type { BusRecord, Revision } from './bus.ts';
import type { CasMessage } from './compare-and-set.ts';
import { Attributes, AttributeWriter, type BusMessage, MessageType } from './message.ts';
import { encodeRecord, readRecord } from './record.ts';

export const CasAttribute = {
  NUMBER: 1,
  WRITER: 2,
  INCARNATION: 3,
  KEY: 4,
  GRANTED: 5,
  PROMISED: 6,
  RECORD: 7,
} as const;
const Attribute = CasAttribute;

export function encodeCas(message: CasMessage): BusMessage {
  const { ballot } = message;
  const writer = new AttributeWriter()
    .number(Attribute.NUMBER, ballot.number)
    .number(Attribute.WRITER, ballot.writer)
    .number(Attribute.INCARNATION, ballot.incarnation);
  switch (message.kind) {
    case 'prepare':
      writer.octets(
        Attribute.KEY,
        Uint8Array.from(message.key, (one) => one.charCodeAt(0)),
      );
      return { type: MessageType.CAS_PREPARE, body: writer.finish() };
    case 'promise':
      writer.number(Attribute.GRANTED, message.granted ? 1 : 0);
      writer.number(Attribute.PROMISED, message.promised);
      if (message.record) writer.octets(Attribute.RECORD, encodeRecord(message.record));
      return { type: MessageType.CAS_PROMISE, body: writer.finish() };
    case 'accept':
      writer.octets(Attribute.RECORD, encodeRecord(message.record));
      return { type: MessageType.CAS_ACCEPT, body: writer.finish() };
    default:
      writer.number(Attribute.GRANTED, message.granted ? 1 : 0);
      return { type: MessageType.CAS_ACCEPTED, body: writer.finish() };
  }
}

/** Throws `MalformedError`; undefined for a type that is none of these. */
export function decodeCas({ type, body }: BusMessage): CasMessage | undefined {
  const attributes = new Attributes(body);
  const ballot = readBallot(attributes);
  switch (type) {
    case MessageType.CAS_PREPARE: {
      const key = String.fromCharCode(...attributes.octets(Attribute.KEY, 'key').slice(0, 256));
      return { kind: 'prepare', ballot, key };
    }
    case MessageType.CAS_PROMISE: {
      const found = attributes.find(Attribute.RECORD);
      const record = found && readWhole(found);
      const promised = attributes.number(Attribute.PROMISED, 'promised');
      return { kind: 'promise', ballot, granted: readGranted(attributes), promised, record };
    }
    case MessageType.CAS_ACCEPT: {
      const record = readWhole(attributes.octets(Attribute.RECORD, 'record'));
      return { kind: 'accept', ballot, record };
    }
    case MessageType.CAS_ACCEPTED:
      return { kind: 'accepted', ballot, granted: readGranted(attributes) };
    default:
      return undefined;
  }
}

function readBallot(attributes: Attributes): Revision {
  const writer = attributes.number(Attribute.WRITER, 'writer');
  if (!isNodeId(writer)) new OctetReader(new Uint8Array(0)).fail(`writer ${writer}`);
  const number = attributes.number(Attribute.NUMBER, 'number');
  return { number, writer, incarnation: attributes.number(Attribute.INCARNATION, 'incarnation') };
}

function readGranted(attributes: Attributes): boolean {
  return attributes.number(Attribute.GRANTED, 'granted') === 1;
}

function readWhole(octets: Uint8Array): BusRecord {
  const reader = new OctetReader(octets);
  const record = readRecord(reader);
  reader.end('record');
  return record;
}
