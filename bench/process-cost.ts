/**
 * What one process has spent, all its threads: CPU time and resident memory, from /proc.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { sleep } from '../lab/command.ts';

/** Milliseconds of user and system time so far. */
export function cpuMilliseconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MILLISECONDS_A_TICK;
}

/** Octets of memory that are in use now. */
export function residentOctets(pid: number): number {
  const [, kilobytes = '0'] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/**
 * Resident memory once it no longer falls, the least that was seen. An idle thread of Node gives
 * memory back by itself, but only after a minute or two, in one step or several.
 */
export async function settledOctets(pid: number): Promise<number> {
  let least = residentOctets(pid);
  for (let quiet = 0; quiet < QUIET_SECONDS; quiet += 1) {
    await sleep(1000);
    const octets = residentOctets(pid);
    if (octets < least * 0.995) quiet = -1;
    least = Math.min(least, octets);
  }
  return least;
}

/**
 * Has the main thread of a Node process look for garbage: what a minute of idleness does to it, by
 * Node's debugger, which needs no preparation of the process. `at` is the way into its namespace.
 */
export async function collectGarbage(at: readonly string[], pid: number): Promise<void> {
  const [file = '', ...args] = [...at, process.execPath, 'inspect', '-p', String(pid)];
  const debug = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const commands = ['HeapProfiler.collectGarbage()', '.exit'];
  // It asks for each command with a prompt.
  debug.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('debug>')) debug.stdin.write(`${commands.shift() ?? ''}\n`);
  });
  debug.stdin.on('error', () => undefined);
  const patience = setTimeout(() => debug.kill('SIGKILL'), DEBUG_MS);
  await once(debug, 'close');
  clearTimeout(patience);
}

/** Waits until the process does next to nothing: what a load left behind is done. */
export async function idle(pid: number): Promise<void> {
  for (let before = cpuMilliseconds(pid); ; ) {
    await sleep(300);
    const after = cpuMilliseconds(pid);
    if (after - before <= 2 * MILLISECONDS_A_TICK) return;
    before = after;
  }
}

/** USER_HZ is 100 on every Linux architecture Node runs on. */
const MILLISECONDS_A_TICK = 10;
/** Longer than V8 waits from one look at an idle thread's memory to the next. */
const QUIET_SECONDS = 75;
const DEBUG_MS = 30_000;
