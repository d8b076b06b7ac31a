/**
 * The network of a load: one gateway, clients with an address each, and someone who floods.
 *
 *   clients ---+
 *   .0.2       |  switch ---- gateway      10.77.0.0/16
 *   attacker --+              .0.1
 *   .0.3
 *
 * The clients' addresses, 198.18.0.0/15 (RFC 2544), are all local to one namespace, where one pair
 * of sockets speaks for them. The gateway's default route is the attacker, who swallows answers to
 * addresses nobody has; addresses in 10.77.0.0/16 that nobody has do not resolve.
 */
import { Network } from '../lab/namespaces.ts';
import { type IpAddress, ipAddress } from '../src/wire/address.ts';

export const gatewayAddress = '10.77.0.1';
/** The network the gateway protects. */
export const protectedNetwork = '10.2.0.0/16';
/** Where the clients' inner addresses are from, one for each. */
export const innerNetwork = '10.128.0.0/9';
/** Clients there can be: one for each address of 198.18.0.0/15. */
export const MOST_CLIENTS = 131_072;

/** Builds the namespaces `gateway`, `clients`, `attacker` and the switch between them. */
export async function buildLoadNetwork(): Promise<Network> {
  const network = new Network();
  try {
    await build(network);
    return network;
  } catch (error) {
    network.destroy();
    throw error;
  }
}

/**
 * Gives a gateway of another network its clients: a namespace on a link of its own.
 *
 *   clients .0.2 ---- .0.1 gateway      10.77.0.0/16
 */
export async function addClients(network: Network, gateway: string, node: string): Promise<void> {
  await network.addNode(node, []);
  await network.link(
    { node: gateway, device: 'clients', addresses: [`${gatewayAddress}/16`] },
    { node, device: 'wan', addresses: [clientsAddress] },
  );
  await network.ip(gateway, [routeToClients]);
  await network.ip(node, [localToClients]);
}

/** A client's address towards the gateway. */
export function outerAddressOf(client: number): IpAddress {
  return addressAt(OUTER_FIRST, client);
}

/** The one address behind a client. */
export function innerAddressOf(client: number): IpAddress {
  return addressAt(INNER_FIRST, client);
}

async function build(network: Network): Promise<void> {
  await network.addNode('switch', []);
  await network.addNode('gateway', gatewaySysctls);
  for (const node of ['clients', 'attacker']) await network.addNode(node, []);
  await network.ip('switch', ['link add name wire type bridge', 'link set wire up']);
  const ends = [
    ['gateway', `${gatewayAddress}/16`],
    ['clients', clientsAddress],
    ['attacker', '10.77.0.3/16'],
  ] as const;
  for (const [node, address] of ends) {
    await network.link(
      { node, device: 'wan', addresses: [address] },
      { node: 'switch', device: node, addresses: [] },
    );
    await network.ip('switch', [`link set ${node} master wire`]);
  }
  await network.ip('gateway', [
    // charon installs routes only where it has an address of the protected network.
    'address add 10.2.0.1/16 dev lo',
    routeToClients,
    'route add default via 10.77.0.3',
  ]);
  await network.ip('clients', [localToClients]);
}

function addressAt(first: number, offset: number): IpAddress {
  const value = first + offset;
  return ipAddress(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}

const clientsAddress = '10.77.0.2/16';
const routeToClients = 'route add 198.18.0.0/15 via 10.77.0.2';
const localToClients = 'route add local 198.18.0.0/15 dev lo';

/** 198.18.0.0 */
const OUTER_FIRST = 0xc612_0000;
/** 10.128.0.0 */
const INNER_FIRST = 0x0a80_0000;

const gatewaySysctls = [
  'net.ipv4.ip_forward=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.default.send_redirects=0',
];
