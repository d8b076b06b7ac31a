/**
 * charon of strongSwan in a namespace, with ESP in userspace (kernel-libipsec).
 *
 * Every file is its own: configuration, vici socket, log, and a private /run, for the path of
 * its pid file is fixed and a second daemon would refuse to start.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, launch, until } from './command.ts';
import { type DaemonSettings, type Gateway, readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { Swanctl } from './swanctl.ts';
import type { GatewayNode } from './topology.ts';

export const charon = '/usr/lib/ipsec/charon';

export class StrongSwanGateway implements Gateway {
  readonly kind = 'strongswan';
  readonly node: GatewayNode;
  readonly network: Network;
  readonly swanctl: Swanctl;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  constructor(network: Network, node: GatewayNode) {
    this.network = network;
    this.node = node;
    this.#directory = join(network.directory, `${node}-strongswan`);
    mkdirSync(this.#directory, { recursive: true });
    this.swanctl = new Swanctl(
      join(this.#directory, 'swanctl'),
      `unix://${join(this.#directory, 'charon.vici')}`,
    );
  }

  log(): string {
    return readLog(join(this.#directory, 'charon.log'));
  }

  process(): ChildProcess {
    if (this.#process === undefined || !alive(this.#process)) {
      throw new Error(`charon at ${this.node} does not run\n${this.#said()}`);
    }
    return this.#process;
  }

  async start(settings: DaemonSettings = {}): Promise<void> {
    const file = join(this.#directory, 'strongswan.conf');
    writeFileSync(file, strongswanConf(this.#directory, settings));
    this.#process = launch(
      [
        ...this.network.at(this.node),
        ...['sh', '-c', `mount -t tmpfs tmpfs /run && exec ${charon}`],
      ],
      { env: { STRONGSWAN_CONF: file }, logFile: join(this.#directory, 'output.log') },
    );
    await until(
      `charon at ${this.node} to answer`,
      async () => {
        this.process();
        return (await this.swanctl.answers()) || undefined;
      },
      60_000,
    );
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

  #said(): string {
    return `${readLog(join(this.#directory, 'output.log'))}${this.log()}`;
  }
}

/** The order of the plugins matters: kernel-libipsec must come before kernel-netlink. */
function strongswanConf(directory: string, settings: DaemonSettings): string {
  const options: Record<string, number | string | undefined> = {
    cookie_threshold: settings.cookieThreshold,
    retransmit_timeout: settings.retransmitTimeoutSeconds,
    retransmit_tries: settings.retransmitTries,
    retransmit_base: settings.retransmitBase,
    keep_alive: settings.keepAliveSeconds,
    fragment_size: settings.fragmentSize,
    delete_rekeyed_delay: settings.deleteRekeyedDelaySeconds,
    make_before_break: settings.makeBeforeBreak ? 'yes' : undefined,
  };
  const lines = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `  ${key} = ${value}`);
  return `charon {
  load = random nonce openssl aes sha1 sha2 hmac xcbc cmac kdf ctr ccm gcm chapoly curve25519 drbg pem pkcs1 pkcs8 x509 constraints pubkey socket-default kernel-libipsec kernel-netlink vici updown counters
  install_virtual_ip_on = lo
${lines.join('\n')}
  plugins {
    vici {
      socket = unix://${directory}/charon.vici
    }
    kernel-libipsec {
      load = yes
    }
  }
  filelog {
    f {
      path = ${directory}/charon.log
      time_format = %T
      flush_line = yes
      default = 1
      ike = 1
      knl = 1
      esp = 1
    }
  }
}
`;
}
