/**
 * What the daemon says about itself: version, statistics, counters, algorithms.
 *
 * `stats` keeps strongSwan's keys: swanctl prints nothing where one is missing. tsgw has no worker
 * pool and no job queue, so those say one worker and empty queues.
 */
import type { StatsView } from './control.ts';
import { type ViciSection, viciSection } from './message.ts';

export function versionAnswer(stats: StatsView): ViciSection {
  return viciSection([
    ['daemon', 'tsgw'],
    ['version', stats.version],
    ['sysname', stats.sysname],
    ['release', stats.release],
    ['machine', stats.machine],
  ]);
}

export function statsAnswer(stats: StatsView): ViciSection {
  return viciSection([
    [
      'uptime',
      viciSection([
        ['running', duration(stats.uptimeSeconds)],
        ['since', stats.since],
      ]),
    ],
    [
      'workers',
      viciSection([
        ['total', 1],
        ['idle', 1],
        ['active', byPriority()],
      ]),
    ],
    ['queues', byPriority()],
    ['scheduled', 0],
    [
      'ikesas',
      viciSection([
        ['total', stats.ikeSas],
        ['half-open', stats.halfOpen],
      ]),
    ],
    ['plugins', ['tsgw']],
  ]);
}

/** Counters of the daemon (under the empty name), of one connection or of all that have some. */
export function countersAnswer(
  counters: Readonly<Record<string, Readonly<Record<string, number>>>>,
): ViciSection {
  return viciSection([
    [
      'counters',
      viciSection(Object.entries(counters).map(([name, values]) => [name, counterSection(values)])),
    ],
    ['success', true],
  ]);
}

/** Sections of algorithms by kind; the plugin that has them is always tsgw itself. */
export function algorithmsAnswer(
  algorithms: Readonly<Record<string, readonly string[]>>,
): ViciSection {
  return viciSection(
    Object.entries(algorithms).map(([kind, names]) => [
      kind,
      viciSection(names.map((name) => [name, 'tsgw'])),
    ]),
  );
}

/** strongSwan's way: the largest unit of which there are more than two. */
export function duration(seconds: number): string {
  const [unit, of] =
    seconds > 2 * 86_400
      ? (['days', 86_400] as const)
      : seconds > 2 * 3600
        ? (['hours', 3600] as const)
        : seconds > 2 * 60
          ? (['minutes', 60] as const)
          : (['seconds', 1] as const);
  const count = Math.floor(seconds / of);
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`;
}

function byPriority(): ViciSection {
  return viciSection(['critical', 'high', 'medium', 'low'].map((name) => [name, 0]));
}

function counterSection(values: Readonly<Record<string, number>>): ViciSection {
  return viciSection(COUNTER_NAMES.map((name) => [name, values[name] ?? 0]));
}

/** strongSwan's counters in its order. */
export const COUNTER_NAMES = [
  'ike-rekey-init',
  'ike-rekey-resp',
  'child-rekey',
  'invalid',
  'invalid-spi',
  'ike-init-in-req',
  'ike-init-in-resp',
  'ike-init-out-req',
  'ike-init-out-resp',
  'ike-auth-in-req',
  'ike-auth-in-resp',
  'ike-auth-out-req',
  'ike-auth-out-resp',
  'create-child-in-req',
  'create-child-in-resp',
  'create-child-out-req',
  'create-child-out-resp',
  'info-in-req',
  'info-in-resp',
  'info-out-req',
  'info-out-resp',
] as const;
