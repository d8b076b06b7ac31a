/**
 * The files of `vectors/`: figures from RFCs and other public sources, each with source and section.
 *
 * A case is a flat record. The fields of `LABELS` say what is computed; every other field holds octets
 * in hex, given or expected, and must matter: `vectors.test.ts` flips a digit of each.
 */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type VectorCase = Readonly<Record<string, string | number>>;

export interface VectorFile {
  readonly file: string;
  readonly source: string;
  readonly section: string;
  readonly cases: readonly VectorCase[];
}

const LABELS: ReadonlySet<string> = new Set([
  'name',
  'encryption',
  'prf',
  'integrity',
  'kdf',
  'keyExchange',
  'modp',
  'iterations',
]);

/** Every JSON file directly in `vectors/`; recordings of peers have a folder and tests of their own. */
export function readVectorFiles(): readonly VectorFile[] {
  const folder = join(process.cwd(), 'vectors');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => {
      const content: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      return { file, ...checkedFile(file, content) };
    });
}

/** Names of the fields that hold octets. */
export function hexFields(vector: VectorCase): readonly string[] {
  return Object.keys(vector).filter((field) => !LABELS.has(field));
}

/** The case with the hex digit in the middle of `field` changed. */
export function withWrongDigit(vector: VectorCase, field: string): VectorCase {
  const hex = String(vector[field]);
  const at = hex.length >> 1;
  const digit = (Number.parseInt(hex.charAt(at), 16) ^ 1).toString(16);
  return { ...vector, [field]: hex.slice(0, at) + digit + hex.slice(at + 1) };
}

function checkedFile(file: string, content: unknown): Omit<VectorFile, 'file'> {
  assert(isRecord(content), `${file}: not an object`);
  const { source, section, cases } = content;
  assert(typeof source === 'string' && source !== '', `${file}: no source`);
  assert(typeof section === 'string' && section !== '', `${file}: no section`);
  assert(Array.isArray(cases) && cases.length > 0, `${file}: no cases`);
  return { source, section, cases: cases.map((vector) => checkedCase(file, vector)) };
}

function checkedCase(file: string, content: unknown): VectorCase {
  assert(isRecord(content), `${file}: a case is not an object`);
  const checked: Record<string, string | number> = {};
  for (const [field, value] of Object.entries(content)) {
    assert(typeof value === 'string' || typeof value === 'number', `${file}: ${field}`);
    if (!LABELS.has(field)) assert.match(String(value), /^([0-9a-f]{2})+$/, `${file}: ${field}`);
    checked[field] = value;
  }
  assert(typeof checked.name === 'string', `${file}: a case without a name`);
  return checked;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
