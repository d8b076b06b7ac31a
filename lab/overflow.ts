/**
 * Packets that the machine itself dropped because a process did not run in time: losses of the lab,
 * not of what is tested in it.
 */
import type { Gateway } from './gateway.ts';
import type { Topology } from './topology.ts';

/**
 * Packets for which a socket of a host, or a socket or the device of a charon, had no room, since the
 * start. tsgw asks for room enough: what it loses is its own loss.
 */
export async function overflowed(
  { network }: Topology,
  gateways: readonly Gateway[],
): Promise<number> {
  const charons = gateways.filter(({ kind }) => kind === 'strongswan').map(({ node }) => node);
  let count = 0;
  for (const node of ['h1', 'h2', ...charons]) {
    const names = ['UdpRcvbufErrors', 'Udp6RcvbufErrors'];
    const { stdout } = await network.exec(node, ['nstat', '-asz', ...names]);
    for (const [, errors] of stdout.matchAll(/Udp6?RcvbufErrors\s+(\d+)/g)) count += Number(errors);
  }
  for (const node of charons) {
    const { stdout } = await network.exec(node, ['ip', '-s', '-j', 'link']);
    const links: readonly DeviceCounts[] = JSON.parse(stdout);
    const [device] = links.filter(({ ifname }) => ifname === 'ipsec0');
    count += device?.stats64.tx.dropped ?? 0;
  }
  return count;
}

/** What `ip -s -j link` says of a device. */
interface DeviceCounts {
  readonly ifname: string;
  readonly stats64: { readonly tx: { readonly dropped: number } };
}
