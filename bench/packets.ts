/**
 * How many packets a second?
 *
 *   h1 ---- g1 ================= g2 ---- h2      UDP in IP packets of 64, 512 and 1400 octets
 *
 * How many arrive when they are offered without limit, and the highest rate at which at most one in a
 * hundred is lost, with what a packet costs at that rate. Packets enter the kernel one by one. The
 * sender's own rate is printed: it takes a core, and where it is not well above what arrives, it
 * is the limit.
 */
import { compileDatagrams, offer } from '../lab/datagrams.ts';
import type { Family, Offloads } from '../lab/topology.ts';
import { type CaseName, caseOf } from './cases.ts';
import { readCosts, spent, sumOf } from './gateway-cost.ts';
import { LossSearch } from './loss-search.ts';
import {
  type PacketsReport,
  type PacketsSample,
  packetsKey,
  packetsReport,
} from './packets-report.ts';
import { Stand, type Standing } from './stand.ts';
import { Collected, inTurn } from './turns.ts';

export interface PacketsOptions {
  readonly rounds: number;
  /** Of each flood and of each try. */
  readonly seconds: number;
  /** Of whole IP packets. */
  readonly sizes: readonly number[];
  readonly cases: readonly CaseName[];
  readonly offloads: Offloads;
  readonly family: Family;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

const MOST_LOSS = 0.01;
const TRIES = 7;

export async function measurePackets(options: PacketsOptions): Promise<PacketsReport> {
  const { family, cipher, progress, sizes, rounds, cases, seconds } = options;
  const perCase = rounds * sizes.length * (TRIES + 1) * (seconds + AROUND_SECONDS);
  progress(`about ${Math.ceil((cases.length * (perCase + SET_UP_SECONDS)) / 60)} min`);
  await compileDatagrams();
  const stand = await Stand.build(cases, { terms: { family, cipher }, progress });
  const samples = new Collected<PacketsSample>();
  try {
    for (const standing of stand.standing) await stand.setOffloads(standing, options.offloads);
    for (let round = 0; round < rounds; round += 1) {
      for (const octets of sizes) {
        for (const standing of inTurn(stand.standing, round)) {
          const sample = await measure(standing, octets, options);
          samples.add(packetsKey(octets, standing.name), sample);
          progress(`round ${round + 1}/${rounds}  ${described(standing, octets, sample)}`);
        }
      }
    }
    const present = stand.standing.map(({ name }) => name);
    return packetsReport({ ...options, cases: present, absent: stand.absent }, samples);
  } finally {
    await stand.takeDown();
  }
}

/** One flood, then the search below the rate that the flood was offered at. */
export async function measure(
  { topology }: Pick<Standing, 'topology'>,
  octets: number,
  { seconds, family }: Pick<PacketsOptions, 'seconds' | 'family'>,
): Promise<PacketsSample> {
  const flood = await offer(topology, { octets, seconds, family });
  const search = new LossSearch<Tried>({
    ...{ most: flood.sentPerSecond, mostLoss: MOST_LOSS, tries: TRIES },
  });
  for (let rate = search.next(); rate !== undefined; rate = search.next()) {
    const before = await readCosts(topology.network);
    const { sent, received, sentPerSecond } = await offer(topology, {
      ...{ octets, seconds, family, perSecond: rate },
    });
    const { g1, g2 } = spent(before, await readCosts(topology.network));
    const { userSeconds, systemSeconds } = sumOf(g1, g2);
    search.tell(rate, {
      ...{ sentPerSecond, loss: 1 - received / sent },
      cpuMicroseconds: ((userSeconds + systemSeconds) * 1e6) / received / GATEWAYS,
    });
  }
  return {
    offered: flood.sentPerSecond,
    arrived: flood.receivedPerSecond,
    keptRate: search.best?.sentPerSecond ?? 0,
    cpuMicroseconds: search.best?.cpuMicroseconds,
  };
}

interface Tried {
  readonly sentPerSecond: number;
  readonly loss: number;
  /** Of a gateway, for each packet that arrived. */
  readonly cpuMicroseconds: number;
}

function described({ name }: Standing, octets: number, sample: PacketsSample): string {
  const thousands = (rate: number): string => `${(rate / 1000).toFixed(0)} k`;
  return (
    `${octets} octets, ${caseOf(name).title}: of ${thousands(sample.offered)} a second ` +
    `${thousands(sample.arrived)} arrive; ${thousands(sample.keptRate)} with at most 1 % loss`
  );
}

const GATEWAYS = 2;
const SET_UP_SECONDS = 4;
/** What starting, draining and reading take around a measurement. */
const AROUND_SECONDS = 0.6;
