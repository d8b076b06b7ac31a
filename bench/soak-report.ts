/**
 * The report of `soak`: rate and memory of the first minutes beside those of the last, and its table.
 */
import { quantile } from './statistics.ts';
import { aligned } from './table.ts';
import { atLeast, atMost, type Verdict, verdictLines } from './verdict.ts';

export interface SoakMinute {
  /** Sum of both ways. */
  readonly mbitPerSecond: number;
  /** Of either gateway. */
  readonly residentOctets: readonly number[];
  /** CPU time to time, of either gateway. */
  readonly cpuShare: readonly number[];
  /** Since the start. */
  readonly childSasReplaced: number;
  readonly ikeSasReplaced: number;
}

export interface SoakTerms {
  readonly minutes: number;
  readonly rekeySeconds: number;
  readonly offloads: string;
  readonly cipher: string;
}

export interface SoakReport extends SoakTerms {
  readonly question: string;
  readonly measured: readonly SoakMinute[];
  readonly start: SoakEnd;
  readonly end: SoakEnd;
  readonly verdicts: readonly Verdict[];
}

/** Medians of the first or last third of the minutes. */
export interface SoakEnd {
  readonly mbitPerSecond: number;
  /** Of the gateway that has more. */
  readonly residentOctets: number;
}

export function soakReport(terms: SoakTerms, measured: readonly SoakMinute[]): SoakReport {
  const { minutes, rekeySeconds, offloads, cipher } = terms;
  const third = Math.max(1, Math.floor(measured.length / 3));
  const [start, end] = [endOf(measured.slice(0, third)), endOf(measured.slice(-third))];
  const replaced = measured.at(-1)?.childSasReplaced ?? 0;
  return {
    question: 'traffic both ways for long, with rekeyings, tsgw to tsgw',
    ...{ minutes, rekeySeconds, offloads, cipher, measured, start, end },
    verdicts: [
      atLeast(
        `rate at the end: at least ${LEAST_RATE} of the start's`,
        ...([LEAST_RATE, end.mbitPerSecond / start.mbitPerSecond] as const),
      ),
      atMost(
        `memory at the end: at most ${MOST_MEMORY} of the start's`,
        ...([MOST_MEMORY, end.residentOctets / start.residentOctets] as const),
      ),
      atLeast('Child SAs that were replaced: at least 1', 1, replaced),
    ],
  };
}

export function soakTable(report: SoakReport): string {
  const { question, minutes, rekeySeconds, offloads, cipher, start, end } = report;
  const last = report.measured.at(-1);
  return [
    `${question}: ${cipher}, offloads ${offloads}; ${minutes} minutes, Child SAs rekeyed after ` +
      `${rekeySeconds} s`,
    '',
    ...aligned([
      ['', 'Mbit/s, sum', 'memory MiB'],
      ...([['first third', start] as const, ['last third', end] as const] as const).map(
        ([name, { mbitPerSecond, residentOctets }]) => [
          name,
          mbitPerSecond.toFixed(0),
          (residentOctets / 2 ** 20).toFixed(0),
        ],
      ),
    ]),
    '',
    `Medians; memory of the gateway that has more. ${last?.childSasReplaced ?? 0} Child SAs and ` +
      `${last?.ikeSasReplaced ?? 0} IKE SAs were replaced.`,
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function endOf(minutes: readonly SoakMinute[]): SoakEnd {
  return {
    mbitPerSecond: quantile(
      minutes.map(({ mbitPerSecond }) => mbitPerSecond),
      0.5,
    ),
    residentOctets: quantile(
      minutes.map(({ residentOctets }) => Math.max(...residentOctets)),
      0.5,
    ),
  };
}

/** The machine itself is not equally fast all the time. */
const LEAST_RATE = 0.8;
/** A heap that is never idle breathes; one that leaks grows by more. */
const MOST_MEMORY = 1.25;
