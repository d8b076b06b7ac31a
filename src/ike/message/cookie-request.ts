/**
 * What a cookie is about, in an IKE_SA_INIT request that is not decoded (RFC 7296 §2.6).
 *
 * Under load a request shall cost as little as can be: nothing but the nonce and a COOKIE notify is
 * taken out, whatever else stands in it. Throws `MalformedError` and nothing else.
 */
import { OctetReader } from '../../wire/octets.ts';
import { HEADER_OCTETS } from './header.ts';
import { PayloadType } from './message.ts';
import { NotifyType } from './notify-types.ts';

export interface CookieRequest {
  readonly nonce: Uint8Array;
  /** The cookie that comes back to us. */
  readonly cookie: Uint8Array | undefined;
}

export function peekCookieRequest(octets: Uint8Array): CookieRequest {
  const reader: OctetReader = new OctetReader(octets);
  reader.skip(NEXT_PAYLOAD_AT, 'SPIs');
  let type = reader.u8('next payload');
  reader.skip(HEADER_OCTETS - NEXT_PAYLOAD_AT - 1, 'header');
  let nonce: Uint8Array | undefined;
  let cookie: Uint8Array | undefined;
  while (type !== PayloadType.NONE) {
    const next = reader.u8('next payload');
    reader.skip(1, 'critical');
    const length = reader.u16('payload length') - PAYLOAD_HEADER_OCTETS;
    if (length < 0) reader.fail(`payload ${type} of ${length + PAYLOAD_HEADER_OCTETS} octets`);
    if (type === PayloadType.NONCE && !nonce) nonce = reader.take(length, 'nonce');
    else if (type === PayloadType.NOTIFY && !cookie) cookie = takeCookie(reader, length);
    else reader.skip(length, 'payload');
    type = next;
  }
  if (!nonce) reader.fail('IKE_SA_INIT without a nonce');
  return { nonce, cookie };
}

/** The data of a COOKIE notify; undefined for another notify. */
function takeCookie(reader: OctetReader, length: number): Uint8Array | undefined {
  const body = reader.within(length, 'notify');
  body.skip(1, 'protocol id');
  const spiSize = body.u8('SPI size');
  const type = body.u16('notify message type');
  body.skip(spiSize, 'SPI of a notify');
  return type === NotifyType.COOKIE ? body.rest() : undefined;
}

/** Octets 0-15 of the header are the SPIs. */
const NEXT_PAYLOAD_AT = 16;
const PAYLOAD_HEADER_OCTETS = 4;
