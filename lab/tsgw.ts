/**
 * tsgw at a gateway of the topology.
 *
 * Its configuration file holds only the daemon's own settings; connections and secrets come
 * through swanctl, as they come to charon.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Finished } from './command.ts';
import type { DaemonSettings, Gateway } from './gateway.ts';
import type { Network } from './namespaces.ts';
import type { Swanctl } from './swanctl.ts';
import type { GatewayNode } from './topology.ts';
import { TsgwProcess } from './tsgw-process.ts';

export class TsgwGateway implements Gateway {
  readonly kind = 'tsgw';
  readonly node: GatewayNode;
  readonly network: Network;
  /** Where it writes the name servers that peers give it. */
  readonly resolvConf: string;
  readonly #process: TsgwProcess;

  constructor(network: Network, node: GatewayNode) {
    this.network = network;
    this.node = node;
    this.#process = new TsgwProcess(network, node);
    this.resolvConf = join(this.#process.directory, 'resolv.conf');
  }

  get swanctl(): Swanctl {
    return this.#process.swanctl;
  }

  /** Where the daemon writes the keys of its SAs. */
  get keyLog(): string {
    return this.#process.keyLog;
  }

  log(): string {
    return this.#process.log();
  }

  process(): ChildProcess {
    return this.#process.process();
  }

  /** `program`: what runs in place of `tsgw run`, with the same options. */
  start(settings: DaemonSettings = {}, program?: readonly string[]): Promise<void> {
    return this.#process.start(tsgwConf(settings, this.resolvConf), program);
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Runs a verb of the command line against the running daemon. */
  cli(argv: readonly string[], timeout?: number): Promise<Finished> {
    return this.#process.cli(argv, timeout);
  }
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
