/**
 * Identification payloads IDi and IDr (RFC 7296 §3.5).
 *
 * | octet | payload body        |
 * |-------|---------------------|
 * | 0     | ID Type             |
 * | 1     | RESERVED (3)        |
 * | 4     | Identification Data |
 */
import { IdType } from '../../ipsec/identity.ts';
import { type OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { IdPayload } from './message.ts';

/** Octets of data in the types that have a fixed shape. */
const FIXED_OCTETS: ReadonlyMap<number, number> = new Map([
  [IdType.ID_IPV4_ADDR, 4],
  [IdType.ID_IPV6_ADDR, 16],
]);

export function decodeId(kind: IdPayload['kind'], reader: OctetReader): IdPayload {
  const type = reader.u8('ID type');
  const reserved = (reader.u8('RESERVED') << 16) | reader.u16('RESERVED');
  const data = reader.rest();
  const fixed = FIXED_OCTETS.get(type);
  if (fixed !== undefined && data.length !== fixed) {
    reader.fail(`${kind}: ${data.length} octets in an address of ${fixed}`);
  }
  const identity = { type, data };
  return reserved === 0 ? { kind, identity } : { kind, identity, reserved };
}

export function encodeId(writer: OctetWriter, { identity, reserved = 0 }: IdPayload): void {
  writer
    .u8(identity.type)
    .u8(reserved >>> 16)
    .u16(reserved & 0xffff)
    .octets(identity.data);
}

/** The payload without its generic header: RestOfInitIDPayload, RestOfRespIDPayload of §2.15. */
export function restOfIdPayload(payload: IdPayload): Uint8Array {
  const writer = new OctetWriter();
  encodeId(writer, payload);
  return writer.finish();
}
