/**
 * The event streams of the vici protocol, derived from the one list of events.
 *
 * `log` and `control-log` carry sentences, `ike-updown` and `child-updown` the SA as it is listed,
 * `tsgw-event` the event itself. The streams of rekeying and MOBIKE can be asked for and are silent.
 */
import type { Event } from '../events/event.ts';
import { eventFields, eventLevel, logLine } from '../events/log-line.ts';
import { ikeSubject, logTexts } from '../events/log-text.ts';
import type { IkeSaView } from './control.ts';
import { childSection, ikeSaPairs } from './list-sa.ts';
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
  'tsgw-event',
  'tsgw-sad-row',
  'tsgw-spd-row',
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

/** `tsgw-event`: kind, level, the log line, then every field under the key the log line uses. */
export function eventMessage(event: Event): ViciSection {
  const transforms = event.kind === 'refused' ? event.transforms : [];
  return viciSection([
    ['kind', event.kind],
    ['level', eventLevel(event)],
    ['line', logLine(event)],
    ...eventFields(event).filter(([key]) => key !== 'transforms'),
    [
      'transforms',
      transforms.length === 0
        ? undefined
        : viciSection(
            transforms.map(({ type, offered, accepted }) => [
              type,
              viciSection([
                ['offered', offered],
                ['accepted', accepted],
              ]),
            ]),
          ),
    ],
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

/**
 * `ike-updown` and `child-updown`. Remembers each SA as last seen, because an SA that went down is
 * listed no more. Nothing is kept while nobody watches.
 */
export class UpdownWatch {
  readonly #ikeSas: () => readonly IkeSaView[];
  readonly #seen = new Map<number, IkeSaView>();

  constructor(ikeSas: () => readonly IkeSaView[]) {
    this.#ikeSas = ikeSas;
    for (const view of ikeSas()) this.#seen.set(view.uniqueId, view);
  }

  /** The stream's name and message, or undefined where the event moves no SA. */
  message(event: Event): { readonly name: string; readonly message: ViciSection } | undefined {
    switch (event.kind) {
      case 'ike-sa-up':
        return updown('ike-updown', this.#look(event.ikeSa), true);
      case 'ike-sa-down': {
        const view = this.#look(event.ikeSa);
        this.#seen.delete(event.ikeSa);
        return updown('ike-updown', view && deleting(view), false);
      }
      case 'child-sa-up':
        return updown('child-updown', this.#look(event.ikeSa), true, event.childSa);
      case 'child-sa-down': {
        const before = this.#seen.get(event.ikeSa);
        const now = this.#look(event.ikeSa);
        const children = [...(now?.children ?? []), ...(before?.children ?? [])]
          .filter(({ uniqueId }) => uniqueId === event.childSa)
          .slice(0, 1)
          .map((child) => ({ ...child, state: 'DELETED' }));
        return updown('child-updown', now && { ...now, children }, false, event.childSa);
      }
      default:
        return undefined;
    }
  }

  /** The SA as it is listed, or else as it was. */
  #look(number: number): IkeSaView | undefined {
    const view = this.#ikeSas().find(({ uniqueId }) => uniqueId === number);
    if (view !== undefined) this.#seen.set(number, view);
    return view ?? this.#seen.get(number);
  }
}

/** An SA that goes has no times any more. */
function deleting({ establishedSeconds, rekeySeconds, ...view }: IkeSaView): IkeSaView {
  return { ...view, state: 'DELETING' };
}

function updown(
  name: string,
  view: IkeSaView | undefined,
  up: boolean,
  childSa?: number,
): { readonly name: string; readonly message: ViciSection } | undefined {
  if (view === undefined) return undefined;
  const children = view.children.filter(({ uniqueId }) => uniqueId === childSa);
  return {
    name,
    message: viciSection([
      ['up', up ? true : undefined],
      [
        view.connection,
        viciSection([
          ...ikeSaPairs(view),
          ['child-sas', childSa === undefined ? undefined : childSection(children)],
        ]),
      ],
    ]),
  };
}
