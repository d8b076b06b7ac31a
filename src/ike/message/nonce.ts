/**
 * Nonce payload (RFC 7296 §3.9).
 *
 * | octet | payload body        |
 * |-------|---------------------|
 * | 0     | Nonce Data (16-256) |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { NoncePayload } from './message.ts';

const LEAST_OCTETS = 16;
const MOST_OCTETS = 256;

export function decodeNonce(reader: OctetReader): NoncePayload {
  // RFC 7296 §3.9: a nonce has 16 to 256 octets.
  if (!isNonceLength(reader.remaining)) reader.fail(`nonce of ${reader.remaining} octets`);
  return { kind: 'NONCE', nonce: reader.rest() };
}

export function encodeNonce(writer: OctetWriter, { nonce }: NoncePayload): void {
  if (!isNonceLength(nonce.length)) throw new RangeError(`nonce of ${nonce.length} octets`);
  writer.octets(nonce);
}

function isNonceLength(length: number): boolean {
  return length >= LEAST_OCTETS && length <= MOST_OCTETS;
}
