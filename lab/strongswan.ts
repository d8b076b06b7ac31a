/**
 * strongSwan at a gateway of the topology: charon with ESP in userspace (kernel-libipsec).
 */
import type { ChildProcess } from 'node:child_process';
import { Charon, type CharonSection } from './charon.ts';
import type { DaemonSettings, Gateway } from './gateway.ts';
import type { Network } from './namespaces.ts';
import type { Swanctl } from './swanctl.ts';
import type { GatewayNode } from './topology.ts';

export class StrongSwanGateway implements Gateway {
  readonly kind = 'strongswan';
  readonly node: GatewayNode;
  readonly network: Network;
  readonly #charon: Charon;

  constructor(network: Network, node: GatewayNode) {
    this.network = network;
    this.node = node;
    this.#charon = new Charon(network, node);
  }

  get swanctl(): Swanctl {
    return this.#charon.swanctl;
  }

  log(): string {
    return this.#charon.log();
  }

  process(): ChildProcess {
    return this.#charon.process();
  }

  start(settings: DaemonSettings = {}): Promise<void> {
    return this.#charon.start({ plugins, charon: options(settings) });
  }

  stop(): Promise<void> {
    return this.#charon.stop();
  }

  kill(): Promise<void> {
    return this.#charon.kill();
  }
}

/** The order matters: kernel-libipsec must come before kernel-netlink. */
const plugins = [
  ...['random', 'nonce', 'openssl', 'aes', 'sha1', 'sha2', 'hmac', 'xcbc', 'cmac', 'kdf', 'ctr'],
  ...['ccm', 'gcm', 'chapoly', 'curve25519', 'drbg', 'pem', 'pkcs1', 'pkcs8', 'x509'],
  ...['constraints', 'pubkey', 'socket-default', 'kernel-libipsec', 'kernel-netlink', 'vici'],
  ...['updown', 'counters'],
];

function options(settings: DaemonSettings): CharonSection {
  const all: Readonly<Record<string, number | string | undefined>> = {
    cookie_threshold: settings.cookieThreshold,
    retransmit_timeout: settings.retransmitTimeoutSeconds,
    retransmit_tries: settings.retransmitTries,
    retransmit_base: settings.retransmitBase,
    keep_alive: settings.keepAliveSeconds,
    fragment_size: settings.fragmentSize,
    delete_rekeyed_delay: settings.deleteRekeyedDelaySeconds,
    make_before_break: settings.makeBeforeBreak ? 'yes' : undefined,
  };
  const given: Record<string, number | string> = {};
  for (const [key, value] of Object.entries(all)) if (value !== undefined) given[key] = value;
  return given;
}
