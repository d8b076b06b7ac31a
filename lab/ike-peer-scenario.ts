/**
 * A scenario with a peer that carries no data: tsgw at g1, the peer at g2, IKE to watch.
 *
 * Each in `scenarios/ike-peers.ts` describes one, with a drawing on top.
 */
import { Capture } from './capture.ts';
import { until } from './command.ts';
import { firstChild, type IkePeer, type IkePeerSa } from './ike-peer.ts';
import { ladder } from './ladder.ts';
import { type PairSettings, swanctlConf } from './swanctl-conf.ts';
import { buildTopology, outerAddress, type Topology } from './topology.ts';
import { TsgwGateway } from './tsgw.ts';

export interface IkePeerScenario {
  readonly name: string;
  /** One line for `npm run lab -- list`. */
  readonly shows: string;
  readonly pair: PairSettings;
  /** The peer, told where it stands. */
  readonly peer: (topology: Topology) => IkePeer;
  /** What happens once the tunnel is up. */
  readonly life: (stage: IkePeerStage) => Promise<void>;
}

export interface IkePeerStage {
  readonly topology: Topology;
  readonly tsgw: TsgwGateway;
  readonly peer: IkePeer;
  readonly say: (line: string) => void;
}

/** Runs a scenario and tells it; throws when it does not end as it should. */
export async function playWithIkePeer(
  scenario: IkePeerScenario,
  say: (line: string) => void,
): Promise<void> {
  const topology = await buildTopology();
  const tsgw = new TsgwGateway(topology.network, 'g1');
  const peer = scenario.peer(topology);
  const stage = { topology, tsgw, peer, say };
  try {
    await Promise.all([tsgw.start(), peer.start()]);
    await tsgw.swanctl.load(swanctlConf(topology, 'g1', [scenario.pair]));
    await peer.load([{}]);
    const capture = await Capture.start(topology.network, 'g1');
    try {
      await tsgw.swanctl.must(['--initiate', '--child', 'net']);
      await scenario.life(stage);
    } finally {
      say(await drawn(await capture.stop(), stage));
    }
  } finally {
    await Promise.all([tsgw.stop(), peer.stop()]);
    topology.network.destroy();
  }
}

/** The SAs the peer holds, once its Child SA is another than `before`. */
export async function replaced(
  { peer }: IkePeerStage,
  before: IkePeerSa | undefined,
): Promise<IkePeerSa> {
  const old = before === undefined ? '' : firstChild(before).spiIn;
  return until(`${peer.kind} to have another Child SA`, async () => {
    const [sa, ...others] = await peer.sas();
    const [child, ...more] = sa?.children ?? [];
    const alone = others.length + more.length === 0;
    return alone && child !== undefined && child.spiIn !== old ? sa : undefined;
  });
}

async function drawn(file: string, { topology, tsgw, peer }: IkePeerStage): Promise<string> {
  return ladder(file, {
    left: outerAddress(topology, 'g1', 'ipv4'),
    leftName: 'g1 tsgw',
    rightName: `g2 ${peer.kind}`,
    keyLog: tsgw.keyLog,
  });
}
