/**
 * The question about the state that nodes share, with its options.
 */
import { measureClusterSync, SYNC_PARTS } from './cluster-sync.ts';
import { clusterSyncTable } from './cluster-sync-report.ts';
import { type Question, someOf, whole, wholes } from './question.ts';
import { noneMissed } from './verdict.ts';

export const clusterSyncQuestions: Readonly<Record<string, Question>> = {
  'cluster-sync': {
    summary: 'how fast other nodes of a cluster have the state of IKE SAs, and one that starts',
    help: `nodes as processes on loopback; --sas real IKE SAs at the first. --parts: ${SYNC_PARTS.join(', ')}.
udp: clients ask for signs of life at each of --rates and as fast as they are answered, --seconds each; the lag
is from the turn of the engine to the response that waited for another node. Two nodes, then three.
resync: the second node is killed and starts anew: seconds until it has everything, CPU of both.
nats: values of the same size over three servers of this machine. packets: user-space CPU of a packet by whose
its SA is. Ends 1 where a limit is missed; a machine that does other things misses them.`,
    example: '--parts udp,resync --sas 2000 --rates 500',
    options: { sas: '10000', seconds: '3', rates: '500,2000,5000', parts: SYNC_PARTS.join(',') },
    async ask(values, progress) {
      const report = await measureClusterSync({
        sas: whole(values, 'sas'),
        seconds: whole(values, 'seconds'),
        rates: wholes(values, 'rates'),
        parts: someOf(values, 'parts', SYNC_PARTS),
        progress,
      });
      return { report, table: clusterSyncTable(report), kept: noneMissed(report.verdicts) };
    },
  },
};
