/**
 * Operators' requests to delete SAs, from the selector to the answer (RFC 7296 §1.4.1).
 */
import type { Outcome, SaSelector } from './action.ts';
import { deleteChild, deleteIkeSa } from './deletion.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

const DELETED: Outcome = { kind: 'failed', what: 'the IKE SA was deleted by the operator' };

/** What operators hear of an IKE SA that another node goes on with. */
export const ELSEWHERE: Outcome = { kind: 'failed', what: 'the IKE SA goes on at another node' };

interface Termination {
  readonly request: number;
  readonly matches: number;
  readonly ikeSas: readonly IkeSa[];
  readonly children: readonly { readonly sa: IkeSa; readonly child: HeldChild }[];
}

export class Terminations {
  readonly #waiting = new Map<number, Termination>();

  start(
    turn: Turn,
    sas: readonly IkeSa[],
    request: number,
    { selector, force }: { readonly selector: SaSelector; readonly force: boolean },
  ): void {
    const byChild = selector.child !== undefined || selector.childSaId !== undefined;
    const children = byChild ? sas.flatMap((sa) => matchChildren(sa, selector)) : [];
    const ikeSas = byChild ? [] : sas.filter((sa) => matchIkeSa(sa, selector));
    for (const { sa, child } of children) {
      deleteChild(turn, sa, child, 'deleted by the operator');
      if (force) sa.removeChild(turn, child, 'deleted by the operator');
    }
    for (const sa of ikeSas) terminate(turn, sa, force);
    const matches = ikeSas.length + children.length;
    this.#waiting.set(request, { request, matches, ikeSas, children });
  }

  /** These IKE SAs go on elsewhere: who waits for their end waits no longer. */
  abandon(turn: Turn, sas: ReadonlySet<IkeSa>): void {
    for (const { request, ikeSas, children } of this.#waiting.values()) {
      if (!ikeSas.some((sa) => sas.has(sa)) && !children.some(({ sa }) => sas.has(sa))) continue;
      this.#waiting.delete(request);
      turn.push({ kind: 'complete', request, outcome: ELSEWHERE });
    }
  }

  /** Answers the requests whose SAs are gone. */
  complete(turn: Turn): void {
    for (const { request, matches, ikeSas, children } of this.#waiting.values()) {
      const gone =
        ikeSas.every(({ state }) => state.name === 'Closed') &&
        children.every(({ sa, child }) => !sa.children.has(child.childSa.id));
      if (!gone) continue;
      this.#waiting.delete(request);
      const outcome: Outcome = { kind: 'done', matches, terminated: matches };
      turn.push({ kind: 'complete', request, outcome });
    }
  }
}

function terminate(turn: Turn, sa: IkeSa, force: boolean): void {
  const reason = 'deleted by the operator';
  deleteIkeSa(turn, sa, reason, DELETED);
  // An SA that is not established has no peer to tell.
  if (force || sa.state.name !== 'AwaitingDeleteResponse') sa.close(turn, reason, DELETED);
}

export function matchIkeSa(sa: IkeSa, { ike, ikeSaId }: SaSelector): boolean {
  return (
    (ike === undefined || sa.connection.name === ike) &&
    (ikeSaId === undefined || sa.id === ikeSaId)
  );
}

export function matchChildren(sa: IkeSa, selector: SaSelector): Termination['children'] {
  if (!matchIkeSa(sa, selector)) return [];
  const { child, childSaId } = selector;
  return [...sa.children.values()]
    .filter(
      ({ childSa: { name, id }, isHeldByPeer }) =>
        isHeldByPeer &&
        (child === undefined || name === child) &&
        (childSaId === undefined || id === childSaId),
    )
    .map((one) => ({ sa, child: one }));
}
