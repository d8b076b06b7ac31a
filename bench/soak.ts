/**
 * Does a tunnel that carries traffic for long keep its rate and its memory?
 *
 *   h1 ---- g1 ================= g2 ---- h2      TCP both ways at once, minute after minute
 *
 * tsgw at both ends, and both rekey as they are told to. One line a minute: rate, memory in use and
 * CPU time of either gateway, rekeyings, and what was dropped.
 */
import { IpsecTunnel } from '../lab/ipsec-tunnel.ts';
import { connectionName } from '../lab/swanctl-conf.ts';
import { buildTopology, type Offloads, setOffloads } from '../lab/topology.ts';
import { TransferServer } from '../lab/traffic.ts';
import { cpuMilliseconds, residentOctets } from './process-cost.ts';
import { type SoakMinute, type SoakReport, soakReport } from './soak-report.ts';

export interface SoakOptions {
  readonly minutes: number;
  /** Of a Child SA; an IKE SA lives five times as long. */
  readonly rekeySeconds: number;
  readonly offloads: Offloads;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

/** An IKE SA is replaced once in so many Child SAs. */
const CHILD_SAS_AN_IKE_SA = 5;

export async function measureSoak(options: SoakOptions): Promise<SoakReport> {
  const { rekeySeconds, offloads, cipher } = options;
  const topology = await buildTopology();
  let tunnel: IpsecTunnel | undefined;
  let server: TransferServer | undefined;
  try {
    await setOffloads(topology, offloads);
    tunnel = await IpsecTunnel.start(topology, {
      ...{ family: 'ipv4', cipher, kinds: ['tsgw', 'tsgw'] },
      pair: {
        connection: { rekey_time: `${rekeySeconds * CHILD_SAS_AN_IKE_SA}s` },
        child: { rekey_time: `${rekeySeconds}s` },
      },
    });
    server = await TransferServer.start(topology);
    return soakReport(options, await minutesOf(tunnel, server, options));
  } finally {
    await server?.stop();
    await tunnel?.stop();
    topology.network.destroy();
  }
}

async function minutesOf(
  tunnel: IpsecTunnel,
  server: TransferServer,
  { minutes, progress }: SoakOptions,
): Promise<readonly SoakMinute[]> {
  const pids = tunnel.gateways.map((gateway) => gateway.process().pid ?? 0);
  const measured: SoakMinute[] = [];
  progress(`${minutes} minutes`);
  while (measured.length < minutes) {
    const before = pids.map(cpuMilliseconds);
    const begin = performance.now();
    const { there, back } = await server.transferBothWays({ seconds: 60 });
    const elapsed = performance.now() - begin;
    const minute: SoakMinute = {
      mbitPerSecond: (there.bitsPerSecond + back.bitsPerSecond) / 1e6,
      residentOctets: pids.map(residentOctets),
      cpuShare: pids.map((pid, at) => (cpuMilliseconds(pid) - (before[at] ?? 0)) / elapsed),
      ...(await rekeyings(tunnel)),
    };
    measured.push(minute);
    progress(minuteLine(measured.length, minute));
  }
  return measured;
}

/** Since the start, as the gateway that counted fewer says. */
async function rekeyings(
  tunnel: IpsecTunnel,
): Promise<Pick<SoakMinute, 'childSasReplaced' | 'ikeSasReplaced'>> {
  const counted = await Promise.all(
    tunnel.gateways.map(({ swanctl }) => swanctl.counters(connectionName)),
  );
  const least = (...names: readonly string[]): number =>
    Math.min(...counted.map((one) => names.reduce((sum, name) => sum + (one[name] ?? 0), 0)));
  return {
    childSasReplaced: least('child-rekey'),
    ikeSasReplaced: least('ike-rekey-init', 'ike-rekey-resp'),
  };
}

function minuteLine(number: number, minute: SoakMinute): string {
  const memory = minute.residentOctets.map((octets) => (octets / 2 ** 20).toFixed(0));
  const cpu = minute.cpuShare.map((share) => share.toFixed(2));
  return (
    `minute ${number}  ${minute.mbitPerSecond.toFixed(0)} Mbit/s, ${memory.join(' and ')} MiB, ` +
    `${cpu.join(' and ')} cores, ${minute.childSasReplaced} Child SAs and ` +
    `${minute.ikeSasReplaced} IKE SAs replaced`
  );
}
