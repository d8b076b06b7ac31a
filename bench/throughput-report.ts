/**
 * The report of `throughput`: spreads and ratios of what was measured, and the limits it is held to.
 */
import type { Offloads } from '../lab/topology.ts';
import { type CaseName, caseOf } from './cases.ts';
import type { Absent } from './stand.ts';
import { knownSpread, type Spread, spread } from './statistics.ts';
import type { Plan, Step } from './throughput-schedule.ts';
import type { Collected } from './turns.ts';
import { atLeast, atMost, type Verdict } from './verdict.ts';

/** One case, measured once. */
export interface Sample {
  /** Mbit/s from h1 to h2, and back. */
  readonly there: number;
  readonly back: number;
  /** Of the gateway that seals the data, and of the one that opens it; not both ways at once. */
  readonly sealing?: PacketCost;
  readonly opening?: PacketCost;
}

/** For each full-size packet: a TCP segment of data as the sending host counts them. */
export interface PacketCost {
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  readonly contextSwitches: number;
}

export interface ThroughputReport extends Plan {
  readonly question: string;
  readonly family: string;
  readonly cipher: string;
  readonly tables: readonly ThroughputTable[];
  readonly absent: readonly Absent[];
  readonly verdicts: readonly Verdict[];
}

/** One mode, one number of streams. */
export interface ThroughputTable {
  readonly mode: Offloads;
  readonly streams: number;
  readonly rows: readonly ThroughputRow[];
}

export interface ThroughputRow {
  readonly name: CaseName;
  readonly title: string;
  readonly mbitPerSecondThere: Spread | undefined;
  readonly mbitPerSecondBack: Spread | undefined;
  /** Of the sum of both ways, round by round. */
  readonly ratioToPlain: Spread | undefined;
  readonly ratioToStrongSwan: Spread | undefined;
  /** Sum of both ways at once. */
  readonly mbitPerSecondBothWays: Spread | undefined;
  readonly sealing: CostSpread | undefined;
  readonly opening: CostSpread | undefined;
}

export interface CostSpread {
  readonly microseconds: Spread;
  readonly userMicroseconds: Spread;
  readonly systemMicroseconds: Spread;
  readonly contextSwitches: Spread;
}

export interface Measured extends Plan {
  readonly family: string;
  readonly cipher: string;
  readonly absent: readonly Absent[];
}

/** Samples that may be compared with one another have this in common. */
export function sampleKey(step: Omit<Step, 'round'>): string {
  return `${step.mode} ${step.streams} ${step.bothWays} ${step.name}`;
}

export function throughputReport(measured: Measured, samples: Collected<Sample>): ThroughputReport {
  const { rounds, sideRounds, seconds, modes, streams, cases, family, cipher, absent } = measured;
  const tables = modes.flatMap((mode) =>
    streams.map((count) => ({
      ...{ mode, streams: count },
      rows: cases.map((name) => row(samples, { mode, streams: count, name })),
    })),
  );
  return {
    question: 'TCP through a tunnel, and what a packet costs',
    ...{ rounds, sideRounds, seconds, modes, streams, cases, family, cipher },
    ...{ tables, absent, verdicts: verdictsOf(tables) },
  };
}

function row(
  samples: Collected<Sample>,
  which: { readonly mode: Offloads; readonly streams: number; readonly name: CaseName },
): ThroughputRow {
  const { name } = which;
  const eachWay = samples.of(sampleKey({ ...which, bothWays: false }));
  const atOnce = samples.of(sampleKey({ ...which, bothWays: true }));
  const to = (other: CaseName): Spread | undefined => {
    const others = samples.of(sampleKey({ ...which, bothWays: false, name: other }));
    return knownSpread(eachWay.map((one, round) => both(one) / both(others[round])));
  };
  const tunnel = name !== 'plain';
  return {
    ...{ name, title: caseOf(name).title },
    mbitPerSecondThere: knownSpread(eachWay.map(({ there }) => there)),
    mbitPerSecondBack: knownSpread(eachWay.map(({ back }) => back)),
    ratioToPlain: to('plain'),
    ratioToStrongSwan: to('strongswan'),
    mbitPerSecondBothWays: knownSpread(atOnce.map(both)),
    sealing: costSpread(eachWay.flatMap(({ sealing }) => (tunnel && sealing) || [])),
    opening: costSpread(eachWay.flatMap(({ opening }) => (tunnel && opening) || [])),
  };
}

function both(sample: Sample | undefined): number {
  return sample === undefined ? Number.NaN : sample.there + sample.back;
}

function costSpread(costs: readonly PacketCost[]): CostSpread | undefined {
  if (costs.length === 0) return undefined;
  return {
    microseconds: spread(costs.map((cost) => cost.userMicroseconds + cost.systemMicroseconds)),
    userMicroseconds: spread(costs.map((cost) => cost.userMicroseconds)),
    systemMicroseconds: spread(costs.map((cost) => cost.systemMicroseconds)),
    contextSwitches: spread(costs.map((cost) => cost.contextSwitches)),
  };
}

/** One stream each way, and what a full-size packet costs the dearer of the two gateways. */
function verdictsOf(tables: readonly ThroughputTable[]): readonly Verdict[] {
  const find = (mode: Offloads, ...names: readonly CaseName[]): ThroughputRow | undefined => {
    const rows = tables.find((table) => table.mode === mode && table.streams === 1)?.rows ?? [];
    return names
      .flatMap((name) => rows.find((one) => one.name === name) ?? [])
      .find(({ mbitPerSecondThere }) => mbitPerSecondThere !== undefined);
  };
  const times = (mode: Offloads, least: number, aim: string, ...names: readonly CaseName[]) => {
    const found = find(mode, ...names);
    const title = found?.title ?? caseOf(names[0] ?? 'tsgw').title;
    const limit = `${mode}, ${title}: at least ${least} times strongSwan (${aim})`;
    return atLeast(limit, least, found?.ratioToStrongSwan?.median);
  };
  const own = find('on', 'tsgw');
  const costs = [own?.sealing, own?.opening].flatMap((cost) => cost?.microseconds.median ?? []);
  return [
    times('on', LEAST_ON_EVP, 'aim 20', 'tsgw-evp', 'tsgw'),
    times('on', LEAST_ON_IPSEC_MB, 'aim 20', 'tsgw-ipsec-mb'),
    times('wire', LEAST_WIRE, 'aim 8', 'tsgw'),
    times('off', LEAST_OFF, 'aim 5', 'tsgw'),
    atMost(
      `on, tsgw: at most ${MOST_MICROSECONDS} us of CPU for a full-size packet at either gateway`,
      MOST_MICROSECONDS,
      costs.length === 0 ? undefined : Math.max(...costs),
    ),
  ];
}

/** Times strongSwan's libipsec, one TCP stream. */
const LEAST_ON_EVP = 8;
const LEAST_ON_IPSEC_MB = 12;
const LEAST_WIRE = 5;
const LEAST_OFF = 3;
const MOST_MICROSECONDS = 1.5;
