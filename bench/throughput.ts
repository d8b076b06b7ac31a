/**
 * How fast is one TCP stream through the tunnel, and what does a packet cost?
 *
 *   h1 ---- g1 ================= g2 ---- h2      AES-128-GCM, one stream each way
 *
 * Plain routing, tsgw to tsgw, tsgw to strongSwan and strongSwan to strongSwan stand side by side
 * and take turns, for the same machine is not equally fast twice; a figure is worth only its
 * ratio to the others of the same run. Offloads of the links are off: no packet is larger than
 * the MTU, as on a real wire.
 */
import type { Gateway, GatewayKind } from '../lab/gateway.ts';
import type { Network } from '../lab/namespaces.ts';
import { StrongSwanGateway } from '../lab/strongswan.ts';
import { childName, swanctlConf } from '../lab/swanctl-conf.ts';
import {
  buildTopology,
  type GatewayNode,
  type Offloads,
  routePlainly,
  setOffloads,
  type Topology,
} from '../lab/topology.ts';
import { ping, TransferServer } from '../lab/traffic.ts';
import { TsgwGateway } from '../lab/tsgw.ts';
import { readCost, spent } from './gateway-cost.ts';
import { type Spread, spread } from './statistics.ts';

export interface ThroughputOptions {
  readonly rounds: number;
  /** Seconds of each transfer that count; one more warms up. */
  readonly seconds: number;
  readonly offloads: Offloads;
  readonly progress: (line: string) => void;
}

export interface ThroughputReport {
  readonly question: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly offloads: Offloads;
  readonly cases: readonly CaseReport[];
}

export interface CaseReport {
  readonly name: string;
  readonly mbitPerSecondThere: Spread;
  readonly mbitPerSecondBack: Spread;
  /** Of the sum of both ways, round by round. */
  readonly ratioToPlain: Spread;
  readonly ratioToStrongSwan: Spread;
  /** Of both gateway processes together, for each packet that crossed the tunnel. */
  readonly cpu?: CpuReport;
}

export interface CpuReport {
  readonly microsecondsPerPacket: Spread;
  readonly userMicrosecondsPerPacket: Spread;
  readonly systemMicrosecondsPerPacket: Spread;
  readonly contextSwitchesPerPacket: Spread;
}

interface Case {
  readonly name: string;
  readonly gateways?: readonly [GatewayKind, GatewayKind];
  /** ESP in UDP unless it says otherwise. */
  readonly encapsulation?: 'none';
}

interface Standing {
  readonly name: string;
  readonly tunnel: boolean;
  readonly topology: Topology;
  readonly gateways: readonly Gateway[];
  readonly server: TransferServer;
}

interface Round {
  readonly there: number;
  readonly back: number;
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  readonly contextSwitches: number;
}

const plainRouting = 'plain routing';
const strongSwanAlone = 'strongSwan - strongSwan';

const cases: readonly Case[] = [
  { name: plainRouting },
  { name: 'tsgw - tsgw', gateways: ['tsgw', 'tsgw'] },
  { name: 'tsgw - tsgw, proto 50', gateways: ['tsgw', 'tsgw'], encapsulation: 'none' },
  { name: 'tsgw - strongSwan', gateways: ['tsgw', 'strongswan'] },
  { name: strongSwanAlone, gateways: ['strongswan', 'strongswan'] },
];

/** Builds all cases, measures them in turns, removes them. */
export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputReport> {
  const standing: Standing[] = [];
  const measured = new Map<string, Round[]>(cases.map(({ name }) => [name, []]));
  try {
    for (const each of cases) {
      standing.push(await setUp(each, options.offloads));
      options.progress(`${each.name}: ready`);
    }
    for (let round = 0; round < options.rounds; round += 1) {
      // Nobody is always first.
      const turn = round % standing.length;
      for (const each of [...standing.slice(turn), ...standing.slice(0, turn)]) {
        const result = await measure(each, options.seconds);
        measured.get(each.name)?.push(result);
        options.progress(
          `round ${round + 1}/${options.rounds}  ${each.name}: ` +
            `${result.there.toFixed(0)} / ${result.back.toFixed(0)} Mbit/s`,
        );
      }
    }
  } finally {
    for (const each of standing) {
      await takeDown(each);
    }
  }
  return report(options, measured);
}

