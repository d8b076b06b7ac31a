/**
 * The lab's one topology, with IPv4 and IPv6 on every link:
 *
 *   h1 ---------- g1 ================ g2 ---------- h2
 *   10.1.0.10     10.1.0.1   10.2.0.1     10.2.0.10, 10.2.1.10
 *                 192.0.2.1  192.0.2.2
 *   2001:db8:1::10 ::1       2001:db8:2::1          2001:db8:2::10
 *                 2001:db8:f::1  2001:db8:f::2
 *
 * With a NAT box, g1 is 198.51.100.1 and g2 sees 192.0.2.254:
 *
 *   h1 ---- g1 ---- nat ==== g2 ---- h2
 */
import { Network } from './namespaces.ts';

export type Node = 'h1' | 'g1' | 'nat' | 'g2' | 'h2';
export type GatewayNode = 'g1' | 'g2';
export type Family = 'ipv4' | 'ipv6';

/** How the veths treat packets larger than one MTU. */
export type Offloads = 'off' | 'wire' | 'on';

export interface Topology {
  readonly network: Network;
  readonly nat: boolean;
}

/** A gateway's address towards the other gateway. */
export function outerAddress(topology: Topology, node: GatewayNode, family: Family): string {
  if (node === 'g2') {
    return family === 'ipv4' ? '192.0.2.2' : '2001:db8:f::2';
  }
  if (topology.nat) {
    return '198.51.100.1';
  }
  return family === 'ipv4' ? '192.0.2.1' : '2001:db8:f::1';
}

/** The network a gateway protects. */
export function protectedNet(node: GatewayNode, family: Family): string {
  if (node === 'g1') {
    return family === 'ipv4' ? '10.1.0.0/16' : '2001:db8:1::/64';
  }
  return family === 'ipv4' ? '10.2.0.0/16' : '2001:db8:2::/64';
}

/** The host behind a gateway. */
export function hostAddress(node: 'h1' | 'h2', family: Family): string {
  if (node === 'h1') {
    return family === 'ipv4' ? '10.1.0.10' : '2001:db8:1::10';
  }
  return family === 'ipv4' ? '10.2.0.10' : '2001:db8:2::10';
}

/** What the NAT box shows g2 instead of g1's address. */
export const natAddress = '192.0.2.254';

/** A second address of h2, outside 10.2.0.0/24. */
export const h2SecondAddress = '10.2.1.10';

/** Builds the topology; on any failure nothing of it stays. */
export async function buildTopology(options: { readonly nat?: boolean } = {}): Promise<Topology> {
  const topology = { network: new Network(), nat: options.nat === true };
  try {
    await build(topology);
    return topology;
  } catch (error) {
    topology.network.destroy();
    throw error;
  }
}

async function build({ network, nat }: Topology): Promise<void> {
  const hosts: readonly Node[] = ['h1', 'h2'];
  const routers: readonly Node[] = nat ? ['g1', 'nat', 'g2'] : ['g1', 'g2'];
  for (const node of hosts) {
    await network.addNode(node, noDuplicateAddressDetection);
  }
  for (const node of routers) {
    await network.addNode(node, [...noDuplicateAddressDetection, ...routerSysctls]);
  }
  await lan(network, 'g1', 'h1', ['10.1.0.1/16', '2001:db8:1::1/64'], hostsOf.h1);
  await lan(network, 'g2', 'h2', ['10.2.0.1/16', '2001:db8:2::1/64'], hostsOf.h2);
  if (nat) {
    await wanWithNat(network);
  } else {
    await network.link(
      { node: 'g1', device: 'wan', addresses: ['192.0.2.1/24', '2001:db8:f::1/64'] },
      { node: 'g2', device: 'wan', addresses: ['192.0.2.2/24', '2001:db8:f::2/64'] },
    );
  }
}

async function lan(
  network: Network,
  gateway: GatewayNode,
  host: 'h1' | 'h2',
  gatewayAddresses: readonly string[],
  hostAddresses: readonly string[],
): Promise<void> {
  await network.link(
    { node: gateway, device: 'lan', addresses: gatewayAddresses },
    { node: host, device: 'eth0', addresses: hostAddresses },
  );
  await network.ip(
    host,
    gatewayAddresses.map((address) => `route add default via ${address.split('/')[0]}`),
  );
}

