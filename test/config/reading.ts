/** Short ways from text to settings, for the tests of `config/`. */
import assert from 'node:assert/strict';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { ConfigErrors } from '../../src/config/findings.ts';
import { parseSettings, type ReadFiles, type SourceFile } from '../../src/config/grammar.ts';
import { resolveReferences } from '../../src/config/references.ts';
import { ConfigError, type Section } from '../../src/config/section.ts';
import type { Setting } from '../../src/config/values.ts';

export const NO_FILES: ReadFiles = () => [];

/** Files by name; a glob names one of them or, with `*`, those that match. */
export function filesOf(files: Readonly<Record<string, string>>): ReadFiles {
  return (glob) => {
    const pattern = new RegExp(`^${glob.split('*').map(escaped).join('.*')}$`);
    return Object.entries(files)
      .filter(([file]) => pattern.test(file))
      .map(([file, text]): SourceFile => ({ file, text }));
  };
}

export function parse(text: string, readFiles: ReadFiles = NO_FILES): Section {
  return resolveReferences(parseSettings({ file: 'swanctl.conf', text }, readFiles)).root;
}

/** A section as nested plain objects: keys are texts, sub-sections objects. */
export function plain(section: Section): Readonly<Record<string, unknown>> {
  const content: Record<string, unknown> = {};
  for (const [key, entry] of section.entries) {
    content[key] = entry.kind === 'value' ? entry.value.text : entry.items.map(({ text }) => text);
  }
  for (const [name, inner] of section.sections) content[name] = plain(inner);
  return content;
}

/** The message of the `ConfigError` that `read` throws. */
export function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('no ConfigError');
}

export function setting(text: string): Setting {
  return { path: 'key', text, at: { file: 'swanctl.conf', line: 7 } };
}

export function load(text: string, readFiles: ReadFiles = NO_FILES): Config {
  return loadConfig(text, 'swanctl.conf', readFiles);
}

/** The messages of all errors in a configuration that has some. */
export function faults(text: string, readFiles: ReadFiles = NO_FILES): readonly string[] {
  try {
    load(text, readFiles);
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.errors.map(({ message }) => message);
  }
  return assert.fail('no ConfigErrors');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
