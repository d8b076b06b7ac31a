/**
 * Key Exchange payload (RFC 7296 §3.4).
 *
 * | octet | payload body            |
 * |-------|-------------------------|
 * | 0     | Key Exchange Method (2) |
 * | 2     | RESERVED (2)            |
 * | 4     | Key Exchange Data       |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { KePayload } from './message.ts';

export function decodeKe(reader: OctetReader): KePayload {
  const method = reader.u16('key exchange method');
  reader.skip(2, 'RESERVED');
  return { kind: 'KE', method, data: reader.rest() };
}

export function encodeKe(writer: OctetWriter, { method, data }: KePayload): void {
  writer.u16(method).u16(0).octets(data);
}
