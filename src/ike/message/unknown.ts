/**
 * A payload of a type we do not know (RFC 7296 §2.5): the octets behind the generic header.
 *
 * Whether it may be passed over is the critical bit's word, told by `payload-rules.ts`.
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { UnknownPayload } from './message.ts';

export function decodeUnknown(type: number, reader: OctetReader): UnknownPayload {
  return { kind: 'unknown', type, body: reader.rest() };
}

export function encodeUnknown(writer: OctetWriter, { body }: UnknownPayload): void {
  writer.octets(body);
}
