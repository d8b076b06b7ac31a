/**
 * tsgw in a namespace: `bin/tsgw run`, started as an administrator would.
 *
 * Its configuration file holds only the daemon's own settings; connections and secrets come
 * through swanctl, as they come to charon.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { alive, end, type Finished, launch, run, until } from './command.ts';
import { type DaemonSettings, type Gateway, readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { Swanctl } from './swanctl.ts';
import type { GatewayNode } from './topology.ts';

/** The program; the lab runs from the root of the repository. */
export const tsgw = resolve('bin/tsgw');

export class TsgwGateway implements Gateway {
  readonly kind = 'tsgw';
  readonly node: GatewayNode;
  readonly network: Network;
  readonly swanctl: Swanctl;
  /** Where the daemon writes the keys of its SAs. */
  readonly keyLog: string;
  /** Where it writes the name servers that peers give it. */
  readonly resolvConf: string;
  readonly #directory: string;
  readonly #logFile: string;
  #process: ChildProcess | undefined;

  constructor(network: Network, node: GatewayNode) {
    this.network = network;
    this.node = node;
    this.#directory = join(network.directory, `${node}-tsgw`);
    this.#logFile = join(this.#directory, 'tsgw.log');
    this.keyLog = join(this.#directory, 'keys');
    this.resolvConf = join(this.#directory, 'resolv.conf');
    mkdirSync(this.keyLog, { recursive: true });
    this.swanctl = new Swanctl(
      join(this.#directory, 'swanctl'),
      `unix://${join(this.#directory, 'tsgw.vici')}`,
    );
  }

  log(): string {
    return readLog(this.#logFile);
  }

  process(): ChildProcess {
    if (this.#process === undefined || !alive(this.#process)) {
      throw new Error(`tsgw at ${this.node} does not run\n${this.log()}`);
    }
    return this.#process;
  }

  /** `program`: what runs in place of `tsgw run`, with the same options. */
  async start(
    settings: DaemonSettings = {},
    program: readonly string[] = [tsgw, 'run'],
  ): Promise<void> {
    const config = join(this.#directory, 'tsgw.conf');
    writeFileSync(config, tsgwConf(settings, this.resolvConf));
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
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGTERM', 10_000);
    }
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGKILL');
    }
  }

  /** Runs a verb of the command line against the running daemon. */
  cli(argv: readonly string[], timeout = 30_000): Promise<Finished> {
    return run([tsgw, ...argv, '--vici', this.swanctl.uri], { mayFail: true, timeout });
  }
}

function readyLines(log: string): number {
  return log.split('\n').filter((line) => line.startsWith('ready')).length;
}

/** Name servers go to a file of its own: the machine's resolver is not the lab's to change. */
function tsgwConf(settings: DaemonSettings, resolvConf: string): string {
  const options: Record<string, number | string | undefined> = {
    cookie_threshold: settings.cookieThreshold,
    retransmit_timeout: settings.retransmitTimeoutSeconds,
    retransmit_tries: settings.retransmitTries,
    retransmit_base: settings.retransmitBase,
    keep_alive: settings.keepAliveSeconds,
    fragment_size: settings.fragmentSize,
    delete_rekeyed_delay: settings.deleteRekeyedDelaySeconds,
    ...settings.own,
  };
  const lines = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `  ${key} = ${value}\n`);
  return `gateway {\n  resolv_conf = ${resolvConf}\n${lines.join('')}}\n`;
}
