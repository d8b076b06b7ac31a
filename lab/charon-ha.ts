/**
 * A strongSwan HA cluster: two charons with the `ha` plugin behind one virtual address, a client and
 * a host in the protected network.
 *
 *   client ------+              +-- host
 *   192.168.77.100              10.2.0.10
 *                | wan      lan |
 *                +--- node a ---+
 *                |   10.77.0.1  |     virtual addresses 192.168.77.5 and 10.2.0.254:
 *                |     sync     |     at the node that `moveTo` names
 *                |   10.77.0.2  |
 *                +--- node b ---+
 *
 * Its own mover of addresses, ClusterIP, has left Linux: `moveTo` is the manager that users put in
 * its place. The client's virtual address is of 10.3.0.0/24.
 */
import { resolve } from 'node:path';
import { Charon, type CharonSettings } from './charon.ts';
import { until } from './command.ts';
import { Network } from './namespaces.ts';
import {
  ESP_PROPOSALS,
  IKE_PROPOSALS,
  identities,
  impatient,
  Roadwarrior,
  sharedSecret,
  strongSwanPlugins,
} from './roadwarrior.ts';

export type HaNode = 'a' | 'b';
export const haNodes: readonly HaNode[] = ['a', 'b'];

/** Where the client and its peer are, outside and inside. */
export const haAddresses = {
  wan: '192.168.77.5',
  client: '192.168.77.100',
  lan: '10.2.0.254',
  host: '10.2.0.10',
  pool: '10.3.0.0/24',
  sync: { a: '10.77.0.1', b: '10.77.0.2' },
} as const;

export interface HaSettings {
  /** 1 unless told. */
  readonly segmentCount?: number;
  /** Milliseconds; strongSwan's own are 1000 and 2100. */
  readonly heartbeatDelay?: number;
  readonly heartbeatTimeout?: number;
  /** Levels of the nodes' logs; 4 of `ike` and `chd` shows keys. */
  readonly log?: Readonly<Record<string, number>>;
  /** Of the client's Child SA and of the nodes'. */
  readonly espProposals?: string;
  readonly ikeProposals?: string;
}

/** The network alone: both nodes, the client, the host and a switch. */
export async function buildHaNetwork(): Promise<Network> {
  const network = new Network();
  try {
    await build(network);
    return network;
  } catch (error) {
    network.destroy();
    throw error;
  }
}

/** Gives the virtual addresses to a node, away from the other, and says so to both networks. */
export async function moveTo(network: Network, node: HaNode | undefined): Promise<void> {
  for (const other of haNodes.filter((each) => each !== node)) {
    for (const [device, address] of virtualAddresses) {
      const argv = ['ip', 'address', 'del', address, 'dev', device];
      await network.exec(other, argv, { mayFail: true });
    }
  }
  if (node === undefined) return;
  const lines = virtualAddresses.map(
    ([device, address]) => `address replace ${address} dev ${device}`,
  );
  await network.ip(node, lines);
  const pairs = virtualAddresses.flatMap(([device, address]) => [
    device,
    address.replace(/\/.*/, ''),
  ]);
  await network.exec(node, ['python3', resolve('lab/announce.py'), ...pairs]);
}

export class CharonHaCluster {
  readonly network: Network;
  readonly nodes: Readonly<Record<HaNode, Charon>>;
  readonly client: Roadwarrior;
  readonly #settings: HaSettings;

  private constructor(network: Network, settings: HaSettings) {
    this.network = network;
    this.#settings = settings;
    this.nodes = { a: new Charon(network, 'a'), b: new Charon(network, 'b') };
    this.client = new Roadwarrior(network);
  }

  /** The network, and nothing that runs in it yet. */
  static async build(settings: HaSettings = {}): Promise<CharonHaCluster> {
    return new CharonHaCluster(await buildHaNetwork(), settings);
  }

  /** Starts the client and the nodes named; everything belongs to the first of them. */
  async start(started: readonly HaNode[] = haNodes): Promise<void> {
    await Promise.all([
      ...started.map((node) => this.startNode(node)),
      this.client.start({
        ...{ local: haAddresses.client, gateway: haAddresses.wan, remoteTs: '10.2.0.0/24' },
        ...this.#settings,
      }),
    ]);
    const [first] = started;
    if (first === undefined) return;
    await moveTo(this.network, first);
    await this.take(first);
    // A node that is asked for all it has answers also with what the asking one serves, which then
    // serves it no longer: no client may come before both have asked.
    const asked = /resyncing HA segment/;
    if (started.length === 2) {
      await until('the nodes to have asked each other', () =>
        haNodes.every((node) => asked.test(this.nodes[node].log())) ? true : undefined,
      );
    }
  }

