/**
 * Authentication payload (RFC 7296 §3.8).
 *
 * | octet | payload body        |
 * |-------|---------------------|
 * | 0     | Auth Method         |
 * | 1     | RESERVED (3)        |
 * | 4     | Authentication Data |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { AuthPayload } from './message.ts';

export function decodeAuth(reader: OctetReader): AuthPayload {
  const method = reader.u8('auth method');
  reader.skip(3, 'RESERVED');
  return { kind: 'AUTH', method, data: reader.rest() };
}

export function encodeAuth(writer: OctetWriter, { method, data }: AuthPayload): void {
  writer.u8(method).u8(0).u16(0).octets(data);
}
