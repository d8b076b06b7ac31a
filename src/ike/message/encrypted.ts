/**
 * Encrypted payload SK (RFC 7296 §3.14), as it stands on the wire.
 *
 * | octet | payload body                                  |
 * |-------|-----------------------------------------------|
 * | 0     | Initialization Vector                         |
 * | ..    | Encrypted: payloads, Padding, Pad Length (1)  |
 * | ..    | Integrity Checksum Data                       |
 *
 * The Next Payload of its generic header is the type of the first payload within. What is inside
 * `ike/protection.ts` seals and opens: the lengths of the parts are the algorithms'.
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { EncryptedPayload } from './message.ts';

export function decodeEncrypted(reader: OctetReader, firstPayload: number): EncryptedPayload {
  return { kind: 'SK', firstPayload, sealed: reader.rest() };
}

export function encodeEncrypted(writer: OctetWriter, { sealed }: EncryptedPayload): void {
  writer.octets(sealed);
}
