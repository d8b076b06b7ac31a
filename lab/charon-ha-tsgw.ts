/**
 * tsgw at a node of a strongSwan HA cluster: `bin/tsgw run` with the configuration of the charon whose place
 * it has, its settings of the `ha` plugin in `cluster { ha { } }`.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HaNode, type HaSettings, haAddresses, nodeConf } from './charon-ha.ts';
import { end, type Finished, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { Swanctl } from './swanctl.ts';
import { tsgw } from './tsgw-process.ts';

export class TsgwHaNode {
  readonly swanctl: Swanctl;
  /** Where it writes the keys of its SAs. */
  readonly keyLog: string;
  readonly #network: Network;
  readonly #node: HaNode;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  constructor(network: Network, node: HaNode) {
    this.#network = network;
    this.#node = node;
    this.#directory = join(network.directory, `${node}-tsgw`);
    this.keyLog = join(this.#directory, 'keys');
    mkdirSync(this.keyLog, { recursive: true });
    this.swanctl = new Swanctl(
      join(this.#directory, 'swanctl'),
      `unix://${join(this.#directory, 'tsgw.vici')}`,
    );
  }

  log(): string {
    return readLog(join(this.#directory, 'tsgw.log'));
  }

  async start(settings: HaSettings = {}): Promise<void> {
    const config = join(this.#directory, 'tsgw.conf');
    writeFileSync(config, this.#conf(settings));
    const ready = () => this.log().match(/^ready /gm)?.length ?? 0;
    const before = ready();
    const options = ['--config', config, '--vici', this.swanctl.uri, '--keylog', this.keyLog];
    // Who waits for the processor is silent.
    const first = ['chrt', '--rr', '1'];
    this.#process = launch([...this.#network.at(this.#node), ...first, tsgw, 'run', ...options], {
      logFile: join(this.#directory, 'tsgw.log'),
    });
    await until(`tsgw at ${this.#node} to be ready`, () => {
      if (this.#process?.exitCode !== null) throw new Error(`tsgw does not run\n${this.log()}`);
      return ready() > before || undefined;
    });
  }

  /** Writes a line to its FIFO, as an administrator at its machine would. */
  async writeFifo(line: string): Promise<void> {
    const script = 'printf "%s\\n" "$1" > "$0"';
    await run(['sh', '-c', script, join(this.#directory, 'fifo'), line], { timeout: 5_000 });
  }

  /** Runs a verb of the command line against it. */
  cli(argv: readonly string[]): Promise<Finished> {
    return run([tsgw, ...argv, '--vici', this.swanctl.uri], { mayFail: true });
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.#process !== undefined) await end(this.#process, 'SIGTERM', 10_000);
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) await end(this.#process, 'SIGKILL');
  }

  #conf(settings: HaSettings): string {
    const { segmentCount = 1, heartbeatDelay = 1000, heartbeatTimeout = 2100 } = settings;
    const at = (name: string) => join(this.#directory, name);
    return `gateway {
  delete_rekeyed_delay = 1
  resolv_conf = ${at('resolv.conf')}
}
cluster {
  state = ${at('state.json')}
  fifo = ${at('fifo')}
  ha {
    local = ${haAddresses.sync[this.#node]}
    remote = ${haAddresses.sync[this.#node === 'a' ? 'b' : 'a']}
    segment_count = ${segmentCount}
    heartbeat_delay = ${heartbeatDelay}
    heartbeat_timeout = ${heartbeatTimeout}
    pools {
      rw = ${haAddresses.pool}
    }
  }
}
${nodeConf(settings)}`;
  }
}
