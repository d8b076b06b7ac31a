/**
 * Vendor ID payload (RFC 7296 §3.12).
 *
 * | octet | payload body |
 * |-------|--------------|
 * | 0     | Vendor ID    |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { VendorPayload } from './message.ts';

export function decodeVendor(reader: OctetReader): VendorPayload {
  return { kind: 'VENDOR', vendorId: reader.rest() };
}

export function encodeVendor(writer: OctetWriter, { vendorId }: VendorPayload): void {
  writer.octets(vendorId);
}
