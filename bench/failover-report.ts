/**
 * The report of `failover`: medians and the worst of all runs of a fault, and its table.
 */
import type { Fault } from '../lab/failover-cluster.ts';
import { failoverVerdicts } from './failover-verdicts.ts';
import type { WireRepeats } from './failover-wire.ts';
import { quantile, type Spread, spread } from './statistics.ts';
import { aligned } from './table.ts';
import { type Verdict, verdictLines } from './verdict.ts';

export interface FailoverDirection {
  readonly gapMilliseconds: number;
  readonly lost: number;
  /** Delivered more than once. */
  readonly duplicated: number;
}

export interface FailoverRun {
  readonly cluster: string;
  readonly fault: Fault;
  /** From the client to the host. */
  readonly there: FailoverDirection;
  readonly back: FailoverDirection;
  /** From the fault until the cluster had done what it does about it. */
  readonly handledMilliseconds: number;
  readonly rekeyed: number;
  /** Of what the gateway sent. */
  readonly repeats: WireRepeats;
  /** The client's IKE was answered afterwards. */
  readonly answers: boolean;
}

/** What the client saw of it, one way or the other. */
export function longestGap({ there, back }: FailoverRun): number {
  return Math.max(there.gapMilliseconds, back.gapMilliseconds);
}

/** Packets of before a crash, sent again to the node that took over. */
export interface ReplayRun {
  readonly cluster: string;
  readonly sent: number;
  readonly delivered: number;
}

export interface FailoverTerms {
  readonly runs: number;
  readonly perSecond: number;
  readonly secondsBefore: number;
}

export interface FailoverRow {
  readonly cluster: string;
  readonly fault: Fault;
  readonly gapThere: Spread;
  readonly gapBack: Spread;
  /** Of the longer one of each run. */
  readonly gapP99: number;
  readonly lostThere: Spread;
  readonly lostBack: Spread;
  readonly handled: Spread;
  readonly rekeyed: Spread;
  /** The most of one run. */
  readonly repeatedSequences: number;
  readonly repeatedIvs: number;
  readonly duplicated: number;
  /** Runs after which the client's IKE was not answered. */
  readonly unanswered: number;
}

export interface FailoverReport extends FailoverTerms {
  readonly question: string;
  readonly rows: readonly FailoverRow[];
  readonly replays: readonly ReplayRun[];
  readonly verdicts: readonly Verdict[];
  /** What could not be measured, and why. */
  readonly failed: readonly string[];
  readonly measured: readonly FailoverRun[];
}

export function failoverReport(
  { runs, perSecond, secondsBefore }: FailoverTerms,
  measured: readonly FailoverRun[],
  replays: readonly ReplayRun[],
  failed: readonly string[] = [],
): FailoverReport {
  const kinds = new Map(measured.map((run) => [`${run.cluster} ${run.fault}`, run]));
  const rows = [...kinds.values()].map(({ cluster, fault }) =>
    rowOf(measured.filter((run) => run.cluster === cluster && run.fault === fault)),
  );
  const question = 'what a client sees of a fault in a cluster';
  const verdicts = failoverVerdicts(measured, replays, perSecond);
  return { question, runs, perSecond, secondsBefore, rows, replays, verdicts, failed, measured };
}

export function failoverTable(report: FailoverReport): string {
  const { runs, perSecond, secondsBefore } = report;
  const head = [
    ...['cluster', 'fault', 'gap ms ->', 'gap ms <-', 'p99', 'lost ->', 'lost <-', 'handled ms'],
    ...['rekeys', 'numbers twice', 'IVs twice', 'delivered twice', 'no IKE answer'],
  ];
  const rows = report.rows.map((row) => [
    ...[row.cluster, row.fault],
    ...[row.gapThere, row.gapBack].map(cell),
    String(Math.round(row.gapP99)),
    ...[row.lostThere, row.lostBack, row.handled, row.rekeyed].map(cell),
    ...[row.repeatedSequences, row.repeatedIvs, row.duplicated].map(String),
    `${row.unanswered} of ${runs}`,
  ]);
  const replays = report.replays.map(
    ({ cluster, sent, delivered }) =>
      `${cluster}: ${delivered} of ${sent} old packets were delivered again after a crash`,
  );
  return [
    `A client and a host behind a cluster, ${perSecond} packets a second each way (-> from the client),`,
    `${secondsBefore} s of them before the fault; ${runs} runs, median [least-most]`,
    '',
    ...aligned([head, ...rows]),
    ...paragraph(replays),
    ...paragraph(verdictLines(report.verdicts)),
    ...paragraph(report.failed.map((what) => `not measured: ${what.split('\n')[0]}`)),
  ].join('\n');
}

function paragraph(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}

function rowOf(runs: readonly FailoverRun[]): FailoverRow {
  const [first] = runs;
  if (first === undefined) throw new RangeError('a row of no runs');
  const of = (value: (run: FailoverRun) => number) => spread(runs.map(value));
  const most = (value: (run: FailoverRun) => number) => Math.max(...runs.map(value));
  return {
    ...{ cluster: first.cluster, fault: first.fault },
    gapThere: of(({ there }) => there.gapMilliseconds),
    gapBack: of(({ back }) => back.gapMilliseconds),
    gapP99: quantile(runs.map(longestGap), 0.99),
    lostThere: of(({ there }) => there.lost),
    lostBack: of(({ back }) => back.lost),
    handled: of(({ handledMilliseconds }) => handledMilliseconds),
    rekeyed: of(({ rekeyed }) => rekeyed),
    repeatedSequences: most(({ repeats }) => repeats.sequences),
    repeatedIvs: most(({ repeats }) => repeats.ivs),
    duplicated: most(({ there, back }) => there.duplicated + back.duplicated),
    unanswered: runs.filter(({ answers }) => !answers).length,
  };
}

/** One number where all are the same. */
function cell({ median, least, most }: Spread): string {
  if (least === most) return String(median);
  return `${Math.round(median)} [${least}-${most}]`;
}
