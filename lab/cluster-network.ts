/**
 * The network of a cluster: nodes between two bridges, a client behind a router, a host in the protected
 * network, and two bridges that only the nodes are on.
 *
 *   client ------- router ---+ wan            lan +--- host
 *   198.51.100.10        .254|                    |    10.2.0.10
 *   2001:db8:c::10           +---- node a --------+
 *                            |  192.0.2.1  10.2.0.1
 *                            |  sync 10.77.0.1, sync2 10.78.0.1
 *                            |                    |
 *                            +---- node b --------+
 *                            |  192.0.2.2  10.2.0.2
 *                            +---- node c --------+
 *
 *   What the nodes share: 192.0.2.100 and 2001:db8:f::100 for clients, 10.2.0.254 for hosts, 10.3.0.0/24 for
 *   what clients are given.
 */
import { Network } from './namespaces.ts';
import type { Family } from './topology.ts';

export type ClusterNodeName = 'a' | 'b' | 'c';
export const clusterNodeNames: readonly ClusterNodeName[] = ['a', 'b', 'c'];

export const clusterAddresses = {
  gateway: { ipv4: '192.0.2.100', ipv6: '2001:db8:f::100' },
  client: { ipv4: '198.51.100.10', ipv6: '2001:db8:c::10' },
  lan: '10.2.0.254',
  host: '10.2.0.10',
  lanNet: '10.2.0.0/24',
  pool: '10.3.0.0/24',
} as const;

/** Of the devices that a node talks to other nodes by. */
export const SYNC_DEVICES = ['sync', 'sync2'] as const;

/** 1 for `a`. */
export function numberOf(node: ClusterNodeName): number {
  return clusterNodeNames.indexOf(node) + 1;
}

/** Addresses of a node on the paths between nodes. */
export function syncAddresses(node: ClusterNodeName): readonly string[] {
  return [`10.77.0.${numberOf(node)}`, `10.78.0.${numberOf(node)}`];
}

/** The network alone; on any failure nothing of it stays. */
export async function buildClusterNetwork(nodes: readonly ClusterNodeName[]): Promise<Network> {
  const network = new Network();
  try {
    await build(network, nodes);
    return network;
  } catch (error) {
    network.destroy();
    throw error;
  }
}

/** What the router sends to the address of the gateway goes to this node, whatever it hears by ARP. */
export async function routeClientsTo(
  network: Network,
  node: ClusterNodeName,
  family: Family,
): Promise<void> {
  const via = `${wanNet[family]}${numberOf(node)}`;
  await network.ip('router', [`route replace ${clusterAddresses.gateway[family]} via ${via}`]);
}

/** What hosts send to clients goes to this node. */
export async function routeHostsTo(network: Network, node: ClusterNodeName): Promise<void> {
  const via = `10.2.0.${numberOf(node)}`;
  await network.ip('host', [`route replace ${clusterAddresses.pool} via ${via}`]);
}

const wanNet = { ipv4: '192.0.2.', ipv6: '2001:db8:f::' } as const;

async function build(network: Network, nodes: readonly ClusterNodeName[]): Promise<void> {
  const bridges = ['wan', 'lan', ...SYNC_DEVICES];
  await network.addNode('switch', []);
  await network.ip('switch', [
    ...bridges.map((bridge) => `link add name ${bridge} type bridge mcast_snooping 0`),
    ...bridges.map((bridge) => `link set ${bridge} up`),
  ]);
  for (const node of nodes) await network.addNode(node, nodeSysctls);
  for (const node of ['client', 'host']) await network.addNode(node, quiet);
  await network.addNode('router', [...quiet, ...forwarding]);
  await network.link(
    { node: 'client', device: 'wan', addresses: ['198.51.100.10/24', '2001:db8:c::10/64'] },
    { node: 'router', device: 'client', addresses: ['198.51.100.1/24', '2001:db8:c::1/64'] },
  );
  await network.ip('client', [
    'route add default via 198.51.100.1',
    'route add default via 2001:db8:c::1',
  ]);
  await plug(network, 'router', 'wan', ['192.0.2.254/24', '2001:db8:f::254/64']);
  await plug(network, 'host', 'lan', [`${clusterAddresses.host}/24`]);
  await network.ip('host', [`route add ${clusterAddresses.pool} via ${clusterAddresses.lan}`]);
  for (const node of nodes) {
    const number = numberOf(node);
    await plug(network, node, 'wan', [`192.0.2.${number}/24`, `2001:db8:f::${number}/64`]);
    await plug(network, node, 'lan', [`10.2.0.${number}/24`]);
    for (const [index, device] of SYNC_DEVICES.entries()) {
      await plug(network, node, device, [`${syncAddresses(node)[index]}/24`]);
    }
    await network.ip(node, [
      'route add default via 192.0.2.254',
      'route add default via 2001:db8:f::254',
    ]);
  }
}

/** A device at a node, into the bridge of the same name. */
async function plug(
  network: Network,
  node: string,
  device: string,
  addresses: readonly string[],
): Promise<void> {
  const port = `${device}-${node}`;
  const end = { node: 'switch', device: port, addresses: [] };
  await network.link({ node, device, addresses }, end);
  await network.ip('switch', [`link set ${port} master ${device}`]);
}

/** Addresses are there at once. */
const quiet = ['net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0'];
const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
const nodeSysctls = [
  ...quiet,
  ...forwarding,
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.default.send_redirects=0',
];
