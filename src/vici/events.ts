/**
 * The event streams of the vici protocol, derived from the one list of events.
 *
 * `log` and `control-log` carry sentences, `alert` the name of what is wrong, `tsgw-event` the event
 * itself; those that carry SAs as they are listed stand in `sa-watch.ts`.
 */
import { alertOf } from '../events/alert.ts';
import type { Event } from '../events/event.ts';
import { eventFields, eventLevel, logLine } from '../events/log-line.ts';
import { ikeSubject, logTexts } from '../events/log-text.ts';
import { CAPTURE_KEY_EVENT, CAPTURED_EVENT } from './capture-view.ts';
import { SEGMENT_EVENT } from './cluster.ts';
import type { IkeSaView } from './control.ts';
import { ikeSaPairs } from './list-sa.ts';
import { transformSections } from './list-tsgw.ts';
import { type ViciSection, viciSection } from './message.ts';

/** Every stream a client may register for. */
export const EVENT_NAMES: ReadonlySet<string> = new Set([
  'log',
  'control-log',
  'list-sa',
  'list-policy',
  'list-conn',
  'list-cert',
  'list-authority',
  'ike-updown',
  'ike-rekey',
  'ike-update',
  'child-updown',
  'child-rekey',
  'alert',
  'tsgw-event',
  CAPTURED_EVENT,
  CAPTURE_KEY_EVENT,
  'tsgw-sad-row',
  'tsgw-spd-row',
  'tsgw-why-row',
  SEGMENT_EVENT,
]);

/** What `log` carries: each step, no detail. */
const LOG_LEVEL = 1;

/** The messages of `log` for an event. */
export function logMessages(event: Event): readonly ViciSection[] {
  return sentences(event, LOG_LEVEL, [['thread', 1]]);
}

/** The messages of `control-log` for an event, up to the level the client asked for. */
export function controlLogMessages(event: Event, level: number): readonly ViciSection[] {
  return sentences(event, level, []);
}

/** `alert`: its name and, where it concerns one, the IKE SA; undefined where all is well. */
export function alertMessage(
  event: Event,
  ikeSas: () => readonly IkeSaView[],
): ViciSection | undefined {
  const type = alertOf(event);
  if (type === undefined) return undefined;
  const number = ikeSubject(event)?.ikeSa;
  const view = number === undefined ? undefined : ikeSas().find((sa) => sa.uniqueId === number);
  return viciSection([
    ['type', type],
    ['ikesa', view && viciSection([[view.connection, viciSection(ikeSaPairs(view))]])],
  ]);
}

/** `tsgw-event`: kind, level, the log line, then every field under the key the log line uses. */
export function eventMessage(event: Event): ViciSection {
  const transforms = event.kind === 'refused' ? event.transforms : [];
  return viciSection([
    ['kind', event.kind],
    ['level', eventLevel(event)],
    ['line', logLine(event)],
    ...eventFields(event).filter(([key]) => key !== 'transforms'),
    ['transforms', transforms.length === 0 ? undefined : transformSections(transforms)],
  ]);
}

function sentences(
  event: Event,
  level: number,
  thread: readonly (readonly [string, number])[],
): readonly ViciSection[] {
  const subject = ikeSubject(event);
  return logTexts(event)
    .filter((one) => one.level <= level)
    .map((one) =>
      viciSection([
        ['group', one.group],
        ['level', one.level],
        ...thread,
        ['ikesa-name', subject?.connection],
        ['ikesa-uniqueid', subject?.ikeSa],
        ['msg', one.text],
      ]),
    );
}
