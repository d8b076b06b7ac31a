/**
 * Certificate payload (RFC 7296 §3.6).
 *
 * | octet | payload body     |
 * |-------|------------------|
 * | 0     | Cert Encoding    |
 * | 1     | Certificate Data |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { CertPayload } from './message.ts';

export function decodeCert(reader: OctetReader): CertPayload {
  return { kind: 'CERT', encoding: reader.u8('cert encoding'), data: reader.rest() };
}

export function encodeCert(writer: OctetWriter, { encoding, data }: CertPayload): void {
  writer.u8(encoding).octets(data);
}
