/**
 * Packets of a client sent again, as they were or with a forged number, and how many of them the host gets.
 */
import { resolve } from 'node:path';
import { run, sleep } from './command.ts';
import type { Network } from './namespaces.ts';
import { nft } from './topology.ts';

export interface Replay {
  /** A capture at the client's device. */
  readonly file: string;
  /** Whom they were sent to, over IPv4. */
  readonly gateway: string;
  /** Seconds since 1970; those of later are left out. */
  readonly before: number;
  /** The last ones. */
  readonly count: number;
  /** UDP port of what was in them. */
  readonly port: number;
  /** Added to the sequence number of each. */
  readonly ahead?: number;
}

/** What is under way has arrived then. */
const ARRIVAL_MS = 500;

/** The client is to be silent meanwhile: its own new packets would shut the window, and be counted. */
export async function replay(
  network: Network,
  { file, gateway, before, count, port, ahead }: Replay,
): Promise<{ readonly sent: number; readonly delivered: number }> {
  await nft(network, 'host', [
    'table inet replayed',
    'delete table inet replayed',
    'table inet replayed {',
    'counter delivered {',
    '}',
    'chain arriving {',
    'type filter hook input priority 0;',
    `udp dport ${port} counter name delivered;`,
    '}',
    '}',
  ]);
  const argv = [resolve('lab/replay.py'), file, gateway, String(before), String(count)];
  const forged = ahead === undefined ? [] : [String(ahead)];
  const { stdout } = await network.exec('client', ['python3', ...argv, ...forged]);
  await sleep(ARRIVAL_MS);
  const listed = await run([...network.at('host'), 'nft', 'list', 'counters']);
  return { sent: Number(stdout), delivered: Number(/packets (\d+)/.exec(listed.stdout)?.[1]) };
}
