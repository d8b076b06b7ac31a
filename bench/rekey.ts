/**
 * What does a rekeying cost the traffic of a tunnel?
 *
 *   h1 ---- g1 ================= g2 ---- h2      numbered packets each way, steadily
 *
 * Both ends rekey the Child SA by turns while the packets go on. Counted are packets that did not
 * arrive, and those that came behind others: by more than the smallest replay window they would be
 * dropped (strongSwan's is 128). The cases take their turns one after the other on the same machine.
 */

import { sleep, until } from '../lab/command.ts';
import type { Gateway, GatewayKind } from '../lab/gateway.ts';
import { PacketStream, type StreamDirection } from '../lab/packet-stream.ts';
import { StrongSwanGateway } from '../lab/strongswan.ts';
import { childName, swanctlConf } from '../lab/swanctl-conf.ts';
import { buildTopology, type GatewayNode, type Topology } from '../lab/topology.ts';
import { ping } from '../lab/traffic.ts';
import { TsgwGateway } from '../lab/tsgw.ts';

export interface RekeyOptions {
  readonly rekeys: number;
  /** Packets a second, each way. */
  readonly perSecond: number;
  readonly progress: (line: string) => void;
}

export interface RekeyReport {
  readonly question: string;
  readonly rekeys: number;
  readonly perSecond: number;
  /** Packets a packet may be late by. */
  readonly window: number;
  readonly cases: readonly RekeyCase[];
}

export interface RekeyCase {
  readonly name: string;
  readonly rekeys: number;
  readonly there: StreamDirection;
  readonly back: StreamDirection;
}

/** strongSwan's replay window, the smaller of the two. */
const WINDOW = 128;
/** From one rekeying to the next. */
const PAUSE_MS = 250;

const cases: readonly (readonly [name: string, GatewayKind, GatewayKind])[] = [
  ['tsgw - tsgw', 'tsgw', 'tsgw'],
  ['tsgw - strongSwan', 'tsgw', 'strongswan'],
  ['strongSwan - strongSwan', 'strongswan', 'strongswan'],
];

/** Builds each case, measures it, removes it. */
export async function measureRekey(options: RekeyOptions): Promise<RekeyReport> {
  const { rekeys, perSecond, progress } = options;
  const measured: RekeyCase[] = [];
  for (const [name, one, other] of cases) {
    const topology = await buildTopology();
    const gateways: readonly Gateway[] = [
      gateway(one, topology, 'g1'),
      gateway(other, topology, 'g2'),
    ];
    try {
      await bringUp(topology, gateways);
      const result = await measure(name, topology, gateways, options);
      measured.push(result);
      progress(`${name}: ${result.there.lost + result.back.lost} lost over ${rekeys} rekeyings`);
    } finally {
      await Promise.all(gateways.map((each) => each.stop()));
      topology.network.destroy();
    }
  }
  const question = 'packets lost and reordered while the Child SA is rekeyed by both ends in turn';
  return { question, rekeys, perSecond, window: WINDOW, cases: measured };
}

async function bringUp(topology: Topology, gateways: readonly Gateway[]): Promise<void> {
  for (const each of gateways) {
    await each.start();
    const pair = { espProposals: 'aes128gcm16', connection: { encap: 'yes' } };
    await each.swanctl.load(swanctlConf(topology, each.node, [pair]));
  }
  await gateways[0]?.swanctl.must(['--initiate', '--child', childName]);
  const { received } = await ping(topology);
  if (received === 0) throw new Error('no ping came back');
}

async function measure(
  name: string,
  topology: Topology,
  gateways: readonly Gateway[],
  { rekeys, perSecond, progress }: RekeyOptions,
): Promise<RekeyCase> {
  const stream = await PacketStream.start(topology, { perSecond });
  let done = 0;
  try {
    for (let turn = 0; turn < rekeys; turn += 1) {
      const own = gateways[turn % gateways.length];
      if (!own) throw new Error('a tunnel has two ends');
      const before = await installed(own);
      await own.swanctl.must(['--rekey', '--child', childName]);
      await until('another Child SA', async () => (await installed(own)) !== before || undefined);
      done += 1;
      if (done % 20 === 0) progress(`${name}: ${done}/${rekeys} rekeyings`);
      await sleep(PAUSE_MS);
    }
  } catch (error) {
    await stream.stop();
    throw error;
  }
  const { there, back } = await stream.stop();
  return { name, rekeys: done, there, back };
}

/** The inbound SPI of the Child SA in use. */
async function installed({ swanctl }: Gateway): Promise<string> {
  const children = (await swanctl.sas()).flatMap((sa) => sa.children);
  const last = children.findLast(({ state }) => state === 'INSTALLED');
  return String(last?.raw['spi-in']);
}

function gateway(kind: GatewayKind, { network }: Topology, node: GatewayNode): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}