async function setUp(each: Case, offloads: Offloads): Promise<Standing> {
  const topology = await buildTopology();
  const gateways: Gateway[] = [];
  try {
    await setOffloads(topology, offloads);
    if (each.gateways === undefined) {
      await routePlainly(topology);
    } else {
      const nodes: readonly GatewayNode[] = ['g1', 'g2'];
      for (const [index, node] of nodes.entries()) {
        const kind = each.gateways[index] ?? 'tsgw';
        gateways.push(gateway(kind, topology.network, node));
      }
      await bringUp(topology, gateways, each.encapsulation);
    }
    const { received } = await ping(topology);
    if (received === 0) {
      throw new Error(`${each.name}: no ping came back`);
    }
    const server = await TransferServer.start(topology);
    const tunnel = each.gateways !== undefined;
    return { name: each.name, tunnel, topology, gateways, server };
  } catch (error) {
    await Promise.all(gateways.map((one) => one.stop()));
    topology.network.destroy();
    throw error;
  }
}

async function bringUp(
  topology: Topology,
  gateways: readonly Gateway[],
  encapsulation: Case['encapsulation'],
): Promise<void> {
  for (const one of gateways) {
    await one.start();
    // strongSwan's userspace ESP always goes in UDP: all do, but for the case that says otherwise.
    const encap = encapsulation === 'none' ? 'no' : 'yes';
    const pair = { espProposals: 'aes128gcm16', connection: { encap } };
    await one.swanctl.load(swanctlConf(topology, one.node, [pair]));
  }
  await gateways[0]?.swanctl.must(['--initiate', '--child', childName]);
}

function gateway(kind: GatewayKind, network: Network, node: GatewayNode): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}

async function measure({ topology, server }: Standing, seconds: number): Promise<Round> {
  const before = await readCost(topology.network);
  const there = await server.transfer({ seconds, omitSeconds: 1 });
  const back = await server.transfer({ seconds, omitSeconds: 1, reverse: true });
  const cost = spent(before, await readCost(topology.network));
  return {
    there: there.bitsPerSecond / 1e6,
    back: back.bitsPerSecond / 1e6,
    userMicroseconds: (cost.userSeconds * 1e6) / cost.packets,
    systemMicroseconds: (cost.systemSeconds * 1e6) / cost.packets,
    contextSwitches: cost.contextSwitches / cost.packets,
  };
}

async function takeDown({ topology, gateways, server }: Standing): Promise<void> {
  await server.stop();
  await Promise.all(gateways.map((one) => one.stop()));
  topology.network.destroy();
}

function report(
  { rounds, seconds, offloads }: ThroughputOptions,
  measured: ReadonlyMap<string, readonly Round[]>,
): ThroughputReport {
  const sums = (name: string): readonly number[] =>
    (measured.get(name) ?? []).map(({ there, back }) => there + back);
  return {
    question: 'one TCP stream each way through a tunnel with AES-128-GCM',
    rounds,
    seconds,
    offloads,
    cases: cases.map(({ name, gateways }) => {
      const own = measured.get(name) ?? [];
      const ratios = (other: string): Spread =>
        spread(sums(name).map((sum, round) => sum / (sums(other)[round] ?? Number.NaN)));
      return {
        name,
        mbitPerSecondThere: spread(own.map(({ there }) => there)),
        mbitPerSecondBack: spread(own.map(({ back }) => back)),
        ratioToPlain: ratios(plainRouting),
        ratioToStrongSwan: ratios(strongSwanAlone),
        ...(gateways === undefined ? {} : { cpu: cpuReport(own) }),
      };
    }),
  };
}

function cpuReport(rounds: readonly Round[]): CpuReport {
  return {
    microsecondsPerPacket: spread(
      rounds.map((round) => round.userMicroseconds + round.systemMicroseconds),
    ),
    userMicrosecondsPerPacket: spread(rounds.map((round) => round.userMicroseconds)),
    systemMicrosecondsPerPacket: spread(rounds.map((round) => round.systemMicroseconds)),
    contextSwitchesPerPacket: spread(rounds.map((round) => round.contextSwitches)),
  };
}
