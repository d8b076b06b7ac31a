/**
 * Traffic Selector payloads TSi and TSr (RFC 7296 §3.13).
 *
 * | octet | payload body      |
 * |-------|-------------------|
 * | 0     | Number of TSs     |
 * | 1     | RESERVED (3)      |
 * | 4     | Traffic Selectors |
 *
 * | octet | traffic selector (§3.13.1)              |
 * |-------|-----------------------------------------|
 * | 0     | TS Type: 7 IPv4 range, 8 IPv6 range     |
 * | 1     | IP Protocol ID                          |
 * | 2     | Selector Length (2)                     |
 * | 4     | Start Port (2)                          |
 * | 6     | End Port (2)                            |
 * | 8     | Starting Address (4 or 16)              |
 * | ..    | Ending Address (4 or 16)                |
 *
 * A selector of another type keeps the octets behind its length.
 */
import { ipAddress } from '../../wire/address.ts';
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';
import type { TsEntry, TsPayload } from './message.ts';

/** Traffic Selector Types. */
export const TsType = { TS_IPV4_ADDR_RANGE: 7, TS_IPV6_ADDR_RANGE: 8 } as const;

const SELECTOR_HEADER_OCTETS = 4;

/** Octets of one address in the types we know. */
const ADDRESS_OCTETS: ReadonlyMap<number, number> = new Map([
  [TsType.TS_IPV4_ADDR_RANGE, 4],
  [TsType.TS_IPV6_ADDR_RANGE, 16],
]);

export function decodeTs(kind: TsPayload['kind'], reader: OctetReader): TsPayload {
  const count = reader.u8('number of TSs');
  reader.skip(3, 'RESERVED');
  const entries: TsEntry[] = [];
  while (entries.length < count) {
    if (reader.remaining === 0) {
      reader.fail(`${kind}: ${count} selectors announced, ${entries.length} present`);
    }
    entries.push(decodeEntry(reader));
  }
  return { kind, entries };
}

export function encodeTs(writer: OctetWriter, { kind, entries }: TsPayload): void {
  writer
    .u8(within(Limit.TRAFFIC_SELECTORS, entries.length, `${kind} selectors`))
    .u8(0)
    .u16(0);
  for (const entry of entries) encodeEntry(writer, entry);
}

function decodeEntry(outer: OctetReader): TsEntry {
  const type = outer.u8('TS type');
  const protocol = outer.u8('IP protocol id');
  const length = outer.u16('selector length');
  if (length < SELECTOR_HEADER_OCTETS) outer.fail(`selector of ${length} octets`);
  const reader = outer.within(length - SELECTOR_HEADER_OCTETS, 'traffic selector');
  const addressOctets = ADDRESS_OCTETS.get(type);
  if (addressOctets === undefined) return { kind: 'unknown', type, protocol, body: reader.rest() };
  const startPort = reader.u16('start port');
  const endPort = reader.u16('end port');
  const first = ipAddress(reader.take(addressOctets, 'starting address'));
  const last = ipAddress(reader.take(addressOctets, 'ending address'));
  reader.end('traffic selector');
  return { kind: 'range', selector: { range: { first, last }, protocol, startPort, endPort } };
}

function encodeEntry(writer: OctetWriter, entry: TsEntry): void {
  if (entry.kind === 'unknown') {
    const length = SELECTOR_HEADER_OCTETS + entry.body.length;
    writer
      .u8(entry.type)
      .u8(entry.protocol)
      .u16(within(Limit.PAYLOAD_OCTETS, length, 'selector octets'))
      .octets(entry.body);
    return;
  }
  const { range, protocol, startPort, endPort } = entry.selector;
  const isIpv4 = range.first.family === 4;
  writer
    .u8(isIpv4 ? TsType.TS_IPV4_ADDR_RANGE : TsType.TS_IPV6_ADDR_RANGE)
    .u8(protocol)
    .u16(isIpv4 ? 16 : 40)
    .u16(startPort)
    .u16(endPort)
    .octets(range.first.octets)
    .octets(range.last.octets);
}
