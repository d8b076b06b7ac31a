/**
 * Octets to IKE messages and back (RFC 7296 §3.1, §3.2).
 *
 * | octet | generic payload header         |
 * |-------|--------------------------------|
 * | 0     | Next Payload                   |
 * | 1     | Critical (1 bit), RESERVED     |
 * | 2     | Payload Length (2), these included |
 *
 * Decoding throws `MalformedError` and nothing else. Encrypted payloads stay sealed here.
 */
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { HEADER_OCTETS, readHeader, writeHeader } from './header.ts';
import { Limit, within } from './limits.ts';
import {
  type EncryptedFragmentPayload,
  type EncryptedPayload,
  type IkeMessage,
  type Payload,
  PayloadType,
} from './message.ts';
import { decodeBody, encodeBody, payloadType } from './payload-body.ts';

const MAJOR_VERSION = 2;
const PAYLOAD_HEADER_OCTETS = 4;
const CRITICAL = 0x80;

/** The message in a datagram. Of another major version there is only `decodeHeader` to ask. */
export function decodeMessage(octets: Uint8Array): IkeMessage {
  const reader = new OctetReader(octets);
  const { header, firstPayload, length } = readHeader(reader);
  if (header.majorVersion !== MAJOR_VERSION) reader.fail(`major version ${header.majorVersion}`);
  if (length !== octets.length) {
    reader.fail(`header: length ${length}, ${octets.length} octets present`);
  }
  return { header, payloads: decodePayloads(firstPayload, reader.rest(), HEADER_OCTETS) };
}

export function encodeMessage({ header, payloads }: IkeMessage): Uint8Array {
  const { first, octets } = encodePayloads(payloads);
  const length = within(Limit.MESSAGE_OCTETS, HEADER_OCTETS + octets.length, 'message octets');
  const writer = new OctetWriter();
  writeHeader(writer, { header, firstPayload: first, length });
  return writer.octets(octets).finish();
}

/**
 * The chain of payloads that fills `octets`, the first of type `first`; `base` is where the chain
 * starts in the message, for errors.
 */
export function decodePayloads(first: number, octets: Uint8Array, base = 0): readonly Payload[] {
  const reader = new OctetReader(octets, base);
  const payloads: Payload[] = [];
  let type = first;
  while (type !== PayloadType.NONE) {
    if (payloads.length === Limit.PAYLOADS) reader.fail(`more than ${Limit.PAYLOADS} payloads`);
    const next = reader.u8('next payload');
    const critical = (reader.u8('critical') & CRITICAL) !== 0;
    const length = reader.u16('payload length');
    if (length < PAYLOAD_HEADER_OCTETS) reader.fail(`payload ${type} of ${length} octets`);
    const body = reader.within(length - PAYLOAD_HEADER_OCTETS, `payload ${type}`);
    const payload = decodeBody(type, next, body);
    body.end(`payload ${type}`);
    payloads.push(critical ? { ...payload, critical } : payload);
    // RFC 7296 §3.14, RFC 7383 §2.5: SK and SKF are last; their Next Payload points inside.
    type = pointsInside(payload) ? PayloadType.NONE : next;
  }
  reader.end('behind the last payload');
  return payloads;
}

/** The chain of payloads and the type of the first, 0 for none. */
export function encodePayloads(payloads: readonly Payload[]): {
  readonly first: number;
  readonly octets: Uint8Array;
} {
  within(Limit.PAYLOADS, payloads.length, 'payloads');
  const writer = new OctetWriter();
  for (const [index, payload] of payloads.entries()) {
    const at = writer.length;
    const following = payloads[index + 1];
    if (pointsInside(payload) && following) {
      throw new RangeError(`${payload.kind} is not the last`);
    }
    writer
      .u8(nextPayload(payload, following))
      .u8(payload.critical === true ? CRITICAL : 0)
      .u16(0);
    encodeBody(writer, payload);
    writer.u16At(at + 2, within(Limit.PAYLOAD_OCTETS, writer.length - at, 'payload octets'));
  }
  const [head] = payloads;
  return { first: head ? payloadType(head) : PayloadType.NONE, octets: writer.finish() };
}

function nextPayload(payload: Payload, following: Payload | undefined): number {
  if (following) return payloadType(following);
  return pointsInside(payload) ? payload.firstPayload : PayloadType.NONE;
}

function pointsInside(payload: Payload): payload is EncryptedPayload | EncryptedFragmentPayload {
  return payload.kind === 'SK' || payload.kind === 'SKF';
}
