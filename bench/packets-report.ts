/**
 * The report of `packets`: spreads and ratios of what was measured, its limits, and its table.
 */
import { type CaseName, caseOf } from './cases.ts';
import type { Absent } from './stand.ts';
import { knownSpread, type Spread, spread } from './statistics.ts';
import { absentLines, aligned, spreadCell } from './table.ts';
import type { Collected } from './turns.ts';
import { atLeast, type Verdict, verdictLines } from './verdict.ts';

/** One case and size, measured once; packets a second. */
export interface PacketsSample {
  /** What the sender managed without limit. */
  readonly offered: number;
  readonly arrived: number;
  /** The highest rate with at most 1 % loss; 0 where every try lost more. */
  readonly keptRate: number;
  /** Of a gateway for each packet, at that rate; nothing where there is none. */
  readonly cpuMicroseconds: number | undefined;
}

export interface PacketsTerms {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizes: readonly number[];
  readonly offloads: string;
  readonly family: string;
  readonly cipher: string;
  readonly cases: readonly CaseName[];
  readonly absent: readonly Absent[];
}

export interface PacketsReport extends PacketsTerms {
  readonly question: string;
  readonly rows: readonly PacketsRow[];
  readonly verdicts: readonly Verdict[];
}

export interface PacketsRow {
  readonly octets: number;
  readonly name: CaseName;
  readonly offered: Spread;
  readonly arrived: Spread;
  /** Of what arrived of a flood, round by round. */
  readonly arrivedToPlain: Spread | undefined;
  readonly arrivedToStrongSwan: Spread | undefined;
  readonly keptRate: Spread;
  readonly keptRateToStrongSwan: Spread | undefined;
  readonly cpuMicroseconds: Spread | undefined;
}

export function packetsKey(octets: number, name: CaseName): string {
  return `${octets} ${name}`;
}

export function packetsReport(
  terms: PacketsTerms,
  samples: Collected<PacketsSample>,
): PacketsReport {
  const { rounds, seconds, sizes, offloads, family, cipher, cases, absent } = terms;
  const rows = sizes.flatMap((octets) => cases.map((name) => row(samples, octets, name)));
  return {
    question: 'UDP packets a second through a tunnel',
    ...{ rounds, seconds, sizes, offloads, family, cipher, cases, absent, rows },
    verdicts: verdictsOf(rows),
  };
}

export function packetsTable(report: PacketsReport): string {
  const { question, family, cipher, offloads, rounds, seconds, sizes, rows, absent } = report;
  return [
    `${question}: ${family}, ${cipher}, offloads ${offloads}; median [least-most] of ${rounds} ` +
      `interleaved rounds of ${seconds} s`,
    ...sizes.flatMap((octets) => [
      '',
      ...aligned([
        [
          ...[`${octets} octets`, 'offered k/s', 'arrived k/s', 'to plain', 'to strongSwan'],
          ...['at most 1 % loss k/s', 'to strongSwan', 'CPU us/packet'],
        ],
        ...rows.filter((one) => one.octets === octets).map(cells),
      ]),
    ]),
    ...absentLines(absent),
    '',
    'Octets are those of the IP packet. Offered: what the sender alone managed, on a core of its own.',
    'CPU: mean of both gateways, all threads, for each packet, at the rate with at most 1 % loss.',
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function row(samples: Collected<PacketsSample>, octets: number, name: CaseName): PacketsRow {
  const own = samples.of(packetsKey(octets, name));
  const to = (other: CaseName, rate: (sample: PacketsSample) => number): Spread | undefined => {
    const others = samples.of(packetsKey(octets, other));
    return knownSpread(own.map((one, round) => rate(one) / rate(others[round] ?? NOTHING)));
  };
  return {
    ...{ octets, name },
    offered: spread(own.map(({ offered }) => offered)),
    arrived: spread(own.map(({ arrived }) => arrived)),
    arrivedToPlain: to('plain', ({ arrived }) => arrived),
    arrivedToStrongSwan: to('strongswan', ({ arrived }) => arrived),
    keptRate: spread(own.map(({ keptRate }) => keptRate)),
    keptRateToStrongSwan: to('strongswan', ({ keptRate }) => keptRate),
    cpuMicroseconds:
      name === 'plain' ? undefined : knownSpread(own.flatMap((one) => one.cpuMicroseconds ?? [])),
  };
}

function cells(one: PacketsRow): readonly string[] {
  return [
    caseOf(one.name).title,
    spreadCell(thousandth(one.offered), 0),
    spreadCell(thousandth(one.arrived), 0),
    spreadCell(one.arrivedToPlain, 2),
    spreadCell(one.arrivedToStrongSwan, 2),
    spreadCell(thousandth(one.keptRate), 0),
    spreadCell(one.keptRateToStrongSwan, 2),
    spreadCell(one.cpuMicroseconds, 2),
  ];
}

function thousandth({ median, least, most }: Spread): Spread {
  return { median: median / 1000, least: least / 1000, most: most / 1000 };
}

function verdictsOf(rows: readonly PacketsRow[]): readonly Verdict[] {
  const own = rows.find(({ octets, name }) => octets === SMALL && name === 'tsgw');
  const flooded = `${SMALL} octets without limit, tsgw: at least`;
  return [
    atLeast(
      `${flooded} ${LEAST_ARRIVED} times what arrives through strongSwan`,
      ...([LEAST_ARRIVED, own?.arrivedToStrongSwan?.median] as const),
    ),
    atLeast(
      `${flooded} ${LEAST_TO_PLAIN} of what arrives through plain routing`,
      ...([LEAST_TO_PLAIN, own?.arrivedToPlain?.median] as const),
    ),
    atLeast(
      `${SMALL} octets with at most 1 % loss, tsgw: at least ${LEAST_KEPT} times strongSwan's rate`,
      ...([LEAST_KEPT, own?.keptRateToStrongSwan?.median] as const),
    ),
  ];
}

const NOTHING: PacketsSample = {
  ...{ offered: Number.NaN, arrived: Number.NaN, keptRate: Number.NaN, cpuMicroseconds: undefined },
};
const SMALL = 64;
const LEAST_ARRIVED = 5;
const LEAST_TO_PLAIN = 0.4;
const LEAST_KEPT = 2;
