/**
 * A strongSwan client of a cluster: it is given an address, protects what it sends to one network, and
 * counts what is replaced.
 */
import { Charon } from './charon.ts';
import { until } from './command.ts';
import type { Network } from './namespaces.ts';
import type { Swanctl } from './swanctl.ts';

export interface RoadwarriorSettings {
  readonly local: string;
  readonly gateway: string;
  /** Network behind the gateway. */
  readonly remoteTs: string;
  readonly mobike?: boolean;
  readonly espProposals?: string;
  readonly ikeProposals?: string;
  /** Further `key = value` of the connection. */
  readonly connection?: Readonly<Record<string, string>>;
}

export const IKE_PROPOSALS = 'aes128-sha256-x25519';
export const ESP_PROPOSALS = 'aes128gcm16-x25519';

/** Who the ends are, and what they know. */
export const identities = { client: 'client.lab', gateway: 'gateway.lab' } as const;
export const sharedSecret = `secrets {
  ike-1 {
    id-1 = ${identities.gateway}
    id-2 = ${identities.client}
    secret = "a secret only the lab knows"
  }
}
`;

const CHILD = 'net';
const CONNECTION = 'gateway';

export class Roadwarrior {
  readonly charon: Charon;

  constructor(network: Network, node = 'client') {
    this.charon = new Charon(network, node);
  }

  get swanctl(): Swanctl {
    return this.charon.swanctl;
  }

  async start(settings: RoadwarriorSettings): Promise<void> {
    await this.charon.start({ plugins: strongSwanPlugins, charon: impatient });
    await this.swanctl.load(conf(settings));
  }

  /** Answers the address it was given. */
  async connect(): Promise<string> {
    await this.swanctl.must(['--initiate', '--child', CHILD]);
    const [sa] = await this.swanctl.sas();
    const [own] = sa?.children[0]?.localTs ?? [];
    if (own === undefined) throw new Error(`the client has no address\n${this.charon.said()}`);
    return own.split('/')[0] ?? own;
  }

  /** Forgets its IKE SAs, whether they are up or not. */
  async disconnect(): Promise<void> {
    await this.swanctl.call(['--terminate', '--ike', CONNECTION, '--force']);
  }

  /** How often it saw an SA replaced. */
  async rekeyed(): Promise<number> {
    const counted = await this.swanctl.counters(CONNECTION);
    const kinds = ['child-rekey', 'ike-rekey-init', 'ike-rekey-resp'];
    return kinds.reduce((sum, kind) => sum + (counted[kind] ?? 0), 0);
  }

  /** It is answered when it asks for something of its IKE SA. */
  async isAnswered(): Promise<boolean> {
    const before = await this.rekeyed();
    await this.swanctl.call(['--rekey', '--child', CHILD]);
    try {
      await until('an answer', async () => (await this.rekeyed()) > before || undefined, 3_000);
      return true;
    } catch {
      return false;
    }
  }

  /** SPIs of its IKE SA: they stay while nobody replaces it. Empty when it has not one. */
  async ikeSpis(): Promise<string> {
    const [sa, ...more] = await this.swanctl.sas();
    if (sa === undefined || more.length > 0 || sa.state !== 'ESTABLISHED') return '';
    return `${sa.raw['initiator-spi']} ${sa.raw['responder-spi']}`;
  }
}

function conf(settings: RoadwarriorSettings): string {
  const further = Object.entries(settings.connection ?? {}).map(
    ([key, value]) => `    ${key} = ${value}\n`,
  );
  return `connections {
  ${CONNECTION} {
    version = 2
    mobike = ${settings.mobike === true ? 'yes' : 'no'}
    local_addrs = ${settings.local}
    remote_addrs = ${settings.gateway}
    proposals = ${settings.ikeProposals ?? IKE_PROPOSALS}
    vips = 0.0.0.0
${further.join('')}    local {
      auth = psk
      id = ${identities.client}
    }
    remote {
      auth = psk
      id = ${identities.gateway}
    }
    children {
      ${CHILD} {
        remote_ts = ${settings.remoteTs}
        esp_proposals = ${settings.espProposals ?? ESP_PROPOSALS}
      }
    }
  }
}
${sharedSecret}`;
}

export const strongSwanPlugins: readonly string[] = [
  ...['random', 'nonce', 'openssl', 'pem', 'pkcs1', 'pubkey', 'x509', 'constraints', 'hmac', 'kdf'],
  ...['kernel-libipsec', 'kernel-netlink', 'socket-default', 'vici', 'gcm', 'aes', 'sha2', 'sha1'],
  ...['curve25519', 'updown', 'counters'],
];
export const impatient = {
  delete_rekeyed_delay: 1,
  retransmit_timeout: 0.5,
  retransmit_tries: 8,
  retransmit_base: 1.2,
};
