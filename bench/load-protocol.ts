/**
 * What a bench and its load initiator say to each other, and the bench's end of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Network } from '../lab/namespaces.ts';

/** Which clients do what. */
export type LoadOrder = LoadRun | LoadDelete;

export interface LoadRun extends LoadClients {
  readonly kind: 'run';
  /** Key exchange method, by its transform id. */
  readonly method: number;
}

export interface LoadDelete extends LoadClients {
  readonly kind: 'delete';
}

interface LoadClients {
  readonly first: number;
  readonly count: number;
  /** Clients on their way at one time. */
  readonly concurrency: number;
  /** Starts them at this rate instead, whatever is answered. */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly seconds: number;
  readonly done: number;
  /** Requests that were sent again. */
  readonly repeats: number;
  /** How many clients failed, by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** From the first request to the last answer, for each client that was served. */
  readonly milliseconds: readonly number[];
}

/** A running load initiator in the namespace of the clients. */
export class Load {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(child: ChildProcess, reader: Interface) {
    this.#process = child;
    this.#reader = reader;
    this.#lines = reader[Symbol.asyncIterator]();
  }

  /** In the namespace of the clients: `clients` unless told. */
  static async start(network: Network, node = 'clients'): Promise<Load> {
    const [file = '', ...args] = [
      ...network.at(node),
      ...[process.execPath, 'build/bench/load-initiator.js'],
    ];
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const load = new Load(child, createInterface({ input: child.stdout }));
    await load.#line();
    return load;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async perform(order: LoadOrder): Promise<LoadResult> {
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
    return JSON.parse(await this.#line());
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
    this.#reader.close();
  }

  async #line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error('the load initiator ended');
    return value;
  }
}

/** `3 x TS_UNACCEPTABLE`; empty where nothing failed. */
export function failureText({ failures }: LoadResult): string {
  return Object.entries(failures)
    .map(([why, count]) => `${count} x ${why}`)
    .join(', ');
}
