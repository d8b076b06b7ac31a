/**
 * Reads configuration files and finds those an `include` names.
 *
 * Patterns: `*` and `?` within one path component, `[abc]`, `[a-z]`, `[!a]`; a leading dot is
 * matched by a dot only. Files are read in the order of their names.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** A file as it was read. */
export interface SettingsFile {
  readonly file: string;
  readonly text: string;
}

/** A file cannot be read, or a pattern is none; the message says which and why. */
export class SettingsFileError extends Error {
  override readonly name = 'SettingsFileError';
}

/** The text of one file. Throws `SettingsFileError`. */
export function readSettings(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SettingsFileError(`${path}: ${reason(error)}`, { cause: error });
  }
}

/** The files a glob matches; relative globs start beside the file `from`. None is no fault. */
export function readFiles(glob: string, from: string): readonly SettingsFile[] {
  const start = glob.startsWith('/') ? '/' : dirname(resolve(from));
  const parts = glob.split('/').filter((part) => part !== '' && part !== '.');
  return expand(start, parts).map((file) => ({ file, text: readSettings(file) }));
}

function expand(directory: string, parts: readonly string[]): readonly string[] {
  const [part, ...rest] = parts;
  if (part === undefined) return [];
  const names = /[*?[]/.test(part) ? matching(directory, part) : [withoutEscapes(part)];
  const paths = names.map((name) => join(directory, name));
  return rest.length > 0 ? paths.flatMap((path) => expand(path, rest)) : paths.filter(isFile);
}

function matching(directory: string, pattern: string): readonly string[] {
  const expression = patternExpression(pattern);
  return list(directory)
    .filter((name) => expression.test(name))
    .filter((name) => !name.startsWith('.') || pattern.startsWith('.'))
    .sort();
}

/** A component of a glob as an expression over a name. */
function patternExpression(pattern: string): RegExp {
  const source = pattern.replace(
    /\\(.)|(\*)|(\?)|\[(!?)([^\]]+)\]|([^\\*?[])|(.)/gs,
    (_, escaped, star, any, not, set, plain, other) => {
      if (star) return '.*';
      if (any) return '.';
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\^[]/g, '\\$&')}]`;
      return String(escaped ?? plain ?? other).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
    },
  );
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    throw new SettingsFileError(`include ${pattern}: it is no pattern of file names`);
  }
}

function withoutEscapes(part: string): string {
  return part.replace(/\\(.)/gs, '$1');
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'we may not read it';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
