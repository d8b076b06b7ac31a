/**
 * Failures of this process that an operator asks for, to see what others make of them.
 */
import { spawn } from 'node:child_process';

/**
 * Stands still as a whole, all threads, for so long: nothing of it runs, so that another process wakes it.
 * Rejects where there is none to do that.
 */
export async function standStill(milliseconds: number): Promise<void> {
  const seconds = (milliseconds / 1000).toFixed(3);
  const script = 'sleep "$1"; kill -CONT "$2"';
  const waker = spawn('sh', ['-c', script, 'waker', seconds, String(process.pid)], {
    detached: true,
    stdio: 'ignore',
  });
  await new Promise<void>((resolve, reject) => {
    waker.once('spawn', resolve);
    waker.once('error', reject);
  });
  waker.unref();
  process.kill(process.pid, 'SIGSTOP');
}

/** Ends at once: nothing is closed, said or written. */
export function crash(): void {
  process.kill(process.pid, 'SIGKILL');
}
