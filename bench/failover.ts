/**
 * What does a client see of a fault in a cluster?
 *
 *   client ---- node a, node b, ... ---- host      numbered packets each way, steadily
 *
 * Told are the longest silence each way, what was lost, numbers and IVs that came twice on the wire, SAs
 * that were replaced, and whether the client's IKE is answered afterwards. Apart from that: how many packets
 * of before a crash are delivered once more when someone sends them again to the node that took over.
 *
 * A cluster that can be made whole again goes on with the next fault, with the same client and SAs; else
 * each fault has one of its own.
 */

import { readFileSync } from 'node:fs';
import { Capture } from '../lab/capture.ts';
import { CharonFailover } from '../lab/charon-failover.ts';
import type { TsgwClusterSettings } from '../lab/cluster-conf.ts';
import { sleep } from '../lab/command.ts';
import type { FailoverCluster, Fault } from '../lab/failover-cluster.ts';
import { packetsOfPcap } from '../lab/pcap.ts';
import { replay } from '../lab/replay.ts';
import { TsgwFailover } from '../lab/tsgw-failover.ts';
import {
  type FailoverReport,
  type FailoverRun,
  failoverReport,
  type ReplayRun,
} from './failover-report.ts';
import { flowsAgain, STREAM_PORT, startStream } from './failover-traffic.ts';
import { repeatsOnWire } from './failover-wire.ts';

/** Clusters of tsgw that can be measured. */
export const tsgwClusters = {
  'tsgw-active-passive': { mode: 'active-passive' },
  'tsgw-active-active': { mode: 'active-active' },
  'tsgw-forward': { mode: 'forward' },
  'tsgw-strict': { mode: 'active-passive', replay: 'strict' },
} as const satisfies Readonly<Record<string, TsgwClusterSettings>>;

/** All that can be. */
export const failoverClusters = {
  'charon-ha': () => CharonFailover.start(),
  'tsgw-active-passive': () => TsgwFailover.start(tsgwClusters['tsgw-active-passive']),
  'tsgw-active-active': () => TsgwFailover.start(tsgwClusters['tsgw-active-active']),
  'tsgw-forward': () => TsgwFailover.start(tsgwClusters['tsgw-forward']),
  'tsgw-strict': () => TsgwFailover.start(tsgwClusters['tsgw-strict']),
} as const satisfies Readonly<Record<string, () => Promise<FailoverCluster>>>;
export type FailoverClusterName = keyof typeof failoverClusters;

export interface FailoverOptions {
  readonly clusters: readonly FailoverClusterName[];
  readonly faults: readonly Fault[];
  readonly runs: number;
  /** Packets a second, each way. */
  readonly perSecond: number;
  /** Of traffic before the fault. */
  readonly secondsBefore: number;
  readonly progress: (line: string) => void;
}

/** After a fault the traffic goes on until it flows again, and for so long. */
const QUIET_SECONDS = 2;
const REPLAYED = 500;

export async function measureFailover(options: FailoverOptions): Promise<FailoverReport> {
  const { clusters, faults, runs, progress } = options;
  const measured: FailoverRun[] = [];
  const replays: ReplayRun[] = [];
  const failed: string[] = [];
  for (const name of clusters) {
    const stage = new ClusterStage(failoverClusters[name]);
    const attempt = async (what: string, measure: (at: FailoverCluster) => Promise<string>) => {
      try {
        progress(`${name}, ${what}: ${await stage.use(measure)}`);
      } catch (error) {
        // One that broke says so in the report; the others are still worth knowing.
        failed.push(`${name}, ${what}: ${error instanceof Error ? error.message : error}`);
        progress(failed.at(-1)?.split('\n')[0] ?? '');
      }
    };
    for (const fault of faults) {
      for (let number = 1; number <= runs; number++) {
        await attempt(`${fault}, ${number} of ${runs}`, async (cluster) => {
          const result = await measureFault(cluster, fault, options);
          measured.push({ cluster: name, ...result });
          const { there, back } = result;
          return `longest gap ${there.gapMilliseconds} / ${back.gapMilliseconds} ms`;
        });
      }
    }
    if (faults.includes('crash')) {
      await attempt('replay', async (cluster) => {
        const replay = await measureReplay(cluster, options);
        replays.push({ cluster: name, ...replay });
        return `${replay.delivered} of ${replay.sent} delivered again`;
      });
    }
    await stage.close();
  }
  return failoverReport(options, measured, replays, failed);
}

/** A cluster for one measurement after the other: the same one, where it can be made whole again. */
class ClusterStage {
  readonly #start: () => Promise<FailoverCluster>;
  #cluster: FailoverCluster | undefined;

  constructor(start: () => Promise<FailoverCluster>) {
    this.#start = start;
  }

  async use<T>(measure: (cluster: FailoverCluster) => Promise<T>): Promise<T> {
    const cluster = this.#cluster ?? (await this.#start());
    this.#cluster = cluster;
    try {
      const result = await measure(cluster);
      if (cluster.recover === undefined) await this.close();
      else await cluster.recover();
      return result;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#cluster?.destroy();
    this.#cluster = undefined;
  }
}

async function measureFault(
  cluster: FailoverCluster,
  fault: Fault,
  { perSecond, secondsBefore }: FailoverOptions,
): Promise<Omit<FailoverRun, 'cluster'>> {
  const { network, outer } = cluster;
  await cluster.prepare(fault);
  const before = await cluster.rekeyed();
  const capture = await Capture.start(network, 'client');
  const stream = await startStream(cluster, perSecond);
  await sleep(secondsBefore * 1000);
  const began = performance.now();
  await cluster.happen(fault);
  const done = performance.now();
  await flowsAgain(cluster, QUIET_SECONDS, done - began);
  const { there, back } = await stream.stop();
  const repeats = repeatsOnWire(packetsOfPcap(readFileSync(await capture.stop())), outer.gateway);
  const rekeyed = (await cluster.rekeyed()) - before;
  const direction = ({ longestSilenceMilliseconds, lost, duplicated }: typeof there) => ({
    gapMilliseconds: longestSilenceMilliseconds,
    lost,
    duplicated,
  });
  return {
    ...{ fault, handledMilliseconds: Math.round(done - began), rekeyed, repeats },
    ...{ there: direction(there), back: direction(back) },
    answers: await cluster.answers(),
  };
}

/** The client is silent when its old packets come again: its own new ones would shut the window. */
async function measureReplay(
  cluster: FailoverCluster,
  { perSecond, secondsBefore }: FailoverOptions,
): Promise<Omit<ReplayRun, 'cluster'>> {
  const { network, outer } = cluster;
  await cluster.prepare('crash');
  const capture = await Capture.start(network, 'client');
  const stream = await startStream(cluster, perSecond);
  await sleep(secondsBefore * 1000);
  await stream.stop();
  const file = await capture.stop();
  const before = Date.now() / 1000;
  await cluster.happen('crash');
  const { gateway } = outer;
  return replay(network, { file, gateway, before, count: REPLAYED, port: STREAM_PORT });
}
