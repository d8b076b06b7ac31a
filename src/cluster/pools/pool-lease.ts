/**
 * Who has or had an address of a pool, as a record that every node has a copy of.
 *
 * Its epoch is the number of the revision that gave the address away (`share.ts`), so that what a former
 * lessor still writes never replaces what a later one wrote.
 *
 * | octets | field |
 * |---|---|
 * | 2 | version, 1 |
 * | 1 | 1 the client is here, 2 the address is borrowed |
 * | 1 | ID Type of the identity (RFC 7296 §3.5) |
 * | 2 | segment of the client's IKE SA |
 * | 2 | SID of the lessor |
 * | rest | Identification Data |
 */
import type { Identity } from '../../ipsec/identity.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { Segment, Sid } from '../ballot.ts';

export interface PoolLease {
  readonly place: number;
  readonly identity: Identity;
  readonly segment: Segment;
  readonly lessor: Sid;
  readonly isOnline: boolean;
  readonly isBorrowed: boolean;
  readonly epoch: number;
}

export function leasePrefix(pool: string): string {
  return `lease/${encodeURIComponent(pool)}/`;
}

export function encodePoolLease(lease: PoolLease): Uint8Array {
  const { identity, segment, lessor, isOnline, isBorrowed } = lease;
  const writer = new OctetWriter().u16(VERSION);
  writer.u8((isOnline ? ONLINE : 0) | (isBorrowed ? BORROWED : 0)).u8(identity.type);
  return writer.u16(segment).u16(lessor).octets(identity.data).finish();
}

/** Undefined for octets that are no lease. */
export function decodePoolLease(
  octets: Uint8Array,
  place: number,
  epoch: number,
): PoolLease | undefined {
  if (octets.length < HEADER_OCTETS) return undefined;
  const reader = new OctetReader(octets);
  if (reader.u16('version') !== VERSION) return undefined;
  const flags = reader.u8('flags');
  const type = reader.u8('ID Type');
  const [segment, lessor] = [reader.u16('segment'), reader.u16('lessor')];
  const identity = { type, data: reader.rest() };
  const isOnline = (flags & ONLINE) !== 0;
  const isBorrowed = (flags & BORROWED) !== 0;
  return { place, identity, segment, lessor, isOnline, isBorrowed, epoch };
}

const VERSION = 1;
const HEADER_OCTETS = 8;
const ONLINE = 1;
const BORROWED = 2;
