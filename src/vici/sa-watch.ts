/**
 * The streams that carry SAs as they are listed: `ike-updown`, `child-updown`, `ike-rekey`,
 * `child-rekey`, `ike-update`.
 *
 * Remembers each SA as last seen, because an SA that went down or was replaced is listed no more.
 */
import type { Event } from '../events/event.ts';
import type { ChildSaView, IkeSaView } from './control.ts';
import { childSaPairs, childSection, ikeSaPairs } from './list-sa.ts';
import { type ViciSection, viciSection } from './message.ts';

/** A stream's name and what it carries. */
export interface SaEvent {
  readonly name: string;
  readonly message: ViciSection;
}

/** The streams that are silent without a watch. */
export const SA_EVENTS = [
  'ike-updown',
  'child-updown',
  'ike-rekey',
  'child-rekey',
  'ike-update',
] as const;

type Of<Kind extends Event['kind']> = Extract<Event, { kind: Kind }>;

export class SaWatch {
  readonly #ikeSas: () => readonly IkeSaView[];
  readonly #seen = new Map<number, IkeSaView>();

  constructor(ikeSas: () => readonly IkeSaView[]) {
    this.#ikeSas = ikeSas;
    for (const view of ikeSas()) this.#seen.set(view.uniqueId, view);
  }

  /** Undefined where the event moves no SA, or one nobody saw. */
  message(event: Event): SaEvent | undefined {
    switch (event.kind) {
      case 'ike-sa-up':
        return updown('ike-updown', this.#look(event.ikeSa), true);
      case 'ike-sa-down': {
        const view = this.#look(event.ikeSa);
        this.#seen.delete(event.ikeSa);
        return updown('ike-updown', view && withoutTimes(view, 'DELETING'), false);
      }
      case 'child-sa-up':
        return updown('child-updown', this.#look(event.ikeSa), true, event.childSa);
      case 'child-sa-down': {
        const before = this.#seen.get(event.ikeSa);
        const now = this.#look(event.ikeSa);
        const child = childOf(event.childSa, now, before);
        const children = child ? [{ ...child, state: 'DELETED' }] : [];
        return updown('child-updown', now && { ...now, children }, false, event.childSa);
      }
      case 'child-sa-rekeyed':
        return this.#childRekeyed(event);
      case 'ike-sa-rekeyed':
        return this.#ikeRekeyed(event);
      case 'ike-sa-moved':
        return this.#moved(event);
      default:
        return undefined;
    }
  }

  #childRekeyed(event: Of<'child-sa-rekeyed'>): SaEvent | undefined {
    const before = this.#seen.get(event.ikeSa);
    const now = this.#look(event.ikeSa);
    const old = childOf(event.replaces, now, before);
    const made = childOf(event.childSa, now);
    if (!now || !old || !made) return undefined;
    const pair = viciSection([
      ['old', viciSection(childSaPairs({ ...old, state: 'REKEYED' }))],
      ['new', viciSection(childSaPairs(made))],
    ]);
    const children = viciSection([[event.child, pair]]);
    const ikeSa = viciSection([...ikeSaPairs(now), ['child-sas', children]]);
    return { name: 'child-rekey', message: viciSection([[now.connection, ikeSa]]) };
  }

  #ikeRekeyed(event: Of<'ike-sa-rekeyed'>): SaEvent | undefined {
    const old = this.#look(event.replaces);
    const made = this.#look(event.ikeSa);
    this.#seen.delete(event.replaces);
    if (!old || !made) return undefined;
    // As with charon: whoever asked for it has an SA that is being rekeyed, the other one just has it.
    const bare = { ...old, localVips: [], remoteVips: [] };
    const gone = event.initiator
      ? withoutTimes(bare, 'REKEYING')
      : { ...bare, state: 'ESTABLISHED' };
    const pair = viciSection([
      ['old', viciSection(ikeSaPairs(gone))],
      ['new', viciSection(ikeSaPairs(made))],
    ]);
    return { name: 'ike-rekey', message: viciSection([[made.connection, pair]]) };
  }

  /** First where it is now, then the SA as it was. */
  #moved(event: Of<'ike-sa-moved'>): SaEvent | undefined {
    const view = this.#look(event.ikeSa);
    if (!view) return undefined;
    const local = endOf(event.fromLocal);
    const remote = endOf(event.fromPeer);
    const before = {
      ...view,
      ...(local && { localHost: local.host, localPort: local.port }),
      ...(remote && { remoteHost: remote.host, remotePort: remote.port }),
    };
    return {
      name: 'ike-update',
      message: viciSection([
        ['local-host', view.localHost],
        ['local-port', view.localPort],
        ['remote-host', view.remoteHost],
        ['remote-port', view.remotePort],
        [view.connection, viciSection(ikeSaPairs(before))],
      ]),
    };
  }

  /** The SA as it is listed, or else as it was. */
  #look(number: number): IkeSaView | undefined {
    const view = this.#ikeSas().find(({ uniqueId }) => uniqueId === number);
    if (view !== undefined) this.#seen.set(number, view);
    return view ?? this.#seen.get(number);
  }
}

/** An SA that goes has no times any more. */
function withoutTimes(view: IkeSaView, state: string): IkeSaView {
  const { establishedSeconds, rekeySeconds, reauthSeconds, ...rest } = view;
  return { ...rest, state };
}

function childOf(
  number: number,
  ...views: readonly (IkeSaView | undefined)[]
): ChildSaView | undefined {
  return views.flatMap((view) => view?.children ?? []).find(({ uniqueId }) => uniqueId === number);
}

/** `192.0.2.1[4500]` in its parts. */
function endOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = /^(.+)\[(\d{1,5})\]$/.exec(text) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}

function updown(
  name: string,
  view: IkeSaView | undefined,
  up: boolean,
  childSa?: number,
): SaEvent | undefined {
  if (view === undefined) return undefined;
  const children = view.children.filter(({ uniqueId }) => uniqueId === childSa);
  const ikeSa = viciSection([
    ...ikeSaPairs(view),
    ['child-sas', childSa === undefined ? undefined : childSection(children)],
  ]);
  return {
    name,
    message: viciSection([
      ['up', up ? true : undefined],
      [view.connection, ikeSa],
    ]),
  };
}
