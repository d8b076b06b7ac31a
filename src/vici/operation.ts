/**
 * Commands that take exchanges, and time: `initiate`, `terminate`, and what `rekey` and
 * `redirect` share with them.
 *
 * An operation is prepared here, purely; the server starts it, sends `control-log` while it runs
 * and gives the answer when it ends or the client's timeout passes.
 */

import type { Event } from '../events/event.ts';
import { ikeSubject } from '../events/log-text.ts';
import { failure, success } from './answers.ts';
import type {
  Control,
  ControlOutcome,
  IkeSaView,
  SaSelection,
  TerminateSelector,
} from './control.ts';
import { childMatches } from './list-sa.ts';
import { type ViciContent, type ViciSection, viciSection, viciText } from './message.ts';

export interface Operation {
  /** Whether `control-log` shows this event to who asked. */
  concerns(event: Event): boolean;
  /** Sentences above this level are not shown; -1 shows none. */
  readonly logLevel: number;
  /** How long the client waits: 0 for ever, -1 not at all. */
  readonly timeoutMilliseconds: number;
  start(): Promise<ControlOutcome>;
  answer(end: OperationEnd): ViciSection;
}

export type OperationEnd =
  | ControlOutcome
  /** The client did not want to wait. */
  | { readonly kind: 'started' }
  /** The client's timeout passed; what was started goes on. */
  | { readonly kind: 'not-in-time' };

export type Prepared =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'refused'; readonly answer: ViciSection };

export function prepareInitiate(control: Control, request: ViciSection): Prepared {
  const child = viciText(request, 'child');
  const ike = viciText(request, 'ike');
  if (child === undefined && ike === undefined) return refused('missing configuration name');
  const what = child === undefined ? `IKE_SA '${ike}'` : `CHILD_SA '${child}'`;
  const connections = new Set(
    control
      .connections(ike)
      .filter((one) => ike === undefined || one.name === ike)
      .filter((one) => child === undefined || one.children.some(({ name }) => name === child))
      .map(({ name }) => name),
  );
  if (connections.size === 0) return refused(`${what.replace(' ', ' config ')} not found`);
  const timeoutMilliseconds = timeoutOf(request);
  return operation({
    concerns: (event) => connections.has(ikeSubject(event)?.connection ?? ''),
    logLevel: numberOf(request, 'loglevel') ?? 1,
    timeoutMilliseconds,
    start: () => control.initiate(child, ike),
    answer: (end) => {
      if (end.kind === 'done' || end.kind === 'started') return success();
      if (end.kind === 'not-in-time') {
        return failed(`${what} not established after ${timeoutMilliseconds}ms`, 'timeout');
      }
      return failed(`establishing ${what} failed: ${end.what}`, end.kind);
    },
  });
}

export function prepareTerminate(control: Control, request: ViciSection): Prepared {
  const selection = selectionOf(request);
  if (selectsAll(selection)) return refused('missing terminate selector');
  const selector: TerminateSelector = { ...selection, force: viciText(request, 'force') === 'yes' };
  const { ikeSas, matches } = selected(control, selector);
  if (ikeSas.length === 0) {
    return refused('no matching SAs to terminate found', counts(0, 0));
  }
  const numbers = new Set(ikeSas.map(({ uniqueId }) => uniqueId));
  const timeoutMilliseconds = timeoutOf(request);
  return operation({
    concerns: (event) => numbers.has(ikeSubject(event)?.ikeSa ?? 0),
    logLevel: numberOf(request, 'loglevel') ?? 1,
    timeoutMilliseconds,
    start: () => control.terminate(selector),
    answer: (end) => {
      if (end.kind === 'done') return success(counts(end.matches, end.terminated));
      if (end.kind === 'started') return success(counts(matches, matches));
      const [kind, what] =
        end.kind === 'not-in-time'
          ? ['timeout', `SAs not terminated after ${timeoutMilliseconds}ms`]
          : [end.kind, `terminating SAs failed: ${end.what}`];
      return failed(what, kind, counts(matches, 0));
    },
  });
}

export function operation(one: Operation): Prepared {
  return { kind: 'operation', operation: one };
}

export function refused(
  what: string,
  more: readonly (readonly [string, ViciContent])[] = [],
): Prepared {
  return { kind: 'refused', answer: failure(what, more) };
}

/** `tsgw-outcome` tells our own command line how it failed; other clients pass over it. */
export function failed(
  what: string,
  kind: string,
  more: readonly (readonly [string, ViciContent])[] = [],
): ViciSection {
  return new Map([...failure(what, more), ...viciSection([['tsgw-outcome', kind]])]);
}

/** What a request selects SAs by. */
export function selectionOf(request: ViciSection): SaSelection {
  const ike = viciText(request, 'ike');
  const child = viciText(request, 'child');
  const ikeId = numberOf(request, 'ike-id');
  const childId = numberOf(request, 'child-id');
  return {
    ...(ike === undefined ? {} : { ike }),
    ...(child === undefined ? {} : { child }),
    ...(ikeId === undefined ? {} : { ikeId }),
    ...(childId === undefined ? {} : { childId }),
  };
}

/** The IKE SAs selected, and how many SAs that are: Child SAs where one is named. */
export function selected(
  control: Control,
  selection: SaSelection,
): { readonly ikeSas: readonly IkeSaView[]; readonly matches: number } {
  // Those of other nodes are theirs to command.
  const ikeSas = control
    .ikeSas()
    .filter((view) => view.state !== 'PASSIVE' && isSelected(view, selection));
  const matches = byChild(selection)
    ? ikeSas.flatMap(({ children }) => children.filter((one) => childMatches(one, selection)))
    : ikeSas;
  return { ikeSas, matches: matches.length };
}

/** Nothing is named; number 0 names nothing. */
export function selectsAll({ ike, ikeId, child, childId }: SaSelection): boolean {
  return ike === undefined && child === undefined && !ikeId && !childId;
}

function counts(matches: number, terminated: number): readonly (readonly [string, ViciContent])[] {
  return [
    ['matches', matches],
    ['terminated', terminated],
  ];
}

function isSelected(view: IkeSaView, selector: SaSelection): boolean {
  if (selector.ike !== undefined && selector.ike !== view.connection) return false;
  if (selector.ikeId !== undefined && selector.ikeId !== view.uniqueId) return false;
  return !byChild(selector) || view.children.some((child) => childMatches(child, selector));
}

function byChild(selector: SaSelection): boolean {
  return selector.child !== undefined || selector.childId !== undefined;
}

/** How long the client waits: 0 for ever, -1 not at all. */
export function timeoutOf(request: ViciSection, otherwise = 0): number {
  return numberOf(request, 'timeout') ?? otherwise;
}

/** A decimal number, or undefined where there is none. */
export function numberOf(request: ViciSection, name: string): number | undefined {
  const text = viciText(request, name);
  return text !== undefined && /^-?\d{1,10}$/.test(text) ? Number(text) : undefined;
}
