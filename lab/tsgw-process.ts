/**
 * One `bin/tsgw run` in a namespace, started as an administrator would, with all its files to itself:
 * configuration, control socket, log, what it remembers over restarts.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { alive, end, type Finished, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { Swanctl } from './swanctl.ts';

/** The program; the lab runs from the root of the repository. */
export const tsgw = resolve('bin/tsgw');

export class TsgwProcess {
  readonly network: Network;
  readonly node: string;
  readonly swanctl: Swanctl;
  /** Of its own: what it writes, and what others write for it. */
  readonly directory: string;
  /** Where the daemon writes the keys of its SAs. */
  readonly keyLog: string;
  readonly #logFile: string;
  #process: ChildProcess | undefined;

  constructor(network: Network, node: string) {
    this.network = network;
    this.node = node;
    this.directory = join(network.directory, `${node}-tsgw`);
    this.#logFile = join(this.directory, 'tsgw.log');
    this.keyLog = join(this.directory, 'keys');
    mkdirSync(this.keyLog, { recursive: true });
    this.swanctl = new Swanctl(
      join(this.directory, 'swanctl'),
      `unix://${join(this.directory, 'tsgw.vici')}`,
    );
  }

  log(): string {
    return readLog(this.#logFile);
  }

  get runs(): boolean {
    return this.#process !== undefined && alive(this.#process);
  }

  process(): ChildProcess {
    if (this.#process === undefined || !alive(this.#process)) {
      throw new Error(`tsgw at ${this.node} does not run\n${this.log()}`);
    }
    return this.#process;
  }

  /** With this configuration; `program`: what runs in place of `tsgw run`, with the same options. */
  async start(configuration: string, program: readonly string[] = [tsgw, 'run']): Promise<void> {
    const config = join(this.directory, 'tsgw.conf');
    writeFileSync(config, configuration);
    const before = readyLines(this.log());
    this.#process = launch(
      [
        ...this.network.at(this.node),
        ...[...program, '--config', config],
        ...['--vici', this.swanctl.uri, '--keylog', this.keyLog],
      ],
      { logFile: this.#logFile },
    );
    await until(
      `tsgw at ${this.node} to be ready`,
      () => {
        this.process();
        return readyLines(this.log()) > before || undefined;
      },
      30_000,
    );
    if (!(await this.swanctl.answers())) {
      throw new Error(`tsgw at ${this.node} said ready and does not answer\n${this.log()}`);
    }
  }

  async stop(): Promise<void> {
    if (this.#process !== undefined) await end(this.#process, 'SIGTERM', 10_000);
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) await end(this.#process, 'SIGKILL');
  }

  /** Runs a verb of the command line against the running daemon. */
  cli(argv: readonly string[], timeout = 30_000): Promise<Finished> {
    return run([tsgw, ...argv, '--vici', this.swanctl.uri], { mayFail: true, timeout });
  }
}

function readyLines(log: string): number {
  return log.split('\n').filter((line) => line.startsWith('ready')).length;
}
