/**
 * Messages between the two nodes of a strongSwan HA cluster: charon's `ha` plugin, UDP port 4510.
 *
 * ```
 *  version u8 | type u8 | attribute: code u8, value | attribute ...
 * ```
 * Numbers are in network order, but SPIs of ESP: a host of little-endian order sends their octets in
 * reverse, and no other host is known to run it. There is no length, no acknowledgement and no
 * protection. An unknown code ends what can be understood: what follows is kept as it came.
 */
import { type IpAddress, ipAddress } from '../../wire/address.ts';
import { fromHex, OctetReader, OctetWriter, toHex } from '../../wire/octets.ts';
import {
  attributeOfCode,
  codeOfAttribute,
  HA_VERSIONS,
  type HaAttribute,
  type HaAttributeKey,
  type HaIkeSaId,
  type HaName,
  type HaSelector,
  type HaVersion,
} from './attribute.ts';

/** What a message is about. */
export const HaMessageType = {
  IKE_ADD: 1,
  IKE_UPDATE: 2,
  IKE_MID_INITIATOR: 3,
  IKE_MID_RESPONDER: 4,
  IKE_DELETE: 5,
  CHILD_ADD: 6,
  CHILD_DELETE: 7,
  SEGMENT_DROP: 8,
  SEGMENT_TAKE: 9,
  STATUS: 10,
  RESYNC: 11,
  IKE_IV: 12,
} as const;
export type HaMessageType = (typeof HaMessageType)[keyof typeof HaMessageType];

export interface HaMessage {
  readonly version: HaVersion;
  /** A `HaMessageType`, or what a newer node says. */
  readonly type: HaMessageType | number;
  readonly attributes: readonly HaAttribute[];
  /** From an unknown code to the end; empty when all was understood. */
  readonly rest: Uint8Array;
}

/** UDP port of both nodes. */
export const HA_PORT = 4510;

/** Reads a datagram. Throws `MalformedError`, also for a version that is not understood. */
export function decodeHaMessage(octets: Uint8Array): HaMessage {
  const reader = new OctetReader(octets);
  const first = reader.u8('version');
  const version = HA_VERSIONS.find((known) => known === first);
  if (version === undefined) return reader.fail(`version ${first}, not ${HA_VERSIONS.join(', ')}`);
  const type = reader.u8('type');
  const attributes: HaAttribute[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8('attribute code');
    const key = attributeOfCode(version, code);
    if (key === undefined) {
      return { version, type, attributes, rest: Uint8Array.of(code, ...reader.rest()) };
    }
    attributes.push(readAttribute(reader, key));
  }
  return { version, type, attributes, rest: NOTHING };
}

export function encodeHaMessage(message: HaMessage): Uint8Array {
  const writer = new OctetWriter().u8(message.version).u8(message.type);
  for (const attribute of message.attributes) {
    const code = codeOfAttribute(message.version, attribute.name);
    if (code === undefined) {
      throw new RangeError(`version ${message.version} has no attribute ${attribute.name}`);
    }
    writeAttribute(writer.u8(code), attribute);
  }
  return writer.octets(message.rest).finish();
}

/** A message of these attributes. */
export function haMessage(
  version: HaVersion,
  type: HaMessageType,
  attributes: readonly HaAttribute[],
): HaMessage {
  return { version, type, attributes, rest: NOTHING };
}

/** `IKE_ADD`, or `type 13` for one that has no name here. */
export function haMessageTypeName(type: number): string {
  const found = Object.entries(HaMessageType).find(([, value]) => value === type);
  return found?.[0] ?? `type ${type}`;
}

const NOTHING = new Uint8Array(0);

function readAttribute(reader: OctetReader, key: HaAttributeKey): HaAttribute {
  const { name } = key;
  switch (key.shape) {
    case 'ike-sa-id':
      return { ...key, value: readIkeSaId(reader, name) };
    case 'identity': {
      const type = reader.u8(`${name}: type`);
      return { ...key, value: { type, data: reader.take(reader.u8(`${name}: length`), name) } };
    }
    case 'endpoint': {
      const port = reader.u16(`${name}: port`);
      return { ...key, value: { port, address: readAddress(reader, name) } };
    }
    case 'text':
      return { ...key, value: readText(reader, name) };
    case 'flag':
      return { ...key, value: readFlag(reader, name) };
    case 'u8':
      return { ...key, value: reader.u8(name) };
    case 'u16':
      return { ...key, value: reader.u16(name) };
    case 'u32':
      return { ...key, value: reader.u32(name) };
    case 'spi':
      return { ...key, value: reversed(reader.u32(name)) };
    case 'octets':
      return { ...key, value: reader.take(reader.u16(`${name}: length`), name) };
    case 'u16-list':
      return { ...key, value: readList(reader, name) };
    case 'selector':
      return { ...key, value: readSelector(reader, name) };
  }
}

