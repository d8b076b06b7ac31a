/**
 * EAP payload (RFC 7296 §3.16) around one EAP message (RFC 3748 §4).
 *
 * | octet | payload body                       |
 * |-------|------------------------------------|
 * | 0     | Code                               |
 * | 1     | Identifier                         |
 * | 2     | Length (2), of the whole message   |
 * | 4     | Type and Type_Data, where there is |
 */
import { OctetReader, type OctetWriter } from '../../wire/octets.ts';
import type { EapPayload } from './message.ts';

export function decodeEap(reader: OctetReader): EapPayload {
  const present = reader.remaining;
  const message = reader.rest();
  const fields = new OctetReader(message, reader.at - present);
  fields.skip(2, 'EAP code and identifier');
  const length = fields.u16('EAP length');
  if (length !== present) reader.fail(`EAP message of ${length} octets, ${present} present`);
  return { kind: 'EAP', message };
}

export function encodeEap(writer: OctetWriter, { message }: EapPayload): void {
  writer.octets(message);
}
