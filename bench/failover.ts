/**
 * What does a client see of a fault in a cluster?
 *
 *   client ---- node a, node b, ... ---- host      numbered packets each way, steadily
 *
 * Each fault has a cluster of its own, so that none inherits from another; the clusters take turns. Told
 * are the longest silence each way, what was lost, numbers and IVs that came twice on the wire, SAs that
 * were replaced, and whether the client's IKE is answered afterwards. Apart from that: how many packets of
 * before a crash are delivered once more when someone sends them again to the node that took over.
 */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Capture } from '../lab/capture.ts';
import { CharonFailover } from '../lab/charon-failover.ts';
import { run, sleep } from '../lab/command.ts';
import type { FailoverCluster, Fault } from '../lab/failover-cluster.ts';
import { PacketStream } from '../lab/packet-stream.ts';
import { packetsOfPcap } from '../lab/pcap.ts';
import { nft } from '../lab/topology.ts';
import {
  type FailoverReport,
  type FailoverRun,
  failoverReport,
  type ReplayRun,
} from './failover-report.ts';
import { repeatsOnWire } from './failover-wire.ts';

/** Clusters that can be measured, each started anew for every fault. */
export const failoverClusters = {
  'charon-ha': () => CharonFailover.start(),
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
const MOST_SECONDS_AFTER = 60;
const PORT = 20_000;
const REPLAYED = 500;

export async function measureFailover(options: FailoverOptions): Promise<FailoverReport> {
  const { clusters, faults, runs, progress } = options;
  const measured: FailoverRun[] = [];
  const replays: ReplayRun[] = [];
  for (let number = 1; number <= runs; number++) {
    for (const name of clusters) {
      for (const fault of faults) {
        const result = await inCluster(name, (cluster) => measureFault(cluster, fault, options));
        measured.push({ cluster: name, ...result });
        const { there, back } = result;
        const gaps = `${there.gapMilliseconds} / ${back.gapMilliseconds} ms`;
        progress(`${name}, ${fault}, ${number} of ${runs}: longest gap ${gaps}`);
      }
      if (!faults.includes('crash')) continue;
      const replay = await inCluster(name, (cluster) => measureReplay(cluster, options));
      replays.push({ cluster: name, ...replay });
      progress(`${name}, replay: ${replay.delivered} of ${replay.sent} delivered again`);
    }
  }
  return failoverReport(options, measured, replays);
}

async function inCluster<T>(
  name: FailoverClusterName,
  measure: (cluster: FailoverCluster) => Promise<T>,
): Promise<T> {
  const cluster = await failoverClusters[name]();
  try {
    return await measure(cluster);
  } finally {
    cluster.destroy();
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
  await flowsAgain(cluster, done - began);
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
  const capture = await Capture.start(network, 'client');
  const stream = await startStream(cluster, perSecond);
  await sleep(secondsBefore * 1000);
  await stream.stop();
  const file = await capture.stop();
  const before = Date.now() / 1000;
  await cluster.happen('crash');
  await nft(network, 'host', [
    'table inet replayed {',
    'counter delivered {',
    '}',
    'chain arriving {',
    'type filter hook input priority 0;',
    `udp dport ${PORT} counter name delivered;`,
    '}',
    '}',
  ]);
  const argv = [resolve('lab/replay.py'), file, outer.gateway, String(before), String(REPLAYED)];
  const { stdout } = await network.exec('client', ['python3', ...argv]);
  await sleep(500);
  const listed = await run([...network.at('host'), 'nft', 'list', 'counters']);
  const delivered = Number(/packets (\d+)/.exec(listed.stdout)?.[1]);
  return { sent: Number(stdout), delivered };
}

function startStream({ network, inner }: FailoverCluster, perSecond: number) {
  return PacketStream.start(
    { network },
    {
      ...{ perSecond, port: PORT },
      ends: [
        { node: 'client', address: inner.client },
        { node: 'host', address: inner.host },
      ],
    },
  );
}

/** Until pings come back without a hole, at most a minute: what it takes is part of the gap. */
async function flowsAgain({ network, inner }: FailoverCluster, faultMs: number): Promise<void> {
  const end = performance.now() + MOST_SECONDS_AFTER * 1000 + faultMs;
  let since = performance.now();
  while (performance.now() < end) {
    const argv = ['ping', '-n', '-q', '-c', '10', '-i', '0.02', '-W', '1', inner.host];
    const { stdout } = await network.exec('client', argv, { mayFail: true });
    if (!stdout.includes(' 0% packet loss')) since = performance.now();
    else if (performance.now() - since > QUIET_SECONDS * 1000) return;
  }
}