function writeAttribute(writer: OctetWriter, attribute: HaAttribute): void {
  switch (attribute.shape) {
    case 'ike-sa-id':
      writeIkeSaId(writer, attribute.value);
      return;
    case 'identity': {
      const { type, data } = attribute.value;
      writer
        .u8(type)
        .u8(fitting(data.length, 0xff, attribute.name))
        .octets(data);
      return;
    }
    case 'endpoint': {
      const { port, address } = attribute.value;
      writer.u16(port).u8(ADDRESS_FAMILIES[address.family]).octets(address.octets);
      return;
    }
    case 'text':
      writer.octets(new TextEncoder().encode(attribute.value)).u8(0);
      return;
    case 'flag':
      writer.u8(attribute.value ? 1 : 0);
      return;
    case 'u8':
      writer.u8(attribute.value);
      return;
    case 'u16':
      writer.u16(attribute.value);
      return;
    case 'u32':
      writer.u32(attribute.value);
      return;
    case 'spi':
      writer.u32(reversed(attribute.value));
      return;
    case 'octets':
      writer.u16(fitting(attribute.value.length, 0xffff, attribute.name)).octets(attribute.value);
      return;
    case 'u16-list':
      writer.u16(fitting(2 * attribute.value.length, 0xffff, attribute.name));
      for (const number of attribute.value) writer.u16(number);
      return;
    case 'selector':
      writeSelector(writer, attribute.value);
      return;
  }
}

/**
 * | octets | field |
 * |---|---|
 * | 1 | major version of IKE |
 * | 8 | SPI of the initiator |
 * | 8 | SPI of the responder |
 * | 1 | whether the node that sends began the IKE SA |
 */
function readIkeSaId(reader: OctetReader, name: string): HaIkeSaId {
  return {
    ikeVersion: reader.u8(`${name}: IKE version`),
    initiatorSpi: toHex(reader.take(8, `${name}: initiator SPI`)),
    responderSpi: toHex(reader.take(8, `${name}: responder SPI`)),
    initiator: readFlag(reader, `${name}: initiator`),
  };
}

function writeIkeSaId(writer: OctetWriter, id: HaIkeSaId): void {
  writer.u8(id.ikeVersion).octets(fromHex(id.initiatorSpi)).octets(fromHex(id.responderSpi));
  writer.u8(id.initiator ? 1 : 0);
}

/**
 * | octets | field |
 * |---|---|
 * | 1 | 7 for IPv4, 8 for IPv6, as in IKE |
 * | 1 | IP protocol |
 * | 2, 2 | first and last port |
 * | 1 | whether the configuration said `dynamic` |
 * | 4 or 16, twice | first and last address |
 */
function readSelector(reader: OctetReader, name: string): HaSelector {
  const type = reader.u8(`${name}: type`);
  const length = SELECTOR_LENGTHS.get(type);
  if (length === undefined) return reader.fail(`${name}: type ${type}, not 7 or 8`);
  const protocol = reader.u8(`${name}: protocol`);
  const startPort = reader.u16(`${name}: first port`);
  const endPort = reader.u16(`${name}: last port`);
  const dynamic = readFlag(reader, `${name}: dynamic`);
  const first = ipAddress(reader.take(length, `${name}: first address`));
  const last = ipAddress(reader.take(length, `${name}: last address`));
  return { selector: { range: { first, last }, protocol, startPort, endPort }, dynamic };
}

function writeSelector(writer: OctetWriter, { selector, dynamic }: HaSelector): void {
  const { first, last } = selector.range;
  writer.u8(first.family === 4 ? TS_IPV4 : TS_IPV6).u8(selector.protocol);
  writer
    .u16(selector.startPort)
    .u16(selector.endPort)
    .u8(dynamic ? 1 : 0);
  writer.octets(first.octets).octets(last.octets);
}

function readAddress(reader: OctetReader, name: string): IpAddress {
  const family = reader.u8(`${name}: family`);
  const length = FAMILY_LENGTHS.get(family);
  if (length === undefined) return reader.fail(`${name}: address family ${family}, not 2 or 10`);
  return ipAddress(reader.take(length, `${name}: address`));
}

/** Up to a zero octet, which must be there. */
function readText(reader: OctetReader, name: HaName): string {
  const octets: number[] = [];
  const at = reader.at;
  for (let octet = reader.u8(name); octet !== 0; octet = reader.u8(name)) octets.push(octet);
  try {
    // Strict, so that what is read encodes back to the same octets.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(octets),
    );
  } catch {
    return reader.fail(`${name}: the ${octets.length} octets from ${at} on are not UTF-8`);
  }
}

function readFlag(reader: OctetReader, name: string): boolean {
  const octet = reader.u8(name);
  return octet > 1 ? reader.fail(`${name}: ${octet} is neither 0 nor 1`) : octet === 1;
}

function readList(reader: OctetReader, name: string): readonly number[] {
  const length = reader.u16(`${name}: length`);
  const inner = reader.within(length, name);
  const list: number[] = [];
  while (inner.remaining > 0) list.push(inner.u16(name));
  return list;
}

function reversed(value: number): number {
  const swapped =
    (value << 24) | ((value << 8) & 0xff0000) | ((value >>> 8) & 0xff00) | (value >>> 24);
  return swapped >>> 0;
}

function fitting(length: number, most: number, name: string): number {
  if (length > most) throw new RangeError(`${name}: ${length} octets, ${most} at most`);
  return length;
}

const TS_IPV4 = 7;
const TS_IPV6 = 8;
const SELECTOR_LENGTHS: ReadonlyMap<number, number> = new Map([
  [TS_IPV4, 4],
  [TS_IPV6, 16],
]);

/** Linux's numbers. */
const ADDRESS_FAMILIES = { 4: 2, 6: 10 } as const;
const FAMILY_LENGTHS: ReadonlyMap<number, number> = new Map([
  [2, 4],
  [10, 16],
]);
