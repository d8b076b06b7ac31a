/**
 * What one process has spent, all its threads: CPU time and resident memory, from /proc.
 */
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
 * Resident memory once it no longer falls: an idle process collects its garbage some seconds
 * later. Answers the least that was seen.
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
/** V8 looks for garbage of an idle process within this time. */
const QUIET_SECONDS = 15;
