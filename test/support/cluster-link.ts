/**
 * Nodes of a cluster on a link, in network namespaces: two bridges, each with both nodes and one other.
 *
 *   p (192.0.2.9) ── wan bridge ──┬─ a (.1) ─┬── lan bridge ── h (10.1.0.9)
 *                                 └─ b (.2) ─┘
 *
 * The same hosts in 2001:db8:1::/64 and 2001:db8:a::/64.
 */
import { Network } from '../../lab/namespaces.ts';

export type ClusterNode = 'a' | 'b';
export const CLUSTER_NODES = ['a', 'b'] as const;

const HOSTS = { a: 1, b: 2, p: 9, h: 9 } as const;
const PORTS = [
  ['a', 'wan'],
  ['b', 'wan'],
  ['p', 'wan'],
  ['a', 'lan'],
  ['b', 'lan'],
  ['h', 'lan'],
] as const;

export interface ClusterLinkOptions {
  /** The bridges look into IGMP and MLD, and ask who joined what: soon they drop what nobody joined. */
  readonly querier?: boolean;
  readonly sysctls?: readonly string[];
}

/** Makes the link; `destroy` the network afterwards. */
export async function clusterLink(options: ClusterLinkOptions = {}): Promise<Network> {
  const network = new Network();
  try {
    await build(network, options);
    return network;
  } catch (error) {
    network.destroy();
    throw error;
  }
}

async function build(network: Network, options: ClusterLinkOptions): Promise<void> {
  const quiet = [
    'net.ipv6.conf.default.accept_dad=0',
    'net.ipv6.conf.default.router_solicitations=0',
  ];
  for (const node of ['a', 'b', 'p', 'h']) {
    await network.addNode(node, [...quiet, ...(options.sysctls ?? [])]);
  }
  // Only a querier has addresses: otherwise the switch says nothing of its own.
  const querier = options.querier === true;
  await network.addNode('s', querier ? quiet : ['net.ipv6.conf.default.disable_ipv6=1']);
  const snooping = querier
    ? 'mcast_snooping 1 mcast_query_response_interval 50 mcast_startup_query_interval 50'
    : 'mcast_snooping 0';
  const bridges = ['wan', 'lan'].flatMap((name) => [
    `link add ${name} type bridge ${snooping} forward_delay 0`,
    `link set ${name} up`,
  ]);
  await network.ip('s', bridges);
  for (const [node, device] of PORTS) {
    const host = HOSTS[node];
    const [four, six] =
      device === 'wan' ? ['192.0.2.', '2001:db8:1::'] : ['10.1.0.', '2001:db8:a::'];
    await network.link(
      { node, device, addresses: [`${four}${host}/24`, `${six}${host}/64`] },
      { node: 's', device: `${device}-${node}`, addresses: [] },
    );
    await network.ip('s', [`link set ${device}-${node} master ${device}`]);
  }
  if (querier) await network.ip('s', ['link set wan type bridge mcast_querier 1']);
}
