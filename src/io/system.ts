/**
 * Who we are and on what machine: the answers of `version` and `stats`.
 */
import { readFileSync } from 'node:fs';
import { machine, release, type as systemName } from 'node:os';

export interface DaemonIdentity {
  readonly version: string;
  readonly sysname: string;
  readonly release: string;
  readonly machine: string;
  /** Start of the daemon as charon prints it: `Nov 21 22:01:52 2026`. */
  readonly since: string;
}

export function daemonIdentity(): DaemonIdentity {
  return {
    version: packageVersion(),
    sysname: systemName(),
    release: release(),
    machine: machine(),
    since: startText(new Date()),
  };
}

/** The version in package.json, two folders above the compiled file. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const version: unknown = JSON.parse(text).version;
  return typeof version === 'string' ? version : 'unknown';
}

function startText(date: Date): string {
  const month = date.toLocaleString('en', { month: 'short' });
  const day = String(date.getDate()).padStart(2, '0');
  const time = date.toTimeString().slice(0, 8);
  return `${month} ${day} ${time} ${date.getFullYear()}`;
}
