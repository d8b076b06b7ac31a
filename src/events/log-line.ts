/**
 * The log line of an event: `key=value` pairs, the same key for the same thing everywhere.
 *
 * Derived from the event: `ikeSa` becomes `ike-sa`, values that hold blanks are quoted. What a
 * peer sent cannot break the line: control characters are escaped.
 */
import { alertOf } from './alert.ts';
import type { ClusterEvent } from './cluster-event.ts';
import { clusterLevel } from './cluster-text.ts';
import type { Event, Level } from './event.ts';

/** A value of an event as it is logged; a list of transforms becomes one text each. */
export type EventField = readonly [
  key: string,
  value: string | number | boolean | readonly string[],
];

export function eventLevel(event: Event): Level {
  if (event.kind === 'daemon') return event.level;
  // What strangers ask for is no operator's business, and must not fill a log.
  if (event.kind === 'refused' && event.ikeSa === 0) return 'debug';
  return isOfCluster(event) ? clusterLevel(event) : levels[event.kind];
}

function isOfCluster(event: Event): event is ClusterEvent {
  return event.kind.startsWith('cluster-');
}

/** Whether an event of this level is shown when `threshold` is asked for. */
export function isShown(level: Level, threshold: Level): boolean {
  return order.indexOf(level) <= order.indexOf(threshold);
}

/** `notice ike-sa-up ike-sa=1 connection=peer peer=192.0.2.2[4500] ...` */
export function logLine(event: Event): string {
  const pairs = eventFields(event).map(([key, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value);
    return `${key}=${quote(text)}`;
  });
  return [eventLevel(event), event.kind, ...pairs].join(' ');
}

/** The event as one flat object, for logs that machines read. */
export function logRecord(event: Event): Readonly<Record<string, EventField[1]>> {
  return Object.fromEntries([
    ['level', eventLevel(event)],
    ['event', event.kind],
    ...eventFields(event),
  ]);
}

/** Everything the event says but its kind and level: whom it is about first. */
export function eventFields(event: Event): readonly EventField[] {
  const subject: EventField[] = [];
  const rest: EventField[] = [];
  for (const [name, value] of Object.entries(event)) {
    if (value === undefined || name === 'kind' || name === 'level') continue;
    const field: EventField = [kebab(name), isTransforms(value) ? value.map(transform) : value];
    (subjects.has(name) ? subject : rest).push(field);
  }
  const alert = named.has(event.kind) ? alertOf(event) : undefined;
  return [...subject, ...(alert === undefined ? [] : [['alert', alert] as const]), ...rest];
}

type Value = string | number | boolean | readonly string[] | Transforms;
type Transforms = Extract<Event, { kind: 'refused' }>['transforms'];

function isTransforms(value: Value): value is Transforms {
  return Array.isArray(value) && value.some((item) => typeof item === 'object');
}

function transform(one: Transforms[number]): string {
  return `${one.type}: offered ${one.offered.join('/')} accepted ${one.accepted.join('/')}`;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function quote(text: string): string {
  if (/^[!#-<>-~]+$/.test(text)) return text;
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Failures that carry the name under which monitoring knows them. */
const named: ReadonlySet<Event['kind']> = new Set([
  'refused',
  'authentication-failed',
  'peer-unreachable',
  'peer-fault',
]);

const subjects = new Set(['ikeSa', 'connection', 'local', 'peer']);

const order: readonly Level[] = ['error', 'notice', 'debug', 'trace'];

/** The level of each event that does not bring its own. */
const levels: Readonly<Record<Exclude<Event['kind'], 'daemon' | ClusterEvent['kind']>, Level>> = {
  message: 'trace',
  'ike-sa-up': 'notice',
  'ike-sa-down': 'notice',
  'child-sa-up': 'notice',
  'child-sa-down': 'notice',
  'child-sa-rekeyed': 'notice',
  'ike-sa-rekeyed': 'notice',
  'ike-sa-moved': 'notice',
  redirected: 'notice',
  'virtual-addresses': 'notice',
  alert: 'error',
  refused: 'error',
  'authentication-failed': 'error',
  'peer-fault': 'error',
  retransmit: 'debug',
  'peer-unreachable': 'error',
  'nat-detected': 'debug',
  'weak-algorithm': 'error',
  'policy-mismatch': 'error',
  'ike-drop': 'trace',
  'path-mtu': 'debug',
};
