/**
 * Records as octets, which of two is the later one, and their hash for digests.
 */
import { digest } from '../../crypto/digest.ts';
import {
  latin1OfOctets,
  type OctetReader,
  OctetWriter,
  octetsOfLatin1,
} from '../../wire/octets.ts';
import { isNodeId } from '../node-id.ts';
import { type BusRecord, MAX_KEY_OCTETS, MAX_VALUE_OCTETS, type Revision } from './bus.ts';
import { readNumber, writeNumber } from './message.ts';

/** | epoch 8 | number 8 | incarnation 4 | writer 1 | has a value 1 | key length 2 | value length 4 | key | value | */
export function encodeRecord(record: BusRecord): Uint8Array {
  const writer = new OctetWriter();
  writeRecord(writer, record);
  return writer.finish();
}

export function writeRecord(writer: OctetWriter, record: BusRecord): void {
  const key = octetsOfLatin1(record.key);
  const value = record.value ?? NOTHING;
  writeNumber(writer, record.epoch);
  writeNumber(writer, record.revision.number);
  writer.u32(record.revision.incarnation).u8(record.revision.writer);
  writer
    .u8(record.value === undefined ? 0 : 1)
    .u16(key.length)
    .u32(value.length);
  writer.octets(key).octets(value);
}

/** Throws `MalformedError`. */
export function readRecord(reader: OctetReader): BusRecord {
  const epoch = readNumber(reader, 'epoch');
  const number = readNumber(reader, 'revision');
  const [incarnation, writer] = [reader.u32('incarnation'), reader.u8('writer')];
  if (!isNodeId(writer)) reader.fail(`writer ${writer}`);
  const hasValue = reader.u8('has a value') === 1;
  const keyLength = reader.u16('key length');
  const valueLength = reader.u32('value length');
  if (keyLength > MAX_KEY_OCTETS) reader.fail(`a key of ${keyLength} octets`);
  if (valueLength > MAX_VALUE_OCTETS) reader.fail(`a value of ${valueLength} octets`);
  const key = latin1OfOctets(reader.take(keyLength, 'key'));
  const value = reader.take(valueLength, 'value');
  const revision = { number, writer, incarnation };
  return { key, value: hasValue ? value : undefined, epoch, revision };
}

/** Above zero where `one` is the later write. */
export function compareRecords(
  one: Pick<BusRecord, 'epoch' | 'revision'>,
  other: Pick<BusRecord, 'epoch' | 'revision'>,
): number {
  return one.epoch - other.epoch || compareRevisions(one.revision, other.revision);
}

export function compareRevisions(one: Revision, other: Revision): number {
  return (
    one.number - other.number || one.writer - other.writer || one.incarnation - other.incarnation
  );
}

export function sameRevision(one: Revision | undefined, other: Revision | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return compareRevisions(one, other) === 0;
}

/** Two words that differ for different writes; a digest is their exclusive or. */
export function recordHash(record: BusRecord): { readonly bucket: number; readonly words: Words } {
  const writer = new OctetWriter().octets(octetsOfLatin1(record.key));
  const bucket = digest('sha256', writer.finish())[0] ?? 0;
  const rest = new OctetWriter();
  writeNumber(rest, record.epoch);
  writeNumber(rest, record.revision.number);
  rest
    .u32(record.revision.incarnation)
    .u8(record.revision.writer)
    .octets(octetsOfLatin1(record.key));
  const hash = digest('sha256', rest.finish());
  const view = new DataView(hash.buffer, hash.byteOffset);
  return { bucket: bucket % BUCKETS, words: [view.getUint32(0), view.getUint32(4)] };
}

export type Words = readonly [number, number];

/** Digests are compared, and records asked for, by so many parts of all keys. */
export const BUCKETS = 128;

/** Keys are ASCII and such: one octet for each character, as far as octets go. */
export function isKey(key: string): boolean {
  return key.length > 0 && key.length <= MAX_KEY_OCTETS && /^[\x21-\x7e]+$/.test(key);
}

const NOTHING = new Uint8Array(0);
