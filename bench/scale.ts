/**
 * Does a tunnel get slower when its gateways hold many SAs?
 *
 *   h1 ---- g1 ================= g2 ---- h2      the tunnel that is measured
 *           |                     |
 *        clients               clients           1,000 or 50,000 IKE SAs with a Child SA each
 *
 * tsgw at both ends, several beds side by side that take turns. The clients' SAs, each with a policy
 * for an address of its own, stand beside the measured one at either gateway and carry nothing.
 */
import { compileDatagrams, offer } from '../lab/datagrams.ts';
import type { Gateway } from '../lab/gateway.ts';
import { IpsecTunnel } from '../lab/ipsec-tunnel.ts';
import { buildTopology, type Offloads, setOffloads, type Topology } from '../lab/topology.ts';
import { ping, TransferServer } from '../lab/traffic.ts';
import { KeyExchangeId } from '../src/crypto/transform.ts';
import { addClients } from './load-network.ts';
import { failureText, Load } from './load-protocol.ts';
import { clientsConf, forThousands } from './load-responder.ts';
import { idle } from './process-cost.ts';
import { type ScaleReport, type ScaleSample, scaleReport } from './scale-report.ts';
import { Collected, inTurn } from './turns.ts';

export interface ScaleOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** SAs at each gateway, ascending; with 1 there is only the one that is measured. */
  readonly standing: readonly number[];
  readonly offloads: Offloads;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

interface Bed {
  readonly standing: number;
  readonly topology: Topology;
  readonly tunnel: IpsecTunnel;
  readonly server: TransferServer;
}

/** Of the packets that are counted, as IP packets. */
const SMALL_OCTETS = 64;
const CONCURRENCY = 32;

export async function measureScale(options: ScaleOptions): Promise<ScaleReport> {
  const { standing, rounds, seconds, progress } = options;
  const clients = standing.reduce((sum, count) => sum + 2 * (count - 1), 0);
  const measuring = standing.length * rounds * 3 * (seconds + 1.5);
  progress(`about ${Math.ceil((clients / SERVED_PER_SECOND + measuring) / 60)} min`);
  await compileDatagrams();
  const beds: Bed[] = [];
  const samples = new Collected<ScaleSample>();
  try {
    for (const count of standing) {
      beds.push(await setUp(count, options));
      progress(`${count} SAs: up`);
    }
    for (const bed of beds) await measure(bed, options);
    for (let round = 0; round < rounds; round += 1) {
      for (const bed of inTurn(beds, round)) {
        const sample = await measure(bed, options);
        samples.add(String(bed.standing), sample);
        progress(
          `round ${round + 1}/${rounds}  ${bed.standing} SAs: ${sample.there.toFixed(0)} / ` +
            `${sample.back.toFixed(0)} Mbit/s, ${(sample.arrived / 1000).toFixed(0)} k packets/s`,
        );
      }
    }
  } finally {
    for (const bed of beds) await takeDown(bed);
  }
  return scaleReport(options, samples);
}

async function setUp(standing: number, { cipher, offloads }: ScaleOptions): Promise<Bed> {
  const topology = await buildTopology();
  const { network } = topology;
  let tunnel: IpsecTunnel | undefined;
  try {
    await setOffloads(topology, offloads);
    for (const node of ['g1', 'g2']) await addClients(network, node, `clients-${node}`);
    tunnel = await IpsecTunnel.start(topology, {
      ...{ family: 'ipv4', cipher, kinds: ['tsgw', 'tsgw'] },
      ...{ own: forThousands, furtherConf: clientsConf },
    });
    for (const gateway of tunnel.gateways) await fill(topology, gateway, standing - 1);
    const { received } = await ping(topology);
    if (received === 0) throw new Error(`${standing} SAs: no ping came back`);
    return { standing, topology, tunnel, server: await TransferServer.start(topology) };
  } catch (error) {
    await tunnel?.stop();
    network.destroy();
    throw error;
  }
}

/** Brings clients up; their initiator goes, and nobody looks after them any more. */
async function fill({ network }: Topology, gateway: Gateway, count: number): Promise<void> {
  if (count === 0) return;
  const load = await Load.start(network, `clients-${gateway.node}`);
  try {
    const result = await load.perform({
      ...{ kind: 'run', method: KeyExchangeId.CURVE_25519 },
      ...{ first: 0, count, concurrency: CONCURRENCY },
    });
    if (result.done !== count) {
      throw new Error(`${result.done} of ${count} clients were served: ${failureText(result)}`);
    }
  } finally {
    await load.stop();
  }
  await idle(gateway.process().pid ?? 0);
}

async function takeDown({ topology, tunnel, server }: Bed): Promise<void> {
  await server.stop();
  // Without a word: thousands of Deletes are nobody's question.
  await Promise.all(tunnel.gateways.map((gateway) => gateway.kill()));
  topology.network.destroy();
}

async function measure({ topology, server }: Bed, options: ScaleOptions): Promise<ScaleSample> {
  const { seconds } = options;
  const there = await server.transfer({ seconds, omitSeconds: 1 });
  const back = await server.transfer({ seconds, omitSeconds: 1, reverse: true });
  const flood = await offer(topology, { octets: SMALL_OCTETS, seconds });
  return {
    there: there.bitsPerSecond / 1e6,
    back: back.bitsPerSecond / 1e6,
    arrived: flood.receivedPerSecond,
  };
}

/** Handshakes that one gateway and its clients do together. */
const SERVED_PER_SECOND = 600;
