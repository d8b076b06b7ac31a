/**
 * Reads the keys of one section: what stands there, or the default.
 *
 * A value that cannot be read is noted in the findings and the default stands in, so that reading
 * goes on to the next.
 */
import type { Findings } from './findings.ts';
import type { Position, Section } from './section.ts';
import type { Setting } from './values.ts';

export class SettingsReader {
  readonly path: string;
  readonly at: Position;
  readonly findings: Findings;
  readonly #section: Section;

  constructor(section: Section, path: string, findings: Findings) {
    this.path = path;
    this.at = section.at;
    this.findings = findings;
    this.#section = section;
  }

  /** The value of a key; undefined where it is unset or empty. A list counts with its only item. */
  setting(key: string): Setting | undefined {
    const entry = this.#section.entries.get(key);
    const path = `${this.path}.${key}`;
    if (entry?.kind === 'list') {
      const [first, ...more] = entry.items;
      if (more.length > 0) this.findings.error(entry.at, `${path}: one value is expected, no list`);
      return first && { path, ...first };
    }
    return entry && entry.value.text !== '' ? { path, ...entry.value } : undefined;
  }

  /** The items of a list: comma separated in a file, a list in a message. */
  list(key: string): readonly Setting[] {
    const entry = this.#section.entries.get(key);
    if (entry === undefined) return [];
    const values = entry.kind === 'list' ? entry.items : [entry.value];
    return values.flatMap(({ text, at }) =>
      text
        .split(',')
        .map((item) => ({ path: `${this.path}.${key}`, text: item.trim(), at }))
        .filter((item) => item.text !== ''),
    );
  }

  read<T>(key: string, parse: (setting: Setting) => T, otherwise: T): T {
    const setting = this.setting(key);
    if (setting === undefined) return otherwise;
    return this.findings.attempt(() => parse(setting)) ?? otherwise;
  }

  /** Every item of a list; the default where the list is absent or empty. */
  readList<T>(key: string, parse: (setting: Setting) => T, otherwise: readonly T[]): readonly T[] {
    const settings = this.list(key);
    if (settings.length === 0) return otherwise;
    return settings.flatMap((setting) => {
      const value = this.findings.attempt(() => parse(setting));
      return value === undefined ? [] : [value];
    });
  }

  /** Sub-sections whose name starts with the prefix, in order. */
  sections(prefix = ''): readonly { readonly name: string; readonly reader: SettingsReader }[] {
    return [...this.#section.sections]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, section]) => ({
        name,
        reader: new SettingsReader(section, `${this.path}.${name}`, this.findings),
      }));
  }

  /** Keys whose name starts with the prefix, in order. */
  keys(prefix: string): readonly string[] {
    return [...this.#section.entries.keys()].filter((key) => key.startsWith(prefix));
  }
}
