/** tsgw's half of a strongSwan HA cluster on a real clock, its socket in the namespace of a node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type HaNode, haAddresses } from '../../lab/charon-ha.ts';
import type { Network } from '../../lab/namespaces.ts';
import {
  CharonHaNode,
  type HaAction,
  type HaInput,
  type HaNodeSettings,
} from '../../src/cluster/charon-ha/node.ts';
import { haKeySchedule } from '../../src/gateway/charon-ha-keys.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { haSettings } from './ha-nodes.ts';

export class HaPartner {
  readonly node: CharonHaNode;
  /** What it was told to do, sending apart. */
  readonly done: HaAction[] = [];
  readonly #socket: ChildProcess;
  #timer: NodeJS.Timeout | undefined;

  private constructor(node: CharonHaNode, socket: ChildProcess) {
    this.node = node;
    this.#socket = socket;
  }

  /** At node b where charon is at node a, or the other way round. */
  static async start(
    network: Network,
    at: HaNode,
    settings: Partial<HaNodeSettings>,
  ): Promise<HaPartner> {
    const [local, remote] = [haAddresses.sync[at], haAddresses.sync[at === 'a' ? 'b' : 'a']];
    const node = new CharonHaNode(
      { ...haSettings, ...settings, local, remote },
      {
        keys: haKeySchedule,
        limits: { ikeSas: 1000, children: 100 },
        knows: (connection, child) => connection === 'rw' && (child ?? 'net') === 'net',
      },
    );
    const [file = '', ...argv] = network.at(at);
    const program = [process.execPath, resolve('build/lab/ha-socket.js'), local, remote];
    const socket = spawn(file, [...argv, ...program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const partner = new HaPartner(node, socket);
    const lines = createInterface({ input: socket.stdout });
    await new Promise<void>((ready) => lines.once('line', () => ready()));
    lines.on('line', (line) => partner.input({ kind: 'datagram', octets: fromHex(line) }));
    partner.input({ kind: 'start' });
    return partner;
  }

  input(input: HaInput): void {
    for (const action of this.node.handle(input, now())) {
      if (action.kind === 'send') this.#socket.stdin?.write(`${toHex(action.octets)}\n`);
      else this.done.push(action);
    }
    clearTimeout(this.#timer);
    const deadline = this.node.nextDeadline();
    if (deadline === undefined) return;
    const wait = Math.max(0, deadline - now());
    this.#timer = setTimeout(() => this.input({ kind: 'time' }), Math.ceil(wait));
  }

  /** Ends it without a word. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#socket.kill('SIGKILL');
  }
}

function now(): Instant {
  return instant(performance.now());
}
