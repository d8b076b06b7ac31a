/**
 * Commands the lab runs: `ip`, `nft`, `ping`, `swanctl`, `tshark`, the gateways themselves.
 *
 * `run` waits for one and answers what it printed; `launch` starts one that stays. Every process
 * that stays is remembered until it ended, so that nothing outlives the lab.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the command is killed; 60 s unless told. */
  readonly timeout?: number;
  /** Answer a status other than zero instead of throwing. */
  readonly mayFail?: boolean;
}

/** A command that ended with a status it should not have had. */
export class CommandError extends Error {
  constructor(argv: readonly string[], finished: Finished) {
    const said = `${finished.stdout}${finished.stderr}`.trim();
    super(`${argv.join(' ')}: ended with ${finished.status}${said === '' ? '' : `\n${said}`}`);
    this.name = 'CommandError';
  }
}

/** Runs a command to its end. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const finished = await finish(argv, options);
  if (finished.status !== 0 && options.mayFail !== true) {
    throw new CommandError(argv, finished);
  }
  return finished;
}

function finish(argv: readonly string[], options: RunOptions): Promise<Finished> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeout ?? 60_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const note = signal === null ? '' : `killed by ${signal}\n`;
      resolve({ status: code ?? 128, stdout, stderr: stderr + note });
    });
  });
}

/** Runs a command to its end without the event loop, for the way out; never throws. */
export function runSync(argv: readonly string[]): Finished {
  const [file = '', ...args] = argv;
  const done = spawnSync(file, args, { encoding: 'utf8', timeout: 10_000 });
  return { status: done.status ?? 128, stdout: done.stdout ?? '', stderr: done.stderr ?? '' };
}

const running = new Set<ChildProcess>();

export interface LaunchOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Standard output and error are appended here. */
  readonly logFile: string;
}

/** Starts a command that stays, with its output in a file. */
export function launch(argv: readonly string[], options: LaunchOptions): ChildProcess {
  const [file = '', ...args] = argv;
  const log = openSync(options.logFile, 'a');
  const child = spawn(file, args, {
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  running.add(child);
  child.on('error', () => running.delete(child));
  child.on('exit', () => running.delete(child));
  return child;
}

/** True while the process has neither ended nor been killed. */
export function alive(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Sends a signal and waits for the end; after `patience` milliseconds it is SIGKILL. */
export async function end(
  child: ChildProcess,
  signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL',
  patience = 5_000,
): Promise<void> {
  if (!alive(child)) {
    return;
  }
  await new Promise<void>((resolve) => {
    const last = setTimeout(() => child.kill('SIGKILL'), patience);
    child.once('exit', () => {
      clearTimeout(last);
      resolve();
    });
    child.kill(signal);
  });
}

/** Kills everything `launch` started and has not seen end; for the way out. */
export function killLaunched(): void {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  running.clear();
}

/**
 * Waits until `ready` answers a value; `what` names it in the error after `timeout` ms. Asks often at
 * first and less often the longer it takes: to ask is to start a process, more often than not.
 */
export async function until<T>(
  what: string,
  ready: () => Promise<T | undefined> | T | undefined,
  timeout = 10_000,
  longestPause = 150,
): Promise<T> {
  const start = performance.now();
  for (let pause = Math.min(20, longestPause); ; pause = Math.min(pause * 1.4, longestPause)) {
    const value = await ready();
    if (value !== undefined) {
      return value;
    }
    if (performance.now() - start > timeout) {
      throw new Error(`waited ${timeout} ms for ${what}`);
    }
    await sleep(pause);
  }
}

/** Lets `milliseconds` pass. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
