/**
 * Two nodes that are one gateway; the one that serves dies, and comes back.
 *
 *                                +-- node a --+
 *   client ---- router ----------+            +---- host
 *   strongSwan          wan      +-- node b --+     10.2.0.10
 *   198.51.100.10                 tsgw, twice
 *
 *   The client has one tunnel, to 192.0.2.100, and does not know that there are two. In the mode forward,
 *   in which no address moves, router and host send to the node that does not serve: it hands over.
 */
import { performance } from 'node:perf_hooks';
import type { ClusterModeName } from '../cluster-conf.ts';
import { sleep } from '../command.ts';
import type { Fault } from '../failover-cluster.ts';
import { PacketStream, type StreamReport } from '../packet-stream.ts';
import type { Family } from '../topology.ts';
import { TsgwFailover } from '../tsgw-failover.ts';

export interface ClusterScenario {
  readonly mode: ClusterModeName;
  readonly nodes: 2 | 3;
  readonly family: Family;
}

const PER_SECOND = 1000;
/** Of traffic before a fault and behind it. */
const AROUND_MS = 2000;

export async function playCluster(
  { mode, nodes, family }: ClusterScenario,
  say: (line: string) => void,
  stay: (cluster: TsgwFailover) => Promise<void>,
): Promise<void> {
  say(`starting ${nodes} tsgw in the mode ${mode}, and a strongSwan client`);
  const cluster = await TsgwFailover.start({ mode, nodes, family });
  try {
    const spis = await cluster.ikeSpis();
    const { outer, inner } = cluster;
    say(`the client, ${outer.client}, has a tunnel to ${outer.gateway}: it is ${inner.client}`);
    await tellNodes(cluster, say);
    await cluster.prepare('crash');
    say('');
    say(`the client and the host send each other ${PER_SECOND} packets a second`);
    await during(cluster, 'crash', `node ${cluster.struck} is killed`, say);
    await tellNodes(cluster, say);
    await during(cluster, 'rejoin', `node ${cluster.struck} is started again`, say);
    await tellNodes(cluster, say);
    say('');
    const same = (await cluster.ikeSpis()) === spis;
    say(`the client has ${same ? 'the same IKE SA' : 'ANOTHER IKE SA'}`);
    say(`SAs the client saw replaced: ${await cluster.rekeyed()}`);
    say(`the client's IKE is ${(await cluster.answers()) ? 'answered' : 'NOT ANSWERED'}`);
    await stay(cluster);
  } finally {
    await cluster.destroy();
  }
}

async function during(
  cluster: TsgwFailover,
  fault: Fault,
  what: string,
  say: (line: string) => void,
): Promise<void> {
  const { network, inner } = cluster;
  const stream = await PacketStream.start(
    { network },
    {
      perSecond: PER_SECOND,
      ends: [
        { node: 'client', address: inner.client },
        { node: 'host', address: inner.host },
      ],
    },
  );
  await sleep(AROUND_MS);
  const began = performance.now();
  await cluster.happen(fault);
  const took = Math.round(performance.now() - began);
  await sleep(AROUND_MS);
  say('');
  say(`${what}; ${took} ms later all is settled, as far as swanctl --list-sas can tell`);
  for (const line of gaps(await stream.stop())) say(`  ${line}`);
}

function gaps({ there, back }: StreamReport): readonly string[] {
  const ways = [
    ['client -> host', there],
    ['host -> client', back],
  ] as const;
  return ways.map(([way, { longestSilenceMilliseconds, lost, sent, duplicated }]) => {
    const twice = duplicated === 0 ? '' : `, ${duplicated} came twice`;
    return `${way}: longest gap ${longestSilenceMilliseconds} ms, ${lost} of ${sent} packets lost${twice}`;
  });
}

async function tellNodes({ cluster }: TsgwFailover, say: (line: string) => void): Promise<void> {
  for (const name of cluster.names) {
    const runs = cluster.node(name).runs;
    say(`node ${name}: ${runs ? `the client's IKE SA is ${await cluster.state(name)}` : 'dead'}`);
  }
}
