/**
 * Encrypted Fragment payload SKF (RFC 7383 §2.5), as it stands on the wire.
 *
 * | octet | payload body                                  |
 * |-------|-----------------------------------------------|
 * | 0     | Fragment Number (2)                           |
 * | 2     | Total Fragments (2)                           |
 * | 4     | Initialization Vector                         |
 * | ..    | Encrypted: a chunk, Padding, Pad Length (1)   |
 * | ..    | Integrity Checksum Data                       |
 *
 * The Next Payload of the first fragment is the type of the first payload of the whole, that of
 * the others is 0. Whether the numbers make sense is `ike/reassembly.ts`'s to say.
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { EncryptedFragmentPayload } from './message.ts';

export function decodeEncryptedFragment(
  reader: OctetReader,
  firstPayload: number,
): EncryptedFragmentPayload {
  const fragmentNumber = reader.u16('SKF: fragment number');
  const totalFragments = reader.u16('SKF: total fragments');
  return { kind: 'SKF', firstPayload, fragmentNumber, totalFragments, sealed: reader.rest() };
}

export function encodeEncryptedFragment(
  writer: OctetWriter,
  { fragmentNumber, totalFragments, sealed }: EncryptedFragmentPayload,
): void {
  writer.u16(fragmentNumber).u16(totalFragments).octets(sealed);
}
