/**
 * What does a rekeying cost the traffic of a tunnel?
 *
 *   h1 ---- g1 ================= g2 ---- h2      numbered packets each way, steadily
 *
 * Both ends rekey by turns while the packets go on, one time in five the IKE SA, else the Child SA.
 * Counted are packets that did not arrive, and those that came behind others: by more than the smallest
 * replay window they would be dropped (strongSwan's is 128). What the machine had no room for while a
 * process did not run is told apart. The cases are measured one after the other.
 */

import { sleep, until } from '../lab/command.ts';
import type { Gateway, GatewayKind } from '../lab/gateway.ts';
import { overflowed } from '../lab/overflow.ts';
import { PacketStream, type StreamDirection } from '../lab/packet-stream.ts';
import { StrongSwanGateway } from '../lab/strongswan.ts';
import type { ChildSaState, IkeSaState, Swanctl } from '../lab/swanctl.ts';
import { childName, connectionName, swanctlConf } from '../lab/swanctl-conf.ts';
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
  /** As both gateways counted them. */
  readonly childSasReplaced: number;
  readonly ikeSasReplaced: number;
  /** Of the lost packets, those that a full socket or device of a strongSwan or a host dropped. */
  readonly noRoom: number;
}

/** strongSwan's replay window, the smaller of the two. */
const WINDOW = 128;
/** Of so many rekeyings one is of the IKE SA. */
const IKE_SA_EVERY = 5;
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
  const question = 'packets lost and reordered while SAs are rekeyed by both ends in turn';
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
  const noRoomBefore = await overflowed(topology, gateways);
  const stream = await PacketStream.start(topology, { perSecond });
  let done = 0;
  try {
    while (done < rekeys) {
      const own = gateways[done % gateways.length];
      if (!own) throw new Error('a tunnel has two ends');
      done += 1;
      await rekey(own, done % IKE_SA_EVERY === 0);
      if (done % 20 === 0) progress(`${name}: ${done}/${rekeys} rekeyings`);
      await sleep(PAUSE_MS);
    }
  } catch (error) {
    await stream.stop();
    throw error;
  }
  const { there, back } = await stream.stop();
  const noRoom = (await overflowed(topology, gateways)) - noRoomBefore;
  return { name, rekeys: done, there, back, noRoom, ...(await replaced(gateways)) };
}

/** Replaces the SA in use, and waits until another is. */
async function rekey({ swanctl, node }: Gateway, ikeSa: boolean): Promise<void> {
  const before = await inUse(swanctl);
  if (!before) throw new Error(`no SA is in use at ${node}`);
  const { uniqueId } = before.sa;
  // By number: strongSwan would begin with those that are on their way out, too.
  const which = ikeSa ? [] : ['--child-id', String(before.child.raw.uniqueid)];
  await swanctl.must(['--rekey', '--ike-id', uniqueId, ...which]);
  await until(`another SA to be in use at ${node}`, async () => {
    const now = await inUse(swanctl);
    const [old, young] = ikeSa
      ? [before.sa.raw['initiator-spi'], now?.sa.raw['initiator-spi']]
      : [before.child.raw['spi-in'], now?.child.raw['spi-in']];
    return (young !== undefined && young !== old) || undefined;
  });
}

async function inUse(
  swanctl: Swanctl,
): Promise<{ readonly sa: IkeSaState; readonly child: ChildSaState } | undefined> {
  const sa = (await swanctl.sas()).findLast(({ state }) => state === 'ESTABLISHED');
  const child = sa?.children.findLast(({ state }) => state === 'INSTALLED');
  return sa && child && { sa, child };
}

/** What both gateways say came about. */
async function replaced(
  gateways: readonly Gateway[],
): Promise<Pick<RekeyCase, 'childSasReplaced' | 'ikeSasReplaced'>> {
  const counted = await Promise.all(
    gateways.map(({ swanctl }) => swanctl.counters(connectionName)),
  );
  const least = (...names: readonly string[]): number =>
    Math.min(...counted.map((one) => names.reduce((sum, name) => sum + (one[name] ?? 0), 0)));
  return {
    childSasReplaced: least('child-rekey'),
    ikeSasReplaced: least('ike-rekey-init', 'ike-rekey-resp'),
  };
}

function gateway(kind: GatewayKind, { network }: Topology, node: GatewayNode): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}
