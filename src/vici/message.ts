/**
 * Messages of the vici protocol: ordered trees of keys, lists and sections.
 *
 * Element        code   octets after the code
 * SECTION_START  1      name length (1), name
 * SECTION_END    2      -
 * KEY_VALUE      3      name length (1), name, value length (2), value
 * LIST_START     4      name length (1), name
 * LIST_ITEM      5      value length (2), value
 * LIST_END       6      -
 *
 * Values are octets; names are UTF-8. A name twice in one section is malformed.
 */
import { OctetReader, OctetWriter } from '../wire/octets.ts';

/** Element codes. */
export const ViciElement = {
  SECTION_START: 1,
  SECTION_END: 2,
  KEY_VALUE: 3,
  LIST_START: 4,
  LIST_ITEM: 5,
  LIST_END: 6,
} as const;

export type ViciValue =
  | { readonly kind: 'value'; readonly octets: Uint8Array }
  | { readonly kind: 'list'; readonly items: readonly Uint8Array[] }
  | { readonly kind: 'section'; readonly section: ViciSection };

/** Keys keep the order in which they stand in the message. */
export type ViciSection = ReadonlyMap<string, ViciValue>;

/** What `viciSection` accepts: booleans become yes and no, numbers decimal text. */
export type ViciContent =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly string[]
  | ViciSection
  | undefined;

/** Deeper messages are malformed; swanctl sends five levels. */
export const MAX_VICI_DEPTH = 32;

/** A section from pairs, in order; a pair whose content is undefined is left out. */
export function viciSection(pairs: readonly (readonly [string, ViciContent])[]): ViciSection {
  const section = new Map<string, ViciValue>();
  for (const [name, content] of pairs) {
    const value = viciValue(content);
    if (value !== undefined) section.set(name, value);
  }
  return section;
}

/** The text of a key, or undefined where the key is absent or no single value. */
export function viciText(section: ViciSection, name: string): string | undefined {
  const octets = viciOctets(section, name);
  return octets === undefined ? undefined : octetsToText(octets);
}

/** The items of a list; a single value is a list of one, an absent key an empty list. */
export function viciTexts(section: ViciSection, name: string): readonly string[] {
  const value = section.get(name);
  if (value?.kind === 'list') return value.items.map(octetsToText);
  return value?.kind === 'value' ? [octetsToText(value.octets)] : [];
}

export function viciOctets(section: ViciSection, name: string): Uint8Array | undefined {
  const value = section.get(name);
  return value?.kind === 'value' ? value.octets : undefined;
}

export function viciSubsection(section: ViciSection, name: string): ViciSection | undefined {
  const value = section.get(name);
  return value?.kind === 'section' ? value.section : undefined;
}

/** UTF-8; octets that are not become U+FFFD. */
export function octetsToText(octets: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(octets);
}

export function textToOctets(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Throws `MalformedError`. */
export function decodeViciMessage(octets: Uint8Array, base = 0): ViciSection {
  const reader: OctetReader = new OctetReader(octets, base);
  const root = new Map<string, ViciValue>();
  const open: Map<string, ViciValue>[] = [];
  let section = root;
  while (reader.remaining > 0) {
    const code = reader.u8('element code');
    if (code === ViciElement.SECTION_END) {
      const outer = open.pop();
      if (outer === undefined) reader.fail('SECTION_END: no section is open');
      section = outer;
    } else if (code === ViciElement.SECTION_START) {
      const inner = new Map<string, ViciValue>();
      addTo(section, decodeName(reader), { kind: 'section', section: inner }, reader);
      if (open.length >= MAX_VICI_DEPTH) reader.fail(`sections deeper than ${MAX_VICI_DEPTH}`);
      open.push(section);
      section = inner;
    } else if (code === ViciElement.KEY_VALUE) {
      const name = decodeName(reader);
      addTo(section, name, { kind: 'value', octets: decodeValue(reader) }, reader);
    } else if (code === ViciElement.LIST_START) {
      const name = decodeName(reader);
      addTo(section, name, { kind: 'list', items: decodeItems(reader, name) }, reader);
    } else {
      reader.fail(`element code ${code} where a key, list or section is expected`);
    }
  }
  if (open.length > 0) reader.fail(`${open.length} sections are still open at the end`);
  return root;
}

/** Throws `RangeError` where a name exceeds 255 octets, a value 65535 or the depth its limit. */
export function encodeViciMessage(section: ViciSection): Uint8Array {
  const writer = new OctetWriter();
  encodeSection(writer, section, 0);
  return writer.finish();
}

function viciValue(content: ViciContent): ViciValue | undefined {
  if (content === undefined) return undefined;
  if (typeof content === 'string') return { kind: 'value', octets: textToOctets(content) };
  if (typeof content === 'number') return { kind: 'value', octets: textToOctets(`${content}`) };
  if (typeof content === 'boolean') {
    return { kind: 'value', octets: textToOctets(content ? 'yes' : 'no') };
  }
  if (content instanceof Uint8Array) return { kind: 'value', octets: content };
  if ('get' in content) return { kind: 'section', section: content };
  return { kind: 'list', items: content.map(textToOctets) };
}

function addTo(
  section: Map<string, ViciValue>,
  name: string,
  value: ViciValue,
  reader: OctetReader,
): void {
  if (section.has(name)) reader.fail(`key ${JSON.stringify(name)} stands twice in one section`);
  section.set(name, value);
}

function decodeName(reader: OctetReader): string {
  const octets = reader.take(reader.u8('name length'), 'name');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return reader.fail('name: not UTF-8');
  }
}

function decodeValue(reader: OctetReader): Uint8Array {
  return reader.take(reader.u16('value length'), 'value');
}

function decodeItems(reader: OctetReader, name: string): readonly Uint8Array[] {
  const items: Uint8Array[] = [];
  for (;;) {
    const code = reader.u8(`list ${JSON.stringify(name)}: element code`);
    if (code === ViciElement.LIST_END) return items;
    if (code !== ViciElement.LIST_ITEM) reader.fail(`element code ${code} inside a list`);
    items.push(decodeValue(reader));
  }
}

function encodeSection(writer: OctetWriter, section: ViciSection, depth: number): void {
  if (depth > MAX_VICI_DEPTH) throw new RangeError(`vici sections deeper than ${MAX_VICI_DEPTH}`);
  for (const [name, value] of section) {
    if (value.kind === 'value') {
      encodeName(writer, ViciElement.KEY_VALUE, name);
      encodeValue(writer, name, value.octets);
    } else if (value.kind === 'list') {
      encodeName(writer, ViciElement.LIST_START, name);
      for (const item of value.items) {
        writer.u8(ViciElement.LIST_ITEM);
        encodeValue(writer, name, item);
      }
      writer.u8(ViciElement.LIST_END);
    } else {
      encodeName(writer, ViciElement.SECTION_START, name);
      encodeSection(writer, value.section, depth + 1);
      writer.u8(ViciElement.SECTION_END);
    }
  }
}

function encodeName(writer: OctetWriter, code: number, name: string): void {
  const octets = textToOctets(name);
  if (octets.length > 0xff) throw new RangeError(`vici name of ${octets.length} octets`);
  writer.u8(code).u8(octets.length).octets(octets);
}

function encodeValue(writer: OctetWriter, name: string, value: Uint8Array): void {
  if (value.length > 0xffff) {
    throw new RangeError(`vici value of ${name}: ${value.length} octets`);
  }
  writer.u16(value.length).octets(value);
}
