/**
 * The body of a payload by its type (RFC 7296 §3.2): which file decodes and encodes it.
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { decodeAuth, encodeAuth } from './auth.ts';
import { decodeCert, encodeCert } from './cert.ts';
import { decodeCertReq, encodeCertReq } from './certreq.ts';
import { decodeCp, encodeCp } from './cp.ts';
import { decodeDelete, encodeDelete } from './delete.ts';
import { decodeEap, encodeEap } from './eap.ts';
import { decodeEncrypted, encodeEncrypted } from './encrypted.ts';
import { decodeEncryptedFragment, encodeEncryptedFragment } from './encrypted-fragment.ts';
import { decodeId, encodeId } from './id.ts';
import { decodeKe, encodeKe } from './ke.ts';
import { type Payload, PayloadType } from './message.ts';
import { decodeNonce, encodeNonce } from './nonce.ts';
import { decodeNotify, encodeNotify } from './notify.ts';
import { decodeSa, encodeSa } from './sa.ts';
import { decodeTs, encodeTs } from './ts.ts';
import { decodeUnknown, encodeUnknown } from './unknown.ts';
import { decodeVendor, encodeVendor } from './vendor.ts';

/** The number of a payload (§3.2). */
export function payloadType(payload: Payload): number {
  return payload.kind === 'unknown' ? payload.type : PayloadType[payload.kind];
}

/** The payload of a type whose body `reader` holds; `next` is what its generic header named. */
export function decodeBody(type: number, next: number, reader: OctetReader): Payload {
  switch (type) {
    case PayloadType.SA:
      return decodeSa(reader);
    case PayloadType.KE:
      return decodeKe(reader);
    case PayloadType.IDi:
      return decodeId('IDi', reader);
    case PayloadType.IDr:
      return decodeId('IDr', reader);
    case PayloadType.CERT:
      return decodeCert(reader);
    case PayloadType.CERTREQ:
      return decodeCertReq(reader);
    case PayloadType.AUTH:
      return decodeAuth(reader);
    case PayloadType.NONCE:
      return decodeNonce(reader);
    case PayloadType.NOTIFY:
      return decodeNotify(reader);
    case PayloadType.DELETE:
      return decodeDelete(reader);
    case PayloadType.VENDOR:
      return decodeVendor(reader);
    case PayloadType.TSi:
      return decodeTs('TSi', reader);
    case PayloadType.TSr:
      return decodeTs('TSr', reader);
    case PayloadType.SK:
      return decodeEncrypted(reader, next);
    case PayloadType.CP:
      return decodeCp(reader);
    case PayloadType.EAP:
      return decodeEap(reader);
    case PayloadType.SKF:
      return decodeEncryptedFragment(reader, next);
    default:
      return decodeUnknown(type, reader);
  }
}

export function encodeBody(writer: OctetWriter, payload: Payload): void {
  switch (payload.kind) {
    case 'SA':
      encodeSa(writer, payload);
      break;
    case 'KE':
      encodeKe(writer, payload);
      break;
    case 'IDi':
    case 'IDr':
      encodeId(writer, payload);
      break;
    case 'CERT':
      encodeCert(writer, payload);
      break;
    case 'CERTREQ':
      encodeCertReq(writer, payload);
      break;
    case 'AUTH':
      encodeAuth(writer, payload);
      break;
    case 'NONCE':
      encodeNonce(writer, payload);
      break;
    case 'NOTIFY':
      encodeNotify(writer, payload);
      break;
    case 'DELETE':
      encodeDelete(writer, payload);
      break;
    case 'VENDOR':
      encodeVendor(writer, payload);
      break;
    case 'TSi':
    case 'TSr':
      encodeTs(writer, payload);
      break;
    case 'SK':
      encodeEncrypted(writer, payload);
      break;
    case 'SKF':
      encodeEncryptedFragment(writer, payload);
      break;
    case 'CP':
      encodeCp(writer, payload);
      break;
    case 'EAP':
      encodeEap(writer, payload);
      break;
    case 'unknown':
      encodeUnknown(writer, payload);
      break;
    default:
      payload satisfies never;
  }
}
