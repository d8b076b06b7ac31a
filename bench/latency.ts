/**
 * How long does a packet take?
 *
 *   h1 ---- g1 ================= g2 ---- h2      ping, and requests that wait for their answers
 *                 ... and a flood beside them
 *
 * Each case idle, and while h1 floods h2's second address with full-size packets, as many as it can:
 * through a Child SA of its own where there are Child SAs, else as another flow of the same tunnel.
 */
import { sleep } from '../lab/command.ts';
import { ask, CompetingFlood, compileDatagrams } from '../lab/datagrams.ts';
import { IpsecTunnel } from '../lab/ipsec-tunnel.ts';
import type { PairSettings } from '../lab/swanctl-conf.ts';
import { h2SecondAddress, type Offloads, type Topology } from '../lab/topology.ts';
import { pingTimes } from '../lab/traffic.ts';
import { type CaseName, caseOf } from './cases.ts';
import { type LatencyReport, type LatencySample, latencyReport } from './latency-report.ts';
import { Stand, type Standing } from './stand.ts';
import { quantile } from './statistics.ts';
import { Collected, inTurn } from './turns.ts';

export interface LatencyOptions {
  readonly rounds: number;
  /** Echo requests, and requests with answers, of each round. */
  readonly pings: number;
  readonly requests: number;
  readonly cases: readonly CaseName[];
  readonly offloads: Offloads;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

/** h2's second address is behind a Child SA of its own. */
const twoChildren: PairSettings = {
  g1: { remoteTs: '10.2.0.0/24' },
  g2: { localTs: '10.2.0.0/24' },
  furtherChildren: [{ name: 'other', g1: '10.1.0.0/16', g2: '10.2.1.0/24' }],
};

const PING_SECONDS = 0.005;
/** For all requests of a round; under a flood fewer than asked for may get their turn. */
const MOST_REQUEST_SECONDS = 10;
const REQUEST_OCTETS = 128;
const FLOOD_OCTETS = 1400;

export async function measureLatency(options: LatencyOptions): Promise<LatencyReport> {
  const { cipher, progress, rounds, cases } = options;
  const seconds = 2 * (options.pings * PING_SECONDS + options.requests * 5e-4) + 3;
  const minutes = Math.ceil((cases.length * (rounds * seconds + 5)) / 60);
  progress(`about ${minutes} min`);
  await compileDatagrams();
  const terms = { family: 'ipv4', cipher, pair: twoChildren } as const;
  const stand = await Stand.build(cases, { terms, progress });
  const samples = new Collected<LatencySample>();
  try {
    for (const standing of stand.standing) {
      await stand.setOffloads(standing, options.offloads);
      await bringUpSecondChild(standing);
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const { name, topology } of inTurn(stand.standing, round)) {
        const sample = await measure(topology, options);
        samples.add(name, sample);
        const { idle, flooded } = sample;
        progress(
          `round ${round + 1}/${rounds}  ${caseOf(name).title}: ping ${idle.ping.toFixed(3)} ms, ` +
            `under the flood ${flooded.ping.toFixed(3)} ms`,
        );
      }
    }
    const present = stand.standing.map(({ name }) => name);
    return latencyReport({ ...options, cases: present, absent: stand.absent }, samples);
  } finally {
    await stand.takeDown();
  }
}

async function bringUpSecondChild({ tunnel, topology }: Standing): Promise<void> {
  if (!(tunnel instanceof IpsecTunnel)) return;
  // strongSwan takes a Child SA only where it has an address of the protected network.
  await topology.network.ip('g2', ['address add 10.2.1.1/32 dev lan']);
  await tunnel.gateways[0]?.swanctl.must(['--initiate', '--child', 'other']);
}

async function measure(topology: Topology, options: LatencyOptions): Promise<LatencySample> {
  const idle = await measureOnce(topology, options);
  const flood = CompetingFlood.start(
    topology,
    { octets: FLOOD_OCTETS, seconds: LONGEST_FLOOD_SECONDS },
    h2SecondAddress,
  );
  try {
    return { idle, flooded: await measureOnce(topology, options) };
  } finally {
    await flood.stop();
    // What queues without bounds hold leaves before the next one's turn.
    await sleep(DRAIN_MS);
  }
}

async function measureOnce(
  topology: Topology,
  { pings, requests }: LatencyOptions,
): Promise<LatencySample['idle']> {
  const milliseconds = await pingTimes(topology, { count: pings, intervalSeconds: PING_SECONDS });
  const { microseconds, lost } = await ask(topology, {
    ...{ octets: REQUEST_OCTETS, count: requests, seconds: MOST_REQUEST_SECONDS },
  });
  return {
    ping: quantile(milliseconds, 0.5),
    ping99: quantile(milliseconds, 0.99),
    pingsLost: pings - milliseconds.length,
    request: quantile(microseconds, 0.5) / 1000,
    request99: quantile(microseconds, 0.99) / 1000,
    requestsAnswered: microseconds.length,
    requestsLost: lost,
  };
}

const LONGEST_FLOOD_SECONDS = 120;
const DRAIN_MS = 500;
