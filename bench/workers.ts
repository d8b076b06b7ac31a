/**
 * Is a gateway with two workers ever slower than one with one, and do its workers share the SAs?
 *
 *   h1 ---- g1 ================= g2 ---- h2      one Child SA for everything, and a few for a port each
 *
 * tsgw at both ends with as many workers each, several beds side by side that take turns. Where both
 * gateways, their hosts and all workers share the same few cores, more workers cannot be faster: they
 * must not cost.
 */
import { compileDatagrams, offer } from '../lab/datagrams.ts';
import { IpsecTunnel } from '../lab/ipsec-tunnel.ts';
import {
  buildTopology,
  type Offloads,
  protectedNet,
  setOffloads,
  type Topology,
} from '../lab/topology.ts';
import { ping, TransferServer } from '../lab/traffic.ts';
import { TsgwGateway } from '../lab/tsgw.ts';
import { Collected, inTurn } from './turns.ts';
import {
  type WorkersReport,
  type WorkersSample,
  type WorkerWork,
  workersReport,
} from './workers-report.ts';

export interface WorkersOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** At each gateway; the first number is what the others are compared with. */
  readonly workers: readonly number[];
  /** Child SAs with a TCP stream of their own. */
  readonly sas: number;
  readonly offloads: Offloads;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

interface Bed {
  readonly workers: number;
  readonly topology: Topology;
  readonly tunnel: IpsecTunnel;
  /** Through the SA for everything, and through those of a port each. */
  readonly server: TransferServer;
  readonly servers: readonly TransferServer[];
}

const FIRST_PORT = 5301;
const SMALL_OCTETS = 64;

export async function measureWorkers(options: WorkersOptions): Promise<WorkersReport> {
  const { workers, rounds, seconds, progress } = options;
  const measuring = workers.length * (rounds + 1) * 4 * (seconds + 1.5);
  progress(`about ${Math.ceil((measuring + workers.length * 5) / 60)} min`);
  await compileDatagrams();
  const beds: Bed[] = [];
  const samples = new Collected<WorkersSample>();
  try {
    for (const count of workers) {
      beds.push(await setUp(count, options));
      progress(`${count} workers: up`);
    }
    for (const bed of beds) await measure(bed, options);
    for (let round = 0; round < rounds; round += 1) {
      for (const bed of inTurn(beds, round)) {
        const sample = await measure(bed, options);
        samples.add(String(bed.workers), sample);
        progress(
          `round ${round + 1}/${rounds}  ${bed.workers} workers: ${sample.oneSa.toFixed(0)} Mbit/s in one ` +
            `SA, ${sample.severalSas.toFixed(0)} in several, ${(sample.arrived / 1000).toFixed(0)} k packets/s`,
        );
      }
    }
    const work = new Map<number, readonly WorkerWork[]>();
    for (const bed of beds) work.set(bed.workers, await workOf(bed));
    return workersReport(options, samples, work);
  } finally {
    for (const bed of beds) await takeDown(bed);
  }
}

async function setUp(workers: number, options: WorkersOptions): Promise<Bed> {
  const { cipher, offloads, sas } = options;
  const topology = await buildTopology();
  let tunnel: IpsecTunnel | undefined;
  try {
    await setOffloads(topology, offloads);
    const ports = Array.from({ length: sas }, (_, index) => FIRST_PORT + index);
    tunnel = await IpsecTunnel.start(topology, {
      ...{ family: 'ipv4', cipher, kinds: ['tsgw', 'tsgw'], own: { workers: String(workers) } },
      pair: {
        furtherChildren: ports.map((port) => ({
          name: childOf(port),
          g1: `${protectedNet('g1', 'ipv4')}[tcp]`,
          g2: `${protectedNet('g2', 'ipv4')}[tcp/${port}]`,
        })),
      },
    });
    for (const port of ports) {
      await tunnel.gateways[0]?.swanctl.must(['--initiate', '--child', childOf(port)]);
    }
    const { received } = await ping(topology);
    if (received === 0) throw new Error(`${workers} workers: no ping came back`);
    const server = await TransferServer.start(topology);
    const servers: TransferServer[] = [];
    for (const port of ports) servers.push(await TransferServer.start(topology, port));
    return { workers, topology, tunnel, server, servers };
  } catch (error) {
    await tunnel?.stop();
    topology.network.destroy();
    throw error;
  }
}

function childOf(port: number): string {
  return `port-${port}`;
}

async function takeDown({ topology, tunnel, server, servers }: Bed): Promise<void> {
  for (const each of [server, ...servers]) await each.stop();
  await tunnel.stop();
  topology.network.destroy();
}

async function measure(bed: Bed, { seconds }: WorkersOptions): Promise<WorkersSample> {
  const { topology, server, servers } = bed;
  const transfer = { seconds, omitSeconds: 1 };
  const there = await server.transfer(transfer);
  const back = await server.transfer({ ...transfer, reverse: true });
  const several = await Promise.all(servers.map((each) => each.transfer(transfer)));
  const flood = await offer(topology, { octets: SMALL_OCTETS, seconds });
  return {
    oneSa: (there.bitsPerSecond + back.bitsPerSecond) / 1e6,
    severalSas: several.reduce((sum, { bitsPerSecond }) => sum + bitsPerSecond / 1e6, 0),
    arrived: flood.receivedPerSecond,
  };
}

/** What the workers of the first gateway say they did. */
async function workOf({ tunnel }: Bed): Promise<readonly WorkerWork[]> {
  const [gateway] = tunnel.gateways;
  if (!(gateway instanceof TsgwGateway)) throw new Error("workers are tsgw's");
  const { stdout } = await gateway.cli(['status', '--json']);
  const { workers } = JSON.parse(stdout);
  return workers;
}
