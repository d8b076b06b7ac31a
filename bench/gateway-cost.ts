/**
 * What the gateway processes of a topology have spent, and how many packets their hosts have sent.
 *
 * Read before and after a transfer; only the difference means something. Packets are counted as the
 * hosts' TCP counts segments, each of them one inner packet: a device counts a super-packet of
 * many segments as one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { run } from '../lab/command.ts';
import type { Network } from '../lab/namespaces.ts';
import type { GatewayNode } from '../lab/topology.ts';

/** Of all processes at one gateway, all their threads. */
export interface Cost {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly contextSwitches: number;
}

export type Costs = Readonly<Record<GatewayNode, Cost>>;

export const NO_COST: Cost = { userSeconds: 0, systemSeconds: 0, contextSwitches: 0 };

/** The totals up to now. */
export async function readCosts(network: Network): Promise<Costs> {
  return { g1: await readCost(network, 'g1'), g2: await readCost(network, 'g2') };
}

/** What was spent between two readings. */
export function spent(before: Costs, after: Costs): Costs {
  const between = (node: GatewayNode): Cost => ({
    userSeconds: after[node].userSeconds - before[node].userSeconds,
    systemSeconds: after[node].systemSeconds - before[node].systemSeconds,
    contextSwitches: after[node].contextSwitches - before[node].contextSwitches,
  });
  return { g1: between('g1'), g2: between('g2') };
}

/** Both together. */
export function sumOf(one: Cost, other: Cost): Cost {
  return {
    userSeconds: one.userSeconds + other.userSeconds,
    systemSeconds: one.systemSeconds + other.systemSeconds,
    contextSwitches: one.contextSwitches + other.contextSwitches,
  };
}

/** TCP segments that a host has sent: what was sent again is not among them. */
export async function segmentsSent(network: Network, host: 'h1' | 'h2'): Promise<number> {
  const { stdout } = await network.exec(host, ['cat', '/proc/net/snmp']);
  return outSegments(stdout);
}

/** `OutSegs` of what /proc/net/snmp says: a line of names, then a line of values. */
export function outSegments(snmp: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '))
    .map((line) => line.split(' '));
  const value = values?.[names?.indexOf('OutSegs') ?? -1];
  if (value === undefined) throw new Error('/proc/net/snmp has no OutSegs');
  return Number(value);
}

async function readCost(network: Network, node: GatewayNode): Promise<Cost> {
  let [userTicks, systemTicks, contextSwitches] = [0, 0, 0];
  const { stdout } = await run(['ip', 'netns', 'pids', network.name(node)]);
  for (const pid of stdout.split('\n').filter((line) => line !== '')) {
    const fields = readOr(`/proc/${pid}/stat`, '')
      .replace(/^.*\) /s, '')
      .split(' ');
    userTicks += Number(fields[11] ?? 0);
    systemTicks += Number(fields[12] ?? 0);
    contextSwitches += switches(pid);
  }
  return {
    userSeconds: userTicks / TICKS_PER_SECOND,
    systemSeconds: systemTicks / TICKS_PER_SECOND,
    contextSwitches,
  };
}

function switches(pid: string): number {
  let total = 0;
  for (const task of tasks(pid)) {
    const status = readOr(`/proc/${pid}/task/${task}/status`, '');
    for (const [, count] of status.matchAll(/ctxt_switches:\s+(\d+)/g)) {
      total += Number(count);
    }
  }
  return total;
}

function tasks(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

/** USER_HZ: the unit of /proc/PID/stat on every Linux architecture Node runs on. */
const TICKS_PER_SECOND = 100;
