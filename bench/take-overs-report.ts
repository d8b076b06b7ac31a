/**
 * The report of `take-overs`: how many left the client its SAs, and what the client saw of them.
 */
import { quantile } from './statistics.ts';
import { atLeast, atMost, type Verdict, verdictLines } from './verdict.ts';

export interface TakeOver {
  /** The longest silence, one way or the other. */
  readonly gapMilliseconds: number;
  /** Of the way that lost more. */
  readonly lost: number;
  readonly duplicated: number;
  /** The client has the IKE SA it began with. */
  readonly survived: boolean;
}

export interface TakeOversTerms {
  readonly cluster: string;
  readonly by: 'crash' | 'stop' | 'move';
  readonly perSecond: number;
}

export interface TakeOversReport extends TakeOversTerms {
  readonly question: string;
  readonly takeOvers: readonly TakeOver[];
  /** SAs that were replaced in all. */
  readonly rekeyed: number;
  readonly gap: Readonly<Record<'p50' | 'p90' | 'p99' | 'most', number>>;
  readonly verdicts: readonly Verdict[];
}

const MOST_GAP_MS = 400;

export function takeOversReport(
  { cluster, by, perSecond }: TakeOversTerms,
  takeOvers: readonly TakeOver[],
  rekeyed: number,
): TakeOversReport {
  const gaps = takeOvers.map(({ gapMilliseconds }) => gapMilliseconds);
  const of = (share: number) => quantile(gaps, share);
  const gap = { p50: of(0.5), p90: of(0.9), p99: of(0.99), most: of(1) };
  const survived = takeOvers.filter((one) => one.survived).length;
  const share = (100 * survived) / takeOvers.length;
  const lost = Math.max(...takeOvers.map((one) => one.lost));
  const verdicts = [
    atLeast(`${cluster}: the client has its IKE SA, percent`, 100, share),
    atMost(`${cluster}: SAs replaced: 0`, 0, rekeyed),
    by === 'move'
      ? atMost(`${cluster}: lost at a planned move: 0`, 0, lost)
      : atMost(`${cluster}: gap, p99, at most ${MOST_GAP_MS} ms`, MOST_GAP_MS, gap.p99),
  ];
  const question = 'do the SAs of a client survive one take-over after the other';
  return { question, cluster, by, perSecond, takeOvers, rekeyed, gap, verdicts };
}

export function takeOversTable(report: TakeOversReport): string {
  const { cluster, by, perSecond, takeOvers, rekeyed, gap } = report;
  const lost = takeOvers.map((one) => one.lost);
  const twice = takeOvers.reduce((sum, one) => sum + one.duplicated, 0);
  return [
    `${cluster}: ${takeOvers.length} take-overs by ${by}, ${perSecond} packets a second each way`,
    '',
    `gap ms: median ${gap.p50}, p90 ${gap.p90}, p99 ${gap.p99}, most ${gap.most}`,
    `lost: median ${quantile(lost, 0.5)}, most ${Math.max(...lost)}; delivered twice: ${twice}; rekeyed: ${rekeyed}`,
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}
