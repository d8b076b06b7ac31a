/**
 * What the lab needs of the machine, and what of it is missing, by name.
 *
 * `npm test`, `npm run lab` and the like install or unpack it (scripts/run.mjs).
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Everything missing, as an administrator would name it; empty when the lab can run. */
export function missingPrerequisites(): readonly string[] {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) {
    missing.push('root (network namespaces)');
  }
  if (!reachable('/dev/net/tun', constants.R_OK | constants.W_OK)) {
    missing.push('/dev/net/tun');
  }
  for (const { needs, packageName, onlyFor } of prerequisites()) {
    if (onlyFor === undefined && !installed(needs)) {
      missing.push(`${needs} (Debian package ${packageName})`);
    }
  }
  return missing;
}

/** The Debian packages of those programs that are missing; empty when all are there. */
export function missingPackages(programs: readonly string[]): readonly string[] {
  return prerequisites()
    .filter(({ needs }) => programs.includes(needs) && !installed(needs))
    .map(({ packageName }) => packageName);
}

/** Throws with the names of what is missing. */
export function requirePrerequisites(): void {
  const missing = missingPrerequisites();
  if (missing.length > 0) {
    throw new Error(`the lab misses ${missing.join(', ')}`);
  }
}

interface Prerequisite {
  /** A program, or a file by its path. */
  readonly needs: string;
  readonly packageName: string;
  /** Who needs it, where the lab runs without it. */
  readonly onlyFor: string | undefined;
}

function prerequisites(): readonly Prerequisite[] {
  const list: unknown = JSON.parse(readFileSync('lab/prerequisites.json', 'utf8'));
  if (!Array.isArray(list)) {
    throw new Error('lab/prerequisites.json: a list is expected');
  }
  return list.flatMap((entry: unknown) => {
    const given = { ...BLANK, ...Object(entry) };
    if (given.architecture !== process.arch) return [];
    const onlyFor = given.for === undefined ? undefined : String(given.for);
    return [{ needs: String(given.needs), packageName: String(given.package), onlyFor }];
  });
}

/** What an entry does not say; Debian has some packages for one architecture only. */
const BLANK = { needs: '', package: '', architecture: process.arch, for: undefined };

function installed(needs: string): boolean {
  if (needs.includes('/')) {
    return reachable(needs, constants.R_OK);
  }
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  return path
    .split(delimiter)
    .some((directory) => reachable(join(directory, needs), constants.X_OK));
}

function reachable(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
