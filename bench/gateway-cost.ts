/**
 * What the gateway processes of a topology have spent, and how many packets they have forwarded.
 *
 * Read before and after a transfer; only the difference means something.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { run } from '../lab/command.ts';
import type { Network } from '../lab/namespaces.ts';

export interface Cost {
  /** Seconds of all processes at g1 and g2, all their threads. */
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly contextSwitches: number;
  /** Packets in and out of g1 on the side of its host: each crossed the tunnel once. */
  readonly packets: number;
}

/** The totals up to now. */
export async function readCost(network: Network): Promise<Cost> {
  let userTicks = 0;
  let systemTicks = 0;
  let contextSwitches = 0;
  for (const node of ['g1', 'g2']) {
    const { stdout } = await run(['ip', 'netns', 'pids', network.name(node)]);
    for (const pid of stdout.split('\n').filter((line) => line !== '')) {
      const fields = readOr(`/proc/${pid}/stat`, '')
        .replace(/^.*\) /s, '')
        .split(' ');
      userTicks += Number(fields[11] ?? 0);
      systemTicks += Number(fields[12] ?? 0);
      contextSwitches += switches(pid);
    }
  }
  const packets = await lanPackets(network);
  return {
    userSeconds: userTicks / ticksPerSecond,
    systemSeconds: systemTicks / ticksPerSecond,
    contextSwitches,
    packets,
  };
}

/** What was spent between two readings. */
export function spent(before: Cost, after: Cost): Cost {
  return {
    userSeconds: after.userSeconds - before.userSeconds,
    systemSeconds: after.systemSeconds - before.systemSeconds,
    contextSwitches: after.contextSwitches - before.contextSwitches,
    packets: after.packets - before.packets,
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

async function lanPackets(network: Network): Promise<number> {
  const { stdout } = await network.exec('g1', [
    ...['cat', '/sys/class/net/lan/statistics/rx_packets'],
    '/sys/class/net/lan/statistics/tx_packets',
  ]);
  return stdout
    .trim()
    .split('\n')
    .reduce((total, line) => total + Number(line), 0);
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

/** USER_HZ: the unit of /proc/PID/stat on every Linux architecture Node runs on. */
const ticksPerSecond = 100;
