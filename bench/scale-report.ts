/**
 * The report of `scale`: rates with many SAs to those with one, its limits, and its table.
 */
import { knownSpread, type Spread, spread } from './statistics.ts';
import { aligned, spreadCell } from './table.ts';
import type { Collected } from './turns.ts';
import { atLeast, type Verdict, verdictLines } from './verdict.ts';

/** One number of SAs, measured once. */
export interface ScaleSample {
  /** Mbit/s of one TCP stream from h1 to h2, and back. */
  readonly there: number;
  readonly back: number;
  /** Small packets a second that arrive when offered without limit. */
  readonly arrived: number;
}

export interface ScaleTerms {
  readonly rounds: number;
  readonly seconds: number;
  readonly standing: readonly number[];
  readonly offloads: string;
  readonly cipher: string;
}

export interface ScaleReport extends ScaleTerms {
  readonly question: string;
  readonly rows: readonly ScaleRow[];
  readonly verdicts: readonly Verdict[];
}

export interface ScaleRow {
  readonly standing: number;
  readonly mbitPerSecondThere: Spread;
  readonly mbitPerSecondBack: Spread;
  readonly arrived: Spread;
  /** To the first number of SAs, round by round: of the sum of both ways, and of packets. */
  readonly throughputRatio: Spread | undefined;
  readonly packetsRatio: Spread | undefined;
}

export function scaleReport(terms: ScaleTerms, samples: Collected<ScaleSample>): ScaleReport {
  const { rounds, seconds, standing, offloads, cipher } = terms;
  const first = samples.of(String(standing[0]));
  const rows = standing.map((count) => row(count, samples.of(String(count)), first));
  return {
    question: 'a tunnel beside many SAs, tsgw to tsgw',
    ...{ rounds, seconds, standing, offloads, cipher, rows },
    verdicts: rows.slice(1).flatMap((one) => verdictsOf(one, standing[0] ?? 1)),
  };
}

export function scaleTable(report: ScaleReport): string {
  const { question, cipher, offloads, rounds, seconds, standing, rows } = report;
  const first = `to ${standing[0]} SA`;
  return [
    `${question}: ${cipher}, offloads ${offloads}; median [least-most] of ${rounds} interleaved ` +
      `rounds of ${seconds} s`,
    '',
    ...aligned([
      ['SAs', 'h1 -> h2 Mbit/s', 'h2 -> h1 Mbit/s', first, '64 octets arrived/s', first],
      ...rows.map((one) => [
        String(one.standing),
        spreadCell(one.mbitPerSecondThere, 0),
        spreadCell(one.mbitPerSecondBack, 0),
        spreadCell(one.throughputRatio, 2),
        spreadCell(one.arrived, 0),
        spreadCell(one.packetsRatio, 2),
      ]),
    ]),
    '',
    'SAs: Child SAs at each gateway, each of an IKE SA of its own; one carries the traffic.',
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function row(
  standing: number,
  own: readonly ScaleSample[],
  first: readonly ScaleSample[],
): ScaleRow {
  const to = (rate: (sample: ScaleSample) => number): Spread | undefined =>
    knownSpread(
      own.map((sample, round) => {
        const other = first[round];
        return other === undefined ? Number.NaN : rate(sample) / rate(other);
      }),
    );
  return {
    standing,
    mbitPerSecondThere: spread(own.map(({ there }) => there)),
    mbitPerSecondBack: spread(own.map(({ back }) => back)),
    arrived: spread(own.map(({ arrived }) => arrived)),
    throughputRatio: to(({ there, back }) => there + back),
    packetsRatio: to(({ arrived }) => arrived),
  };
}

function verdictsOf(one: ScaleRow, first: number): readonly Verdict[] {
  const limit = (what: string): string =>
    `${one.standing} SAs: at least ${LEAST_RATIO} of the ${what} with ${first}`;
  return [
    atLeast(limit('throughput'), LEAST_RATIO, one.throughputRatio?.median),
    atLeast(limit('packets'), LEAST_RATIO, one.packetsRatio?.median),
  ];
}

const LEAST_RATIO = 0.9;