async function wanWithNat(network: Network): Promise<void> {
  await network.link(
    { node: 'g1', device: 'wan', addresses: ['198.51.100.1/24'] },
    { node: 'nat', device: 'inside', addresses: ['198.51.100.254/24'] },
  );
  await network.link(
    { node: 'nat', device: 'outside', addresses: [`${natAddress}/24`] },
    { node: 'g2', device: 'wan', addresses: ['192.0.2.2/24'] },
  );
  await network.ip('g1', ['route add default via 198.51.100.254']);
  // A source port range of its own shows that nobody counts on 500 and 4500 coming through.
  await nft(network, 'nat', [
    'table ip nat {',
    'chain postrouting {',
    'type nat hook postrouting priority srcnat;',
    'oifname "outside" ip protocol udp masquerade to :20000-29999;',
    'oifname "outside" masquerade;',
    '}',
    '}',
  ]);
}

/** Loads an nft rule set at a node. */
export async function nft(network: Network, node: string, lines: readonly string[]): Promise<void> {
  await network.exec(node, ['nft', '-f', '-'], { input: `${lines.join('\n')}\n` });
}

/** Loses `percent` of the packets between the gateways in either direction; 0 ends it. */
export async function lose({ network }: Topology, percent: number): Promise<void> {
  // A table must exist before it can be deleted: adding it first makes this work from any state.
  const lines = ['table inet loss', 'delete table inet loss'];
  if (percent > 0) {
    const which = percent < 100 ? `numgen random mod 100 < ${percent} ` : '';
    // On arrival: a sender would hear of a packet dropped on its way out (EPERM).
    lines.push(
      'table inet loss { chain arriving {',
      'type filter hook prerouting priority raw;',
      `iifname "wan" ${which}drop;`,
      '}',
      '}',
    );
  }
  await nft(network, 'g1', lines);
  await nft(network, 'g2', lines);
}

/** Sets the segmentation and receive offloads of every veth. */
export async function setOffloads({ network, nat }: Topology, offloads: Offloads): Promise<void> {
  const segmentation = offloads === 'on' ? 'on' : 'off';
  const receive = offloads === 'off' ? 'off' : 'on';
  const devices: [Node, string][] = [
    ['h1', 'eth0'],
    ['g1', 'lan'],
    ['g1', 'wan'],
    ['g2', 'wan'],
    ['g2', 'lan'],
    ['h2', 'eth0'],
  ];
  if (nat) {
    devices.push(['nat', 'inside'], ['nat', 'outside']);
  }
  for (const [node, device] of devices) {
    await network.exec(node, [
      ...['ethtool', '-K', device, 'tso', segmentation, 'gso', segmentation],
      // `gso off` leaves this one on: datagrams of 64 KB would pass an honest-looking wire.
      ...['tx-udp-segmentation', segmentation, 'gro', receive],
    ]);
  }
}

/** Routes between the protected networks in the clear, for a comparison without a tunnel. */
export async function routePlainly(topology: Topology, family: Family = 'ipv4'): Promise<void> {
  const ways = [
    ['g1', 'g2'],
    ['g2', 'g1'],
  ] as const;
  for (const [node, other] of ways) {
    const via = outerAddress(topology, other, family);
    await topology.network.ip(node, [`route add ${protectedNet(other, family)} via ${via}`]);
  }
}

const hostsOf = {
  h1: ['10.1.0.10/16', '2001:db8:1::10/64'],
  h2: ['10.2.0.10/16', '10.2.1.10/16', '2001:db8:2::10/64'],
};

const noDuplicateAddressDetection = [
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
];

/** ESP arrives on wan, the inner packet on a TUN device: strict reverse path checks drop it. */
const routerSysctls = [
  'net.ipv4.ip_forward=1',
  'net.ipv6.conf.all.forwarding=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.default.send_redirects=0',
];
