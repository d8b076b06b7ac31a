/**
 * The question about faults in a cluster, with its options.
 */
import { FAULTS } from '../lab/failover-cluster.ts';
import { type failoverClusters, measureFailover } from './failover.ts';
import { failoverTable } from './failover-report.ts';
import { oneOf, type Question, someOf, whole } from './question.ts';
import { measureTakeOvers } from './take-overs.ts';
import { takeOversTable } from './take-overs-report.ts';
import { noneMissed } from './verdict.ts';

const clusters = [
  'charon-ha',
  'tsgw-active-passive',
  'tsgw-active-active',
  'tsgw-forward',
  'tsgw-strict',
] as const satisfies readonly (keyof typeof failoverClusters)[];
const ownClusters = clusters.filter((name) => name !== 'charon-ha');

export const failoverQuestions: Readonly<Record<string, Question>> = {
  failover: {
    summary: 'what a client sees of a fault in a cluster: gaps, losses, replays, rekeyings',
    help: `a client and a host behind a cluster, numbered packets each way, --rate a second, for --before seconds;
then a fault in the node that serves: ${FAULTS.join(', ')}.
With the fault crash, old packets are sent again to the node that took over, too.
--clusters: ${clusters.join(', ')};
strongSwan's has a manager of the lab's for its addresses, and each fault has one of its own.
About 20 seconds a fault. Ends 1 where a limit is missed.`,
    example: '--faults crash,move --runs 3',
    options: {
      ...{ runs: '1', rate: '1000', before: '5' },
      ...{ clusters: clusters.join(','), faults: FAULTS.join(',') },
    },
    async ask(values, progress) {
      const report = await measureFailover({
        clusters: someOf(values, 'clusters', clusters),
        faults: someOf(values, 'faults', FAULTS),
        runs: whole(values, 'runs'),
        perSecond: whole(values, 'rate'),
        secondsBefore: whole(values, 'before'),
        progress,
      });
      const kept = noneMissed(report.verdicts) && report.failed.length === 0;
      return { report, table: failoverTable(report), kept };
    },
  },
  'take-overs': {
    summary: 'one take-over after the other in one cluster: do the SAs of a client survive',
    help: `one cluster of tsgw, one strongSwan client, and --count faults one after the other in whatever node serves:
crash (SIGKILL; the node is started again), stop (SIGSTOP for a second) or move (drained, by plan).
Numbered packets each way all the while; told are the gaps, what was lost, and how often the client still
had the IKE SA and the Child SA it began with. --cluster: ${ownClusters.join(', ')}.
About 8 seconds each. Ends 1 where a limit is missed.`,
    example: '--count 10 --by move',
    options: { count: '100', by: 'crash', cluster: 'tsgw-active-passive', rate: '1000' },
    async ask(values, progress) {
      const report = await measureTakeOvers({
        cluster: oneOf(values, 'cluster', ownClusters),
        by: oneOf(values, 'by', ['crash', 'stop', 'move']),
        count: whole(values, 'count'),
        perSecond: whole(values, 'rate'),
        progress,
      });
      return { report, table: takeOversTable(report), kept: noneMissed(report.verdicts) };
    },
  },
};
