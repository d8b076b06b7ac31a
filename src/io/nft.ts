/**
 * The kernel's packet filter, through `nft`: a ruleset is applied as a whole or not at all.
 *
 * One program runs at a time, in the order it was asked for: the last ruleset asked for is the one that
 * stays.
 */
import { spawn } from 'node:child_process';

/** nft refused, or could not be run. */
export class NftError extends Error {
  override readonly name = 'NftError';
}

export interface FilterCount {
  readonly packets: number;
  readonly octets: number;
}

/** Longer than replacing the largest ruleset takes by far. */
const PATIENCE_MILLISECONDS = 10_000;

export class Nft {
  readonly #program: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(program = 'nft') {
    this.#program = program;
  }

  /** Applies a ruleset in one transaction; `what` names it in errors. */
  apply(what: string, ruleset: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#run(what, ['-f', '-'], ruleset);
    });
  }

  /** The named counters of a table; none where there is no such table. */
  counters(family: string, table: string): Promise<ReadonlyMap<string, FilterCount>> {
    const what = `counters of table ${family} ${table}`;
    return this.#inTurn(async () => {
      const argv = ['-j', 'list', 'counters', 'table', family, table];
      const printed = await this.#run(what, argv, '').catch((error: unknown) => {
        if (error instanceof NftError && error.message.includes('No such file')) return '{}';
        throw error;
      });
      return decodeCounters(what, printed);
    });
  }

  /** Waits for what was asked before, and goes on whatever became of it. */
  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(act, act);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #run(what: string, argv: readonly string[], input: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, argv, {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, LC_ALL: 'C' },
        timeout: PATIENCE_MILLISECONDS,
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
      // It may end before it read everything; why, it says.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      child.on('error', (error) =>
        reject(new NftError(`${what}: ${startText(this.#program, error)}`)),
      );
      child.on('close', (status, signal) => {
        if (status === 0) resolve(stdout);
        else reject(new NftError(`${what}: ${refusalText(this.#program, stderr, status, signal)}`));
      });
    });
  }
}

function startText(program: string, error: Error): string {
  const missing = 'code' in error && error.code === 'ENOENT';
  return missing ? `${program} is not installed (package nftables)` : error.message;
}

/** nft prints each refusal with the line it is about; the first one says enough. */
function refusalText(
  program: string,
  stderr: string,
  status: number | null,
  signal: string | null,
): string {
  if (signal !== null) return `${program} was ended by ${signal}`;
  const [first = `ended with ${status}`, about = ''] = stderr.trim().split('\n');
  const refusal = first.replace(/^\/dev\/stdin:/, 'line ');
  return about === '' ? `${program}: ${refusal}` : `${program}: ${refusal} in "${about.trim()}"`;
}

function decodeCounters(what: string, printed: string): ReadonlyMap<string, FilterCount> {
  const answer: unknown = JSON.parse(printed);
  if (!isRecord(answer)) throw new NftError(`${what}: nft answered no object`);
  const { nftables = [] } = answer;
  if (!Array.isArray(nftables)) throw new NftError(`${what}: nft answered no list`);
  const counts = new Map<string, FilterCount>();
  for (const one of nftables) {
    const counter = isRecord(one) ? one.counter : undefined;
    if (!isRecord(counter) || typeof counter.name !== 'string') continue;
    counts.set(counter.name, { packets: Number(counter.packets), octets: Number(counter.bytes) });
  }
  return counts;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
