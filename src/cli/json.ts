/**
 * Vici messages as JSON: the keys as they are, numbers as numbers, yes and no as booleans.
 *
 * Which keys are numbers and flags is declared per listing, so that the schema does not depend on
 * what a value looks like. A flag is always there; a key that does not apply is absent.
 */
import { octetsToText, type ViciSection } from '../vici/message.ts';

export type Json = string | number | boolean | readonly Json[] | { readonly [name: string]: Json };

export interface JsonSchema {
  readonly numbers?: readonly string[];
  readonly flags?: readonly string[];
  /** As flags, where they apply at all: absent stays absent. */
  readonly optionalFlags?: readonly string[];
  /** Sections whose entries become a list; the entry's name stands under this key. */
  readonly lists?: Readonly<Record<string, { readonly nameAs?: string; readonly of: JsonSchema }>>;
  /** Sections under other keys. */
  readonly sections?: Readonly<Record<string, JsonSchema>>;
  /** Every value is a number. */
  readonly allNumbers?: boolean;
}

export function toJson(
  section: ViciSection,
  schema: JsonSchema,
): { readonly [name: string]: Json } {
  const entries: [string, Json][] = [];
  for (const [name, value] of section) {
    if (value.kind === 'list') {
      entries.push([name, value.items.map(octetsToText)]);
    } else if (value.kind === 'value') {
      entries.push([name, scalar(name, octetsToText(value.octets), schema)]);
    } else {
      const list = schema.lists?.[name];
      const inner = schema.sections?.[name] ?? {};
      entries.push([name, list ? toList(value.section, list) : toJson(value.section, inner)]);
    }
  }
  for (const flag of schema.flags ?? []) {
    if (!section.has(flag)) entries.push([flag, false]);
  }
  return Object.fromEntries(entries);
}

function toList(
  section: ViciSection,
  { nameAs, of }: { readonly nameAs?: string; readonly of: JsonSchema },
): readonly Json[] {
  return [...section].flatMap(([name, value]) =>
    value.kind === 'section'
      ? [{ ...(nameAs === undefined ? {} : { [nameAs]: name }), ...toJson(value.section, of) }]
      : [],
  );
}

function scalar(name: string, text: string, schema: JsonSchema): Json {
  const isFlag = schema.flags?.includes(name) || schema.optionalFlags?.includes(name);
  if (isFlag) return text === 'yes' || text === '1';
  return schema.allNumbers || schema.numbers?.includes(name) ? Number(text) : text;
}