  /** Its connections must be there when it asks for the other's SAs, a second after its start. */
  async startNode(node: HaNode): Promise<void> {
    await this.nodes[node].start(nodeSettings(node, this.#settings));
    await this.nodes[node].swanctl.load(nodeConf(this.#settings));
  }

  /** Has the node take all segments, until the other says that it has none. */
  async take(node: HaNode): Promise<void> {
    const { segmentCount = 1 } = this.#settings;
    const all = Array.from({ length: segmentCount }, (_, index) => index + 1);
    const other = this.nodes[node === 'a' ? 'b' : 'a'];
    await until(
      `all segments at ${node}`,
      async () => {
        const taken = this.active(node).join() === all.join();
        if (
          taken &&
          (!other.runs || this.active(other === this.nodes.a ? 'a' : 'b').length === 0)
        ) {
          return true;
        }
        // A heartbeat that was under way may give a segment back: it is taken again.
        for (const segment of all) await this.nodes[node].writeFifo('charon.ha', `+${segment}`);
        return undefined;
      },
      10_000,
      300,
    );
  }

  /** The segments that a node says it serves. */
  active(node: HaNode): readonly number[] {
    const [, last = 'none'] =
      [...this.nodes[node].log().matchAll(/, now active: (.*)/g)].at(-1) ?? [];
    return last === 'none' ? [] : last.split(',').map(Number);
  }

  /** Has the client connect; answers its virtual address. */
  connect(): Promise<string> {
    return this.client.connect();
  }

  destroy(): void {
    this.network.destroy();
  }
}

/** swanctl.conf of both nodes. */
export function nodeConf(settings: HaSettings = {}): string {
  return `connections {
  rw {
    version = 2
    mobike = no
    local_addrs = ${haAddresses.wan}
    remote_addrs = %any
    proposals = ${settings.ikeProposals ?? IKE_PROPOSALS}
    pools = rw
    unique = never
    local {
      auth = psk
      id = ${identities.gateway}
    }
    remote {
      auth = psk
      id = ${identities.client}
    }
    children {
      net {
        local_ts = 10.2.0.0/24
        esp_proposals = ${settings.espProposals ?? ESP_PROPOSALS}
      }
    }
  }
}
${sharedSecret}`;
}

function nodeSettings(node: HaNode, settings: HaSettings): CharonSettings {
  const { segmentCount = 1, heartbeatDelay = 1000, heartbeatTimeout = 2100 } = settings;
  return {
    plugins: [...strongSwanPlugins, 'ha'],
    charon: impatient,
    pluginSettings: {
      ha: {
        local: haAddresses.sync[node],
        remote: haAddresses.sync[node === 'a' ? 'b' : 'a'],
        segment_count: segmentCount,
        heartbeat_delay: heartbeatDelay,
        heartbeat_timeout: heartbeatTimeout,
        fifo_interface: 'yes',
        monitor: 'yes',
        resync: 'yes',
        pools: { rw: haAddresses.pool },
      },
    },
    ...(settings.log === undefined ? {} : { log: settings.log }),
  };
}

const virtualAddresses = [
  ['wan', `${haAddresses.wan}/24`],
  ['lan', `${haAddresses.lan}/24`],
] as const;

async function build(network: Network): Promise<void> {
  await network.addNode('switch', []);
  await network.ip('switch', [
    'link add name wan type bridge mcast_snooping 0',
    'link add name lan type bridge mcast_snooping 0',
    'link set wan up',
    'link set lan up',
  ]);
  for (const node of haNodes) await network.addNode(node, nodeSysctls);
  for (const node of ['client', 'host']) await network.addNode(node, noDuplicateAddressDetection);
  const plugs = [
    ['a', 'wan', '192.168.77.1/24'],
    ['b', 'wan', '192.168.77.2/24'],
    ['client', 'wan', `${haAddresses.client}/24`],
    ['a', 'lan', '10.2.0.1/24'],
    ['b', 'lan', '10.2.0.2/24'],
    ['host', 'lan', `${haAddresses.host}/24`],
  ] as const;
  for (const [node, device, address] of plugs) {
    const port = `${device}-${node}`;
    const plug = { node: 'switch', device: port, addresses: [] };
    await network.link({ node, device, addresses: [address] }, plug);
    await network.ip('switch', [`link set ${port} master ${device}`]);
  }
  await network.link(
    { node: 'a', device: 'sync', addresses: [`${haAddresses.sync.a}/30`] },
    { node: 'b', device: 'sync', addresses: [`${haAddresses.sync.b}/30`] },
  );
  await network.ip('host', [`route add ${haAddresses.pool} via ${haAddresses.lan}`]);
}

const noDuplicateAddressDetection = [
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
];
const nodeSysctls = [
  ...noDuplicateAddressDetection,
  'net.ipv4.ip_forward=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.default.send_redirects=0',
];
