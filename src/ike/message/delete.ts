/**
 * Delete payload (RFC 7296 §3.11).
 *
 * | octet | payload body                     |
 * |-------|----------------------------------|
 * | 0     | Protocol ID                      |
 * | 1     | SPI Size                         |
 * | 2     | Num of SPIs (2)                  |
 * | 4     | SPIs (Num of SPIs times SPI Size)|
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';
import type { DeletePayload } from './message.ts';

export function decodeDelete(reader: OctetReader): DeletePayload {
  const protocol = reader.u8('protocol id');
  const spiSize = reader.u8('SPI size');
  const count = reader.u16('number of SPIs');
  // RFC 7296 §3.11: the SPI of an IKE SA is in the header; size and number are zero then.
  if (spiSize === 0 && count > 0) reader.fail(`Delete: ${count} SPIs of no octets`);
  if (count > Limit.DELETED_SPIS) reader.fail(`Delete: ${count} SPIs`);
  const spis: Uint8Array[] = [];
  while (spis.length < count) spis.push(reader.take(spiSize, `SPI ${spis.length + 1} of ${count}`));
  return { kind: 'DELETE', protocol, spiSize, spis };
}

export function encodeDelete(
  writer: OctetWriter,
  { protocol, spiSize, spis }: DeletePayload,
): void {
  writer
    .u8(protocol)
    .u8(within(Limit.SPI_OCTETS, spiSize, 'SPI octets'))
    .u16(within(Limit.DELETED_SPIS, spis.length, 'deleted SPIs'));
  for (const spi of spis) {
    if (spi.length !== spiSize)
      throw new RangeError(`Delete: SPI of ${spi.length}, not ${spiSize}`);
    writer.octets(spi);
  }
}
