/**
 * The IKE header (RFC 7296 §3.1).
 *
 * | octet | field                          |
 * |-------|--------------------------------|
 * | 0     | IKE SA Initiator's SPI (8)     |
 * | 8     | IKE SA Responder's SPI (8)     |
 * | 16    | Next Payload                   |
 * | 17    | major version, minor version   |
 * | 18    | Exchange Type                  |
 * | 19    | Flags: X X R V I X X X         |
 * | 20    | Message ID (4)                 |
 * | 24    | Length (4), header included    |
 */
import { fromHex, OctetReader, type OctetWriter } from '../../wire/octets.ts';
import { type IkeHeader, ikeSpi, messageId } from './message.ts';

export const HEADER_OCTETS = 28;

/** A header with the two fields that belong to the coding, not to the message. */
export interface DecodedHeader {
  readonly header: IkeHeader;
  readonly firstPayload: number;
  readonly length: number;
}

const FLAG_INITIATOR = 0x08;
const FLAG_VERSION = 0x10;
const FLAG_RESPONSE = 0x20;

/**
 * The header alone, of a message of any version; nothing behind it is looked at. Enough to answer
 * INVALID_MAJOR_VERSION.
 */
export function decodeHeader(octets: Uint8Array): IkeHeader {
  return readHeader(new OctetReader(octets)).header;
}

export function readHeader(reader: OctetReader): DecodedHeader {
  const initiatorSpi = ikeSpi(reader.take(8, 'initiator SPI'));
  const responderSpi = ikeSpi(reader.take(8, 'responder SPI'));
  const firstPayload = reader.u8('next payload');
  const version = reader.u8('version');
  const exchangeType = reader.u8('exchange type');
  const flags = reader.u8('flags');
  const id = messageId(reader.u32('message id'));
  const length = reader.u32('length');
  return {
    header: {
      initiatorSpi,
      responderSpi,
      majorVersion: version >> 4,
      minorVersion: version & 0x0f,
      exchangeType,
      fromInitiator: (flags & FLAG_INITIATOR) !== 0,
      higherVersion: (flags & FLAG_VERSION) !== 0,
      isResponse: (flags & FLAG_RESPONSE) !== 0,
      messageId: id,
    },
    firstPayload,
    length,
  };
}

export function writeHeader(writer: OctetWriter, { header, firstPayload, length }: DecodedHeader) {
  writer
    .octets(fromHex(header.initiatorSpi))
    .octets(fromHex(header.responderSpi))
    .u8(firstPayload)
    .u8((header.majorVersion << 4) | header.minorVersion)
    .u8(header.exchangeType)
    .u8(
      (header.fromInitiator ? FLAG_INITIATOR : 0) |
        (header.higherVersion ? FLAG_VERSION : 0) |
        (header.isResponse ? FLAG_RESPONSE : 0),
    )
    .u32(header.messageId)
    .u32(length);
}
