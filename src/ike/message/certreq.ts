/**
 * Certificate Request payload (RFC 7296 §3.7).
 *
 * | octet | payload body            |
 * |-------|-------------------------|
 * | 0     | Cert Encoding           |
 * | 1     | Certification Authority |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { CertReqPayload } from './message.ts';

export function decodeCertReq(reader: OctetReader): CertReqPayload {
  return { kind: 'CERTREQ', encoding: reader.u8('cert encoding'), authorities: reader.rest() };
}

export function encodeCertReq(writer: OctetWriter, payload: CertReqPayload): void {
  writer.u8(payload.encoding).octets(payload.authorities);
}
