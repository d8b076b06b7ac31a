/**
 * Configuration payload (RFC 7296 §3.15).
 *
 * | octet | payload body              |
 * |-------|---------------------------|
 * | 0     | CFG Type                  |
 * | 1     | RESERVED (3)              |
 * | 4     | Configuration Attributes  |
 *
 * | octet | attribute (§3.15.1)                 |
 * |-------|-------------------------------------|
 * | 0     | RESERVED (1 bit), Attribute Type    |
 * | 2     | Length (2)                          |
 * | 4     | Value (Length)                      |
 */
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';
import type { ConfigurationAttribute, ConfigurationPayload } from './message.ts';

/** CFG Type values. */
export const ConfigurationType = {
  CFG_REQUEST: 1,
  CFG_REPLY: 2,
  CFG_SET: 3,
  CFG_ACK: 4,
} as const;

const ATTRIBUTE_TYPE_MASK = 0x7fff;

export function decodeCp(reader: OctetReader): ConfigurationPayload {
  const type = reader.u8('CFG type');
  reader.skip(3, 'RESERVED');
  const attributes: ConfigurationAttribute[] = [];
  while (reader.remaining > 0) {
    if (attributes.length === Limit.CONFIGURATION_ATTRIBUTES) {
      reader.fail(`CP: more than ${Limit.CONFIGURATION_ATTRIBUTES} attributes`);
    }
    attributes.push(decodeAttribute(reader));
  }
  return { kind: 'CP', type, attributes };
}

export function encodeCp(writer: OctetWriter, { type, attributes }: ConfigurationPayload): void {
  within(Limit.CONFIGURATION_ATTRIBUTES, attributes.length, 'CP attributes');
  writer.u8(type).u8(0).u16(0);
  for (const attribute of attributes) {
    writer
      .u16(attribute.type)
      .u16(within(Limit.PAYLOAD_OCTETS, attribute.value.length, 'attribute octets'))
      .octets(attribute.value);
  }
}

function decodeAttribute(reader: OctetReader): ConfigurationAttribute {
  const type = reader.u16('attribute type') & ATTRIBUTE_TYPE_MASK;
  const length = reader.u16('attribute length');
  return { type, value: reader.take(length, `value of attribute ${type}`) };
}
