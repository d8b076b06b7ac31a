/**
 * Do a client's SAs survive one take-over after the other?
 *
 * One cluster, one client, and as many faults as wanted in whatever node serves the client; between two of
 * them the cluster is made whole again. The client is never told to do anything.
 */
import { sleep } from '../lab/command.ts';
import type { FailoverCluster, Fault } from '../lab/failover-cluster.ts';
import { TsgwFailover } from '../lab/tsgw-failover.ts';
import type { FailoverClusterName } from './failover.ts';
import { tsgwClusters } from './failover.ts';
import { flowsAgain, startStream } from './failover-traffic.ts';
import { type TakeOver, type TakeOversReport, takeOversReport } from './take-overs-report.ts';

export interface TakeOversOptions {
  readonly cluster: Exclude<FailoverClusterName, 'charon-ha'>;
  readonly by: 'crash' | 'stop' | 'move';
  readonly count: number;
  /** Packets a second, each way. */
  readonly perSecond: number;
  readonly progress: (line: string) => void;
}

const BEFORE_MS = 500;
const QUIET_SECONDS = 0.5;
const STOPPED_MS = 1000;

export async function measureTakeOvers(options: TakeOversOptions): Promise<TakeOversReport> {
  const { count, progress } = options;
  const cluster = await TsgwFailover.start(tsgwClusters[options.cluster]);
  const takeOvers: TakeOver[] = [];
  try {
    const first = { spis: await cluster.ikeSpis(), rekeyed: await cluster.rekeyed() };
    for (let number = 1; number <= count; number++) {
      const one = await takeOver(cluster, options);
      const isSame = (await cluster.ikeSpis()) === first.spis && first.spis !== '';
      takeOvers.push({ ...one, survived: isSame });
      const kept = isSame ? 'the same IKE SA' : 'ANOTHER IKE SA';
      progress(`${number} of ${count}: gap ${one.gapMilliseconds} ms, lost ${one.lost}, ${kept}`);
    }
    const rekeyed = (await cluster.rekeyed()) - first.rekeyed;
    return takeOversReport(options, takeOvers, rekeyed);
  } catch (error) {
    const said = cluster.cluster.said();
    throw new Error(
      `take-over ${takeOvers.length + 1}: ${error instanceof Error ? error.message : error}\n${said}`,
    );
  } finally {
    await cluster.destroy();
  }
}

async function takeOver(
  cluster: TsgwFailover,
  { by, perSecond }: TakeOversOptions,
): Promise<Omit<TakeOver, 'survived'>> {
  await cluster.prepare(by);
  const stream = await startStream(cluster, perSecond);
  await sleep(BEFORE_MS);
  await strike(cluster, by);
  await flowsAgain(cluster, QUIET_SECONDS, 0);
  // What it costs that the node comes back is part of the matter.
  await cluster.recover();
  const { there, back } = await stream.stop();
  return {
    gapMilliseconds: Math.max(there.longestSilenceMilliseconds, back.longestSilenceMilliseconds),
    lost: Math.max(there.lost, back.lost),
    duplicated: there.duplicated + back.duplicated,
  };
}

function strike(cluster: FailoverCluster & TsgwFailover, fault: Fault): Promise<void> {
  return fault === 'stop' ? cluster.stopFor(STOPPED_MS) : cluster.happen(fault);
}
