/**
 * Transforms and their attributes (RFC 7296 §3.3.2, §3.3.5).
 *
 * | octet | transform                            |
 * |-------|--------------------------------------|
 * | 0     | Last Substruc: 0 last, 3 more follow |
 * | 1     | RESERVED                             |
 * | 2     | Transform Length (2)                 |
 * | 4     | Transform Type                       |
 * | 5     | RESERVED                             |
 * | 6     | Transform ID (2)                     |
 * | 8     | Transform Attributes                 |
 *
 * | octet | attribute                            |
 * |-------|--------------------------------------|
 * | 0     | AF (1 bit), Attribute Type (15 bits) |
 * | 2     | AF = 1: value (2); AF = 0: length (2)|
 * | 4     | AF = 0: value (length)               |
 */
import type { Transform } from '../../ipsec/proposal.ts';
import { concatOctets, OctetReader, type OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';

const MORE_TRANSFORMS = 3;
const TRANSFORM_OCTETS = 8;
const FORMAT_TV = 0x8000;
/** Key Length, the one attribute of the RFC, always in the short format. */
const KEY_LENGTH = FORMAT_TV | 14;

/** The `count` transforms of a proposal. */
export function decodeTransforms(reader: OctetReader, count: number): readonly Transform[] {
  const transforms: Transform[] = [];
  while (transforms.length < count) {
    const last = reader.u8('last substruc of a transform');
    const expected = transforms.length < count - 1 ? MORE_TRANSFORMS : 0;
    if (last !== expected) {
      reader.fail(`transform ${transforms.length + 1} of ${count}: last substruc ${last}`);
    }
    transforms.push(decodeTransform(reader));
  }
  return transforms;
}

export function encodeTransforms(writer: OctetWriter, transforms: readonly Transform[]): void {
  for (const [index, transform] of transforms.entries()) {
    const at = writer.length;
    writer
      .u8(index < transforms.length - 1 ? MORE_TRANSFORMS : 0)
      .u8(0)
      .u16(0)
      .u8(transform.type)
      .u8(0)
      .u16(transform.id);
    if (transform.keyLength !== undefined) writer.u16(KEY_LENGTH).u16(transform.keyLength);
    for (const attribute of transform.unknownAttributes ?? []) writer.octets(attribute);
    writer.u16At(at + 2, within(Limit.PAYLOAD_OCTETS, writer.length - at, 'transform octets'));
  }
}

/** A transform behind its Last Substruc octet. */
function decodeTransform(outer: OctetReader): Transform {
  outer.skip(1, 'RESERVED');
  const length = outer.u16('transform length');
  if (length < TRANSFORM_OCTETS) outer.fail(`transform of ${length} octets`);
  const reader = outer.within(length - 4, 'transform');
  const type = reader.u8('transform type');
  reader.skip(1, 'RESERVED');
  const id = reader.u16('transform id');
  return { type, id, ...decodeAttributes(reader) };
}

/**
 * The key length counts when it comes first. A second one, or one behind an attribute we do not
 * know, stays with the unknown: the transform is unusable anyway and encodes back as it came.
 */
function decodeAttributes(reader: OctetReader): Pick<Transform, 'keyLength' | 'unknownAttributes'> {
  const attributes: Uint8Array[] = [];
  while (reader.remaining > 0) {
    if (attributes.length === Limit.ATTRIBUTES) {
      reader.fail(`transform with more than ${Limit.ATTRIBUTES} attributes`);
    }
    attributes.push(takeAttribute(reader));
  }
  const [first, ...others] = attributes;
  const keyLength = first && readKeyLength(first);
  const unknown = keyLength === undefined ? attributes : others;
  return {
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(unknown.length === 0 ? {} : { unknownAttributes: unknown }),
  };
}

/** One attribute with its header, as it stands. */
function takeAttribute(reader: OctetReader): Uint8Array {
  const head = reader.take(4, 'transform attribute');
  const fields = new OctetReader(head);
  const isShort = (fields.u16('attribute type') & FORMAT_TV) !== 0;
  if (isShort) return head;
  return concatOctets(head, reader.take(fields.u16('attribute length'), 'attribute value'));
}

function readKeyLength(attribute: Uint8Array): number | undefined {
  const reader = new OctetReader(attribute);
  return reader.u16('attribute type') === KEY_LENGTH ? reader.u16('key length') : undefined;
}
