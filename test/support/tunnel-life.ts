/**
 * What holds while the SAs of a tunnel are replaced: no packet of a stream is lost, and in the end
 * both ends hold the same SAs, and no others.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { overflowed } from '../../lab/overflow.ts';
import {
  PacketStream,
  type StreamDirection,
  type StreamOptions,
  type StreamReport,
} from '../../lab/packet-stream.ts';
import type { IkeSaState } from '../../lab/swanctl.ts';
import { connectionName } from '../../lab/swanctl-conf.ts';
import type { Lab, Tunnel } from './lab.ts';

/**
 * Does `body` under a stream of packets each way; none may be lost or come too late. What the
 * machine says it had no room for while a process did not run is nobody's loss but the machine's.
 */
export async function underStream(
  lab: Lab,
  body: () => Promise<void>,
  options: StreamOptions = {},
): Promise<StreamReport> {
  const before = await withoutRoom(lab);
  const stream = await PacketStream.start(lab.topology, options);
  let report: StreamReport | undefined;
  try {
    await body();
  } finally {
    report = await stream.stop();
  }
  const { there, back } = report;
  const lost = there.lost + back.lost;
  const noRoom = lost === 0 ? 0 : (await withoutRoom(lab)) - before;
  if (noRoom > 0) console.log(`        ${noRoom} packets had no room in this machine`);
  const drops = JSON.stringify(await tunnelDrops(lab));
  assert.ok(
    lost <= noRoom,
    `h1 to h2: ${told(there)}, h2 to h1: ${told(back)}; ${noRoom} had no room, tsgw: ${drops}`,
  );
  for (const direction of [there, back]) {
    assert.ok(direction.sent > 100, told(direction));
    assert.equal(direction.duplicated, 0, told(direction));
    assert.equal(direction.late, 0, told(direction));
  }
  return report;
}

/** Packets for which the machine has had no room, so far. */
export function withoutRoom({ topology, subject, peer }: Lab): Promise<number> {
  return overflowed(topology, [subject, peer]);
}

function told({ sent, lost, reordered, deepest, gaps }: StreamDirection): string {
  const order = `${reordered} out of order, by ${deepest} at most`;
  return `${lost} of ${sent} lost ${gaps.join(' ')}, ${order}`;
}

/** Waits until both ends list the same IKE SA with the same Child SA and nothing else. */
export async function settled(lab: Lab, timeout = 15_000): Promise<Tunnel> {
  await until(
    'both ends to list one IKE SA with one Child SA',
    async () => {
      const both = await lists(lab);
      const alone = both.every((sas) => sas.length === 1 && sas[0]?.children.length === 1);
      return (alone && sameSas(...both)) || undefined;
    },
    timeout,
  );
  return lab.tunnel();
}

/** Waits until the SAs in use are the same at both ends; ones that are going do not count. */
export async function agreed(lab: Lab, timeout = 10_000): Promise<void> {
  await until(
    'both ends to use the same SAs',
    async () => {
      const [subject, peer] = await lists(lab);
      return (subject.length > 0 && sameSas(subject, peer)) || undefined;
    },
    timeout,
  );
}

/** Waits until nothing comes or goes and both ends list the same; answers how much there is. */
export async function quiet(
  lab: Lab,
  timeout = 10_000,
): Promise<{ readonly ikeSas: number; readonly childSas: number }> {
  return until(
    'both ends to be quiet and to list the same',
    async () => {
      const both = await lists(lab);
      const states = both
        .flat()
        .flatMap(({ state, children }) => [
          state === 'ESTABLISHED',
          ...children.map((child) => child.state === 'INSTALLED'),
        ]);
      if (states.includes(false) || !sameSas(...both)) return undefined;
      const childSas = both[0].flatMap((sa) => sa.children).length;
      return { ikeSas: both[0].length, childSas };
    },
    timeout,
  );
}

async function lists(lab: Lab): Promise<[readonly IkeSaState[], readonly IkeSaState[]]> {
  return [await lab.subject.swanctl.sas(), await lab.peer.swanctl.sas()];
}

/** True when each end has the other's, SPIs mirrored. */
function sameSas(subject: readonly IkeSaState[], peer: readonly IkeSaState[]): boolean {
  const ours = inUse(subject, 'spi-in', 'spi-out');
  const theirs = inUse(peer, 'spi-out', 'spi-in');
  return ours.join() === theirs.join();
}

function inUse(sas: readonly IkeSaState[], first: string, second: string): readonly string[] {
  return sas
    .filter(({ state }) => state === 'ESTABLISHED')
    .map(({ raw, children }) => {
      const pairs = children
        .filter(({ state }) => state === 'INSTALLED')
        .map((child) => `${child.raw[first]}/${child.raw[second]}`);
      return `${raw['initiator-spi']}/${raw['responder-spi']}: ${pairs.toSorted().join(' ')}`;
    })
    .toSorted();
}

/** Numbers by name. */
export type Counters = Readonly<Record<string, number>>;

/** What a daemon counted for the connection under strongSwan's names. */
export function counters({ swanctl }: Gateway): Promise<Counters> {
  return swanctl.counters(connectionName);
}

/** How much more of each there is now, by name. */
export function more(before: Counters | undefined, now: Counters): (name: string) => number {
  return (name) => (now[name] ?? 0) - (before?.[name] ?? 0);
}

/** Packets that tsgw discarded for a reason; 0 for charon, which does not say. */
export async function dropped(lab: Lab, reason: string): Promise<number> {
  return (await drops(lab))[reason] ?? 0;
}

/**
 * Packets of tunnels that tsgw discarded, by reason. Those without a policy do not count: a machine
 * sends its neighbours and groups into a new device, too.
 */
export async function tunnelDrops(lab: Lab): Promise<Counters> {
  const { 'no-policy': _own, ...others } = await drops(lab);
  return others;
}

async function drops(lab: Lab): Promise<Counters> {
  if (lab.subject.kind !== 'tsgw') return {};
  const { stdout } = await lab.tsgw.cli(['status', '--json']);
  const status: { readonly drops?: Counters } = JSON.parse(stdout);
  assert.ok(status.drops !== undefined, stdout);
  return status.drops;
}
