/**
 * What a cluster of tsgw must keep when a node fails, and whether what was measured keeps it.
 */
import type { FailoverRun, ReplayRun } from './failover-report.ts';
import { quantile } from './statistics.ts';
import { atMost, type Verdict } from './verdict.ts';

/** From the last packet before a crash to the first one after it. */
const MOST_GAP_MS = 400;
/** On their way when the node died, or while senders caught up with their rate. */
const UNDER_WAY = 40;
/**
 * What may be delivered twice after a crash: where all nodes see all packets, one less than samples are
 * apart; else what came since the last digest, 100 ms ago and on its way for a little.
 */
const MOST_REPLAYED_SAMPLED = 63;
const DIGEST_SECONDS = 0.12;
/** What `strict` gives up for not delivering anything twice: twice the distance of samples. */
const STRICT_PRICE = 128;

/** Of clusters of tsgw alone: what others keep is theirs. */
export function failoverVerdicts(
  measured: readonly FailoverRun[],
  replays: readonly ReplayRun[],
  perSecond: number,
): readonly Verdict[] {
  const names = new Set([...measured, ...replays].map(({ cluster }) => cluster));
  return [...names]
    .filter((name) => name.startsWith('tsgw'))
    .flatMap((name) => [
      ...ofRuns(
        name,
        measured.filter(({ cluster }) => cluster === name),
        perSecond,
      ),
      ...replays
        .filter(({ cluster }) => cluster === name)
        .map((replayed) => ofReplay(replayed, perSecond)),
    ]);
}

function ofRuns(name: string, runs: readonly FailoverRun[], perSecond: number): readonly Verdict[] {
  const of = (fault: FailoverRun['fault']) => runs.filter((run) => run.fault === fault);
  const most = (some: readonly FailoverRun[], value: (run: FailoverRun) => number) =>
    some.length === 0 ? undefined : Math.max(...some.map(value));
  const lost = ({ there, back }: FailoverRun) => there.lost + back.lost;
  const crashes = of('crash');
  const gaps = crashes.map(({ there, back }) =>
    Math.max(there.gapMilliseconds, back.gapMilliseconds),
  );
  const p99 = gaps.length === 0 ? undefined : quantile(gaps, 0.99);
  const beyond = most(crashes, (run) => beyondGap(run, perSecond));
  const price = name.includes('strict') ? STRICT_PRICE : 0;
  const verdicts = [
    atMost(`gap of a crash, p99, at most ${MOST_GAP_MS} ms`, MOST_GAP_MS, p99),
    atMost('lost at a crash beyond what the gap holds', UNDER_WAY + price, beyond),
    atMost('lost at a planned move: 0', 0, most(of('move'), lost)),
    atMost(
      'replaced when a node comes back: 0',
      0,
      most(of('rejoin'), (run) => run.rekeyed),
    ),
    atMost(
      'numbers twice on the wire: 0',
      0,
      most(runs, ({ repeats }) => repeats.sequences),
    ),
    atMost(
      'IVs twice under a key: 0',
      0,
      most(runs, ({ repeats }) => repeats.ivs),
    ),
    atMost('faults after which IKE was not answered: 0', 0, unanswered(runs)),
  ];
  return verdicts.map((verdict) => ({ ...verdict, limit: `${name}: ${verdict.limit}` }));
}

function unanswered(runs: readonly FailoverRun[]): number | undefined {
  return runs.length === 0 ? undefined : runs.filter(({ answers }) => !answers).length;
}

/** Of either direction. */
function beyondGap({ there, back }: FailoverRun, perSecond: number): number {
  const beyond = [there, back].map(
    ({ lost, gapMilliseconds }) => lost - (gapMilliseconds * perSecond) / 1000,
  );
  return Math.max(0, ...beyond);
}

function ofReplay({ cluster, delivered }: ReplayRun, perSecond: number): Verdict {
  const bound = cluster.includes('active-active')
    ? Math.min(MOST_REPLAYED_SAMPLED, perSecond * DIGEST_SECONDS)
    : perSecond * DIGEST_SECONDS;
  const most = cluster.includes('strict') ? 0 : bound;
  return atMost(`${cluster}: delivered again after a crash: ${most} at most`, most, delivered);
}
