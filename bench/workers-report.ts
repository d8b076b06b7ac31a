/**
 * The report of `workers`: rates with several workers to those with one, how the SAs were split, its
 * limits, and its table.
 */
import { knownSpread, type Spread, spread } from './statistics.ts';
import { aligned, spreadCell } from './table.ts';
import type { Collected } from './turns.ts';
import { atLeast, type Verdict, verdictLines } from './verdict.ts';

/** One number of workers, measured once. */
export interface WorkersSample {
  /** Mbit/s of one TCP stream, the sum of both ways, one after the other. */
  readonly oneSa: number;
  /** Mbit/s of a stream in each of several SAs at once. */
  readonly severalSas: number;
  /** Small packets a second of one flow that arrive when offered without limit. */
  readonly arrived: number;
}

/** A worker of `tsgw status --json`. */
export interface WorkerWork {
  readonly worker: string;
  readonly 'child-sas': number;
  readonly 'packets-in': number;
  readonly 'packets-out': number;
  readonly 'handed-over': number;
  readonly 'taken-over': number;
}

export interface WorkersTerms {
  readonly rounds: number;
  readonly seconds: number;
  readonly workers: readonly number[];
  readonly sas: number;
  readonly offloads: string;
  readonly cipher: string;
}

export interface WorkersReport extends WorkersTerms {
  readonly question: string;
  readonly rows: readonly WorkersRow[];
  readonly verdicts: readonly Verdict[];
}

export interface WorkersRow {
  readonly workers: number;
  readonly oneSa: Spread;
  readonly severalSas: Spread;
  readonly arrived: Spread;
  /** To the first number of workers, round by round. */
  readonly oneSaRatio: Spread | undefined;
  readonly severalSasRatio: Spread | undefined;
  readonly arrivedRatio: Spread | undefined;
  /** Of one gateway, since it started. */
  readonly work: readonly WorkerWork[];
}

export function workersReport(
  terms: WorkersTerms,
  samples: Collected<WorkersSample>,
  work: ReadonlyMap<number, readonly WorkerWork[]>,
): WorkersReport {
  const { rounds, seconds, workers, sas, offloads, cipher } = terms;
  const first = samples.of(String(workers[0]));
  const rows = workers.map((count) => ({
    ...row(count, samples.of(String(count)), first),
    work: work.get(count) ?? [],
  }));
  return {
    question: 'a gateway with more workers, tsgw to tsgw',
    ...{ rounds, seconds, workers, sas, offloads, cipher, rows },
    verdicts: rows.slice(1).flatMap((one) => verdictsOf(one, workers[0] ?? 1)),
  };
}

export function workersTable(report: WorkersReport): string {
  const { question, cipher, offloads, rounds, seconds, workers, sas, rows } = report;
  const first = `to ${workers[0]}`;
  return [
    `${question}: ${cipher}, offloads ${offloads}; median [least-most] of ${rounds} interleaved ` +
      `rounds of ${seconds} s`,
    '',
    ...aligned([
      ['workers', 'one SA Mbit/s', first, `${sas} SAs Mbit/s`, first, '64 octets arrived/s', first],
      ...rows.map((one) => [
        String(one.workers),
        spreadCell(one.oneSa, 0),
        spreadCell(one.oneSaRatio, 2),
        spreadCell(one.severalSas, 0),
        spreadCell(one.severalSasRatio, 2),
        spreadCell(one.arrived, 0),
        spreadCell(one.arrivedRatio, 2),
      ]),
    ]),
    '',
    'one SA: one TCP stream, the sum of both ways, one after the other.',
    '',
    ...aligned([
      ['workers', 'worker', 'Child SAs', 'packets in', 'packets out', 'handed over', 'taken over'],
      ...rows.flatMap(({ workers: count, work }) =>
        work.map((one) => [
          String(count),
          one.worker,
          String(one['child-sas']),
          String(one['packets-in']),
          String(one['packets-out']),
          String(one['handed-over']),
          String(one['taken-over']),
        ]),
      ),
    ]),
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function row(
  workers: number,
  own: readonly WorkersSample[],
  first: readonly WorkersSample[],
): Omit<WorkersRow, 'work'> {
  const to = (rate: (sample: WorkersSample) => number): Spread | undefined =>
    knownSpread(
      own.map((sample, round) => {
        const other = first[round];
        return other === undefined ? Number.NaN : rate(sample) / rate(other);
      }),
    );
  return {
    workers,
    oneSa: spread(own.map(({ oneSa }) => oneSa)),
    severalSas: spread(own.map(({ severalSas }) => severalSas)),
    arrived: spread(own.map(({ arrived }) => arrived)),
    oneSaRatio: to(({ oneSa }) => oneSa),
    severalSasRatio: to(({ severalSas }) => severalSas),
    arrivedRatio: to(({ arrived }) => arrived),
  };
}

function verdictsOf(one: WorkersRow, first: number): readonly Verdict[] {
  const limit = (what: string): string =>
    `${one.workers} workers: ${what}, at least ${LEAST_RATIO} of that with ${first}`;
  const owners = one.work.filter((worker) => worker['child-sas'] > 0).length;
  return [
    atLeast(limit('one SA'), LEAST_RATIO, one.oneSaRatio?.median),
    atLeast(limit('several SAs'), LEAST_RATIO, one.severalSasRatio?.median),
    atLeast(limit('packets one way'), LEAST_RATIO, one.arrivedRatio?.median),
    atLeast(`${one.workers} workers: so many have SAs, at least 2`, 2, owners),
  ];
}

/** Not slower, but for what one run differs from the next. */
const LEAST_RATIO = 0.95;
