/**
 * A scenario of the lab: a topology, two gateways, one thing to watch.
 *
 * Each file in `scenarios/` describes one, with a drawing on top; `play` runs any of them.
 */
import assert from 'node:assert/strict';
import { Capture } from './capture.ts';
import type { DaemonSettings, Gateway, GatewayKind } from './gateway.ts';
import { ladder } from './ladder.ts';
import type { Network } from './namespaces.ts';
import { StrongSwanGateway } from './strongswan.ts';
import { childName, type PairSettings, swanctlConf } from './swanctl-conf.ts';
import {
  buildTopology,
  type Family,
  type GatewayNode,
  lose,
  outerAddress,
  type Topology,
} from './topology.ts';
import { ping } from './traffic.ts';
import { TsgwGateway } from './tsgw.ts';

export interface Scenario {
  readonly name: string;
  /** One line for `npm run lab -- list`. */
  readonly shows: string;
  readonly nat?: boolean;
  readonly gateways: Readonly<Record<GatewayNode, GatewayKind>>;
  readonly settings?: DaemonSettings;
  readonly pair: PairSettings;
  readonly initiator: GatewayNode;
  /** Packets lost in a hundred, each way. */
  readonly lossPercent?: number;
  /** What `swanctl --initiate` must end with; up unless told. */
  readonly ends?: 'up' | 'refused';
  readonly traffic?: (stage: Stage) => Promise<void>;
}

/** What a scenario finds when its tunnel is up. */
export interface Stage {
  readonly topology: Topology;
  readonly g1: Gateway;
  readonly g2: Gateway;
  readonly say: (line: string) => void;
}

/** Builds the topology and starts both gateways; whatever happens in `body`, nothing stays. */
export async function onStage(
  scenario: Pick<Scenario, 'nat' | 'gateways' | 'settings' | 'pair'>,
  say: (line: string) => void,
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const topology = await buildTopology({ nat: scenario.nat === true });
  const g1 = gateway(scenario.gateways.g1, topology.network, 'g1');
  const g2 = gateway(scenario.gateways.g2, topology.network, 'g2');
  try {
    await Promise.all([g1.start(scenario.settings), g2.start(scenario.settings)]);
    for (const { swanctl, node } of [g1, g2]) {
      await swanctl.load(swanctlConf(topology, node, [scenario.pair]));
    }
    await body({ topology, g1, g2, say });
  } finally {
    await Promise.all([g1.stop(), g2.stop()]);
    topology.network.destroy();
  }
}

/** Runs a scenario and tells it; throws when it does not end as it should. */
export async function play(scenario: Scenario, say: (line: string) => void): Promise<void> {
  await onStage(scenario, say, async (stage) => {
    const { topology, g1, g2 } = stage;
    say(`g1 ${g1.kind}  ${outerAddress(topology, 'g1', outerOf(scenario))}`);
    say(`g2 ${g2.kind}  ${outerAddress(topology, 'g2', outerOf(scenario))}`);
    await lose(topology, scenario.lossPercent ?? 0);
    const capture = await Capture.start(topology.network, 'g1');
    try {
      await negotiate(scenario, stage);
      await scenario.traffic?.(stage);
    } finally {
      const file = await capture.stop();
      say('');
      say(await drawn(file, stage, outerOf(scenario)));
    }
  });
}

/** The ladder of a capture taken at g1, opened with the key log of a tsgw that is there. */
export async function drawn(
  file: string,
  { topology, g1, g2 }: Stage,
  outer: Family = 'ipv4',
): Promise<string> {
  const keys = [g1, g2].find((gateway) => gateway instanceof TsgwGateway);
  return ladder(file, {
    left: outerAddress(topology, 'g1', outer),
    leftName: `g1 ${g1.kind}`,
    rightName: `g2 ${g2.kind}`,
    ...(keys instanceof TsgwGateway ? { keyLog: keys.keyLog } : {}),
  });
}

/** Pings through the tunnel and demands that nothing is lost. */
export async function pingAcross(
  { topology, say }: Stage,
  options: { readonly family?: Family; readonly count?: number } = {},
): Promise<void> {
  const answer = await ping(topology, { count: 10, ...options });
  const average = answer.averageMilliseconds?.toFixed(2) ?? '-';
  say(
    `ping h1 -> h2: ${answer.sent} sent, ${answer.received} received, ` +
      `${answer.lossPercent.toFixed(0)} % loss, ${average} ms`,
  );
  assert.equal(answer.lossPercent, 0, 'packets were lost in the tunnel');
}

async function negotiate(scenario: Scenario, stage: Stage): Promise<void> {
  const initiator = scenario.initiator === 'g1' ? stage.g1 : stage.g2;
  const { status, stdout, stderr } = await initiator.swanctl.call([
    ...['--initiate', '--child', childName],
  ]);
  const last = `${stdout}${stderr}`.trimEnd().split('\n').at(-1) ?? '';
  stage.say(`swanctl --initiate --child ${childName} at ${scenario.initiator}: ${last}`);
  const wanted = scenario.ends ?? 'up';
  if ((status === 0 ? 'up' : 'refused') !== wanted) {
    throw new Error(`the tunnel should be ${wanted}\n${stdout}${stderr}`);
  }
}

function gateway(kind: GatewayKind, network: Network, node: GatewayNode): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}

function outerOf(scenario: Scenario): Family {
  return scenario.pair.outer ?? 'ipv4';
}
