/** Two nodes of a strongSwan HA cluster, ours both, over a wire and a clock of the test. */
import type { HaVersion } from '../../src/cluster/charon-ha/attribute.ts';
import {
  CharonHaNode,
  type HaAction,
  type HaInput,
  type HaNodeSettings,
} from '../../src/cluster/charon-ha/node.ts';
import { haKeySchedule } from '../../src/gateway/charon-ha/keys.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';

export type HaEnd = 'a' | 'b';

export const haSettings: HaNodeSettings = {
  version: 3,
  local: '10.77.0.1',
  remote: '10.77.0.2',
  segmentCount: 2,
  hash: 'lookup3-4.1',
  heartbeatDelayMilliseconds: 1000,
  heartbeatTimeoutMilliseconds: 2100,
  autobalanceSeconds: 0,
  monitor: true,
  resync: true,
};

export function haNode(
  settings: Partial<HaNodeSettings> = {},
  known: readonly string[] = ['rw', 'rw/net'],
  limits = { ikeSas: 100, children: 10 },
): CharonHaNode {
  const knows = (connection: string, child?: string) =>
    known.includes(child === undefined ? connection : `${connection}/${child}`);
  return new CharonHaNode({ ...haSettings, ...settings }, { keys: haKeySchedule, limits, knows });
}

export class HaPair {
  now: Instant = instant(0);
  readonly nodes: Readonly<Record<HaEnd, CharonHaNode>>;
  /** What each was told to do, sending apart. */
  readonly done: Record<HaEnd, HaAction[]> = { a: [], b: [] };
  /** How many datagrams each sent. */
  readonly sent: Record<HaEnd, number> = { a: 0, b: 0 };
  cut = false;
  readonly stopped = new Set<HaEnd>();

  constructor(settings: Partial<HaNodeSettings> = {}, versions: readonly HaVersion[] = [3, 3]) {
    const [a = 3, b = 3] = versions;
    const other = { local: haSettings.remote, remote: haSettings.local };
    this.nodes = {
      a: haNode({ ...settings, version: a }),
      b: haNode({ ...settings, ...other, version: b }),
    };
  }

  start(...ends: readonly HaEnd[]): void {
    for (const end of ends) this.input(end, { kind: 'start' });
  }

  /** Gives a node something and carries what it sends. */
  input(end: HaEnd, input: HaInput): readonly HaAction[] {
    if (this.stopped.has(end)) return [];
    const actions = this.nodes[end].handle(input, this.now);
    this.done[end].push(...actions.filter(({ kind }) => kind !== 'send'));
    for (const action of actions) {
      if (action.kind !== 'send') continue;
      this.sent[end] += 1;
      const to = end === 'a' ? 'b' : 'a';
      if (!this.cut) this.input(to, { kind: 'datagram', octets: action.octets });
    }
    return actions;
  }

  /** Lets time pass for both. */
  pass(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const next = (['a', 'b'] as const)
        .filter((end) => !this.stopped.has(end))
        .map((end) => ({ end, at: this.nodes[end].nextDeadline() ?? Number.POSITIVE_INFINITY }))
        .reduce((one, other) => (other.at < one.at ? other : one), {
          end: FIRST,
          at: Number.POSITIVE_INFINITY,
        });
      if (next.at > until) break;
      this.now = instant(Math.max(next.at, this.now));
      this.input(next.end, { kind: 'time' });
    }
    this.now = instant(until);
  }

  /** The kinds of what a node was told to do since the last time. */
  took(end: HaEnd): readonly string[] {
    return this.done[end].splice(0).map((action) => action.kind);
  }
}

const FIRST: HaEnd = 'a';
