/**
 * Notify payload (RFC 7296 §3.10).
 *
 * | octet | payload body                     |
 * |-------|----------------------------------|
 * | 0     | Protocol ID                      |
 * | 1     | SPI Size                         |
 * | 2     | Notify Message Type (2)          |
 * | 4     | SPI (SPI Size)                   |
 * | ..    | Notification Data                |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';
import type { NotifyPayload } from './message.ts';

export function decodeNotify(reader: OctetReader): NotifyPayload {
  const protocol = reader.u8('protocol id');
  const spiSize = reader.u8('SPI size');
  const type = reader.u16('notify message type');
  const spi = reader.take(spiSize, 'SPI of a notify');
  return { kind: 'NOTIFY', protocol, spi, type, data: reader.rest() };
}

export function encodeNotify(writer: OctetWriter, payload: NotifyPayload): void {
  writer
    .u8(payload.protocol)
    .u8(within(Limit.SPI_OCTETS, payload.spi.length, 'SPI octets'))
    .u16(payload.type)
    .octets(payload.spi)
    .octets(payload.data);
}
