/**
 * The gateway under load: tsgw or charon, with one connection that any number of clients may use,
 * and settings that take away what would only slow one of them down.
 *
 * Both log to a file, an SA's coming and going and no more. Both encapsulate ESP in UDP, for
 * strongSwan's userspace ESP knows nothing else. Cookies are for the bench that is about them.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { charon } from '../lab/charon.ts';
import { alive, end, launch, until } from '../lab/command.ts';
import { type GatewayKind, readLog } from '../lab/gateway.ts';
import type { Network } from '../lab/namespaces.ts';
import { Swanctl } from '../lab/swanctl.ts';
import { gatewayAddress, innerNetwork, protectedNetwork } from './load-network.ts';

/** The secret of every client. */
export const loadSecret = 'a secret that thousands share';

const NEVER = 1_000_000;

/** tsgw's own settings for clients by the thousand. */
export const forThousands = {
  cookie_threshold: String(NEVER),
  max_half_open: '1000',
  max_ike_sas: '100000',
  keep_alive: '0',
} as const;

export interface ResponderOptions {
  readonly kind: GatewayKind;
  /** Half-open IKE SAs from which on cookies are asked for; unset: never. */
  readonly cookieThreshold?: number;
  /** Further arguments of node, for profiles. */
  readonly nodeArguments?: readonly string[];
}

export class LoadResponder {
  readonly kind: GatewayKind;
  readonly swanctl: Swanctl;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(
    kind: GatewayKind,
    parts: {
      readonly directory: string;
      readonly swanctl: Swanctl;
      readonly process: ChildProcess;
    },
  ) {
    this.kind = kind;
    this.#directory = parts.directory;
    this.swanctl = parts.swanctl;
    this.#process = parts.process;
  }

  /** Starts the daemon in the namespace `gateway` and loads its connection. */
  static async start(network: Network, options: ResponderOptions): Promise<LoadResponder> {
    const { kind } = options;
    const directory = join(network.directory, kind);
    mkdirSync(directory, { recursive: true });
    const socket = join(directory, 'vici');
    const swanctl = new Swanctl(join(directory, 'swanctl'), `unix://${socket}`);
    const daemon = kind === 'tsgw' ? startTsgw : startCharon;
    const child = daemon(network, { directory, socket, options });
    const responder = new LoadResponder(kind, { directory, swanctl, process: child });
    await until(
      `${kind} to answer`,
      async () => {
        responder.assertAlive();
        return (await swanctl.answers()) || undefined;
      },
      60_000,
    );
    await swanctl.load(clientsConf);
    return responder;
  }

  get pid(): number {
    this.assertAlive();
    return this.#process.pid ?? 0;
  }

  assertAlive(): void {
    if (alive(this.#process)) return;
    throw new Error(`${this.kind} does not run\n${readLog(join(this.#directory, 'log'))}`);
  }

  /** Ends it without a word: thousands of Deletes are nobody's question. */
  async stop(): Promise<void> {
    await end(this.#process, 'SIGKILL');
  }
}

interface Start {
  readonly directory: string;
  readonly socket: string;
  readonly options: ResponderOptions;
}

function startTsgw(network: Network, { directory, socket, options }: Start): ChildProcess {
  const config = join(directory, 'tsgw.conf');
  const threshold = options.cookieThreshold;
  writeFileSync(
    config,
    `gateway {
${entriesText({ ...forThousands, cookie_threshold: String(threshold ?? NEVER) })}}
`,
  );
  return launch(
    [
      ...network.at('gateway'),
      ...[process.execPath, ...(options.nodeArguments ?? []), resolve('bin/tsgw')],
      ...['run', '--config', config, '--vici', `unix://${socket}`],
    ],
    { logFile: join(directory, 'log') },
  );
}

function entriesText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `  ${key} = ${value}\n`)
    .join('');
}

function startCharon(network: Network, { directory, socket, options }: Start): ChildProcess {
  const conf = join(directory, 'strongswan.conf');
  writeFileSync(conf, strongswanConf(directory, socket, options.cookieThreshold));
  return launch(
    [...network.at('gateway'), ...['sh', '-c', `mount -t tmpfs tmpfs /run && exec ${charon}`]],
    { env: { STRONGSWAN_CONF: conf }, logFile: join(directory, 'output') },
  );
}

/** The plugins of the lab; tables and threads for thousands of IKE SAs. */
function strongswanConf(directory: string, socket: string, cookieThreshold?: number): string {
  const protection =
    cookieThreshold === undefined
      ? 'dos_protection = no'
      : `cookie_threshold = ${cookieThreshold}\n  block_threshold = 0`;
  return `charon {
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm chapoly curve25519 drbg pem pkcs1 pkcs8 x509 constraints pubkey socket-default kernel-libipsec kernel-netlink vici updown counters
  threads = 16
  ikesa_table_size = 4096
  ikesa_table_segments = 16
  keep_alive = 0
  ${protection}
  plugins {
    vici {
      socket = unix://${socket}
    }
    kernel-libipsec {
      load = yes
    }
  }
  filelog {
    f {
      path = ${directory}/log
      time_format = %T
      default = 0
    }
  }
}
`;
}

/** The connection of all clients, and their secret; the same text for both. */
export const clientsConf = `connections {
  clients {
    version = 2
    mobike = no
    encap = yes
    unique = never
    dpd_delay = 0
    local_addrs = ${gatewayAddress}
    remote_addrs = %any
    proposals = aes128-sha256-x25519,aes128-sha256-ecp256,aes128-sha256-modp2048
    local {
      auth = psk
      id = gateway.bench
    }
    remote {
      auth = psk
      id = *.bench
    }
    children {
      net {
        local_ts = ${protectedNetwork}
        remote_ts = ${innerNetwork}
        esp_proposals = aes128gcm16
      }
    }
  }
}
secrets {
  ike-clients {
    secret = "${loadSecret}"
  }
}
`;
