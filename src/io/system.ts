/**
 * Who we are and on what machine: the answers of `version` and `stats`.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, machine, release, setPriority, type as systemName } from 'node:os';

import { native } from './native.ts';

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

/** More move packets only where the cards have more queues than most. */
const MOST_BY_ITSELF = 4;

/**
 * Threads that move packets, of a setting that is 0 for as many as are worth while: one core is left
 * to the control thread and to the kernel's own work.
 */
export function workerCount(setting: number, cores = availableParallelism()): number {
  if (setting > 0) return setting;
  return Math.max(1, Math.min(cores - 1, MOST_BY_ITSELF));
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

/**
 * This thread goes before ordinary ones of the machine, the packet loop's too; answers why it may not.
 *
 * Whoever says every 100 ms that it lives must not wait for a core while others compile.
 */
export function goFirst(): string | undefined {
  return tried(() => native().goFirst());
}

/** This thread goes before most others: packets of clients do not wait either. */
export function goEarly(): string | undefined {
  return tried(() => setPriority(EARLY));
}

/** Of 20 steps towards the front. */
const EARLY = -15;

function tried(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
