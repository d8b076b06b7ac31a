/**
 * What the cluster agrees on about the addresses at home in one segment: a register that is only changed by
 * compare-and-set.
 *
 * Its holder leases the segment's addresses without asking anybody, but for those listed here: `offered`
 * ones are free for whoever gets them into `loans`, and a loan serves one lease. Addresses are places in
 * the pool (`home-segments.ts`).
 *
 * | octets | field |
 * |---|---|
 * | 2 | version, 1 |
 * | 2 | SID of the holder, 0 for none |
 * | 2 | number of offered places |
 * | 2 | number of loans |
 * | 4 each | offered places |
 * | 8 each | loans: place 4, segment 2, SID of who borrowed it 2 |
 */
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { NOBODY, type Segment, type Sid } from '../ballot.ts';

export interface Loan {
  readonly place: number;
  /** Of the IKE SA whose client has it. */
  readonly segment: Segment;
  readonly sid: Sid;
}

export interface Share {
  readonly holder: Sid;
  readonly offered: readonly number[];
  readonly loans: readonly Loan[];
}

/** Of a segment that nobody held yet. */
export const NEW_SHARE: Share = { holder: NOBODY, offered: [], loans: [] };

/** Places that one share lists: a value of the bus has room for no more. */
export const MOST_LISTED = 4096;

export function shareKey(pool: string, segment: Segment): string {
  return `${sharePrefix(pool)}${segment}`;
}

/** Names may have any characters, keys may not. */
export function sharePrefix(pool: string): string {
  return `pool/${encodeURIComponent(pool)}/`;
}

export function encodeShare({ holder, offered, loans }: Share): Uint8Array {
  const writer = new OctetWriter().u16(VERSION).u16(holder);
  writer.u16(offered.length).u16(loans.length);
  for (const place of offered) writer.u32(place);
  for (const { place, segment, sid } of loans) writer.u32(place).u16(segment).u16(sid);
  return writer.finish();
}

/** Undefined for octets that are no share. */
export function decodeShare(octets: Uint8Array): Share | undefined {
  if (octets.length < HEADER_OCTETS) return undefined;
  const reader = new OctetReader(octets);
  const version = reader.u16('version');
  const holder = reader.u16('holder');
  const [offers, lent] = [reader.u16('offered'), reader.u16('loans')];
  if (version !== VERSION || octets.length !== HEADER_OCTETS + 4 * offers + 8 * lent) {
    return undefined;
  }
  const offered = Array.from({ length: offers }, () => reader.u32('place'));
  const loans = Array.from({ length: lent }, () => ({
    place: reader.u32('place'),
    segment: reader.u16('segment'),
    sid: reader.u16('SID'),
  }));
  return { holder, offered, loans };
}

const VERSION = 1;
const HEADER_OCTETS = 8;
