/**
 * The question about faults in a cluster, with its options.
 */
import { FAULTS } from '../lab/failover-cluster.ts';
import { type failoverClusters, measureFailover } from './failover.ts';
import { failoverTable } from './failover-report.ts';
import { type Question, someOf, whole } from './question.ts';

const clusters = ['charon-ha'] as const satisfies readonly (keyof typeof failoverClusters)[];

export const failoverQuestions: Readonly<Record<string, Question>> = {
  failover: {
    summary: 'what a client sees of a fault in a cluster: gaps, losses, replays, rekeyings',
    help: `a client and a host behind a cluster, numbered packets each way, --rate a second, for --before seconds;
then a fault in the node that serves: ${FAULTS.join(', ')}.
Each fault has a cluster of its own. With the fault crash, old packets are sent again to the node that
took over, too. --clusters: ${clusters.join(', ')}; strongSwan's has a manager of the lab's for its addresses.
About 20 seconds a fault.`,
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
      return { report, table: failoverTable(report), kept: true };
    },
  },
};
