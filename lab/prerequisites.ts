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
  for (const [needs, packageName] of prerequisites()) {
    if (!installed(needs)) {
      missing.push(`${needs} (Debian package ${packageName})`);
    }
  }
  return missing;
}

/** Throws with the names of what is missing. */
export function requirePrerequisites(): void {
  const missing = missingPrerequisites();
  if (missing.length > 0) {
    throw new Error(`the lab misses ${missing.join(', ')}`);
  }
}

function prerequisites(): readonly (readonly [string, string])[] {
  const list: unknown = JSON.parse(readFileSync('lab/prerequisites.json', 'utf8'));
  if (!Array.isArray(list)) {
    throw new Error('lab/prerequisites.json: a list is expected');
  }
  return list.flatMap((entry: unknown) => {
    const { needs, package: packageName, architecture } = { ...BLANK, ...Object(entry) };
    if (architecture !== process.arch) return [];
    return [[String(needs), String(packageName)] as const];
  });
}

/** What an entry does not say; Debian has some packages for one architecture only. */
const BLANK = { needs: '', package: '', architecture: process.arch };

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
