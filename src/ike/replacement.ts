/**
 * Operators' requests to rekey or reauthenticate, from the selector to the answer.
 */
import type { Input, Outcome } from './action.ts';
import { requestIkeRekey } from './exchange/rekey-ike-sa-initiator.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import { reauthenticate } from './initiation.ts';
import type { SaRegistry } from './sa-registry.ts';
import { matchChildren, matchIkeSa } from './termination.ts';
import type { Turn } from './turn.ts';
import { rekeyChild } from './upkeep.ts';

type Rekey = Extract<Input, { readonly kind: 'rekey' }>;

/** Begins the replacements; like charon's, the answer counts what was begun. */
export function startReplacements(
  turn: Turn,
  registry: SaRegistry,
  sas: readonly IkeSa[],
  { request, selector, reauthenticate: anew }: Rekey,
): void {
  const goesAlready = new Set(sas.map(({ reauthenticates }) => reauthenticates));
  const up = sas.filter(
    (sa) =>
      sa.state.name === 'Established' &&
      // One that competes with ours may not stay: nothing is asked over it.
      !sa.rivalOf &&
      // Another takes its place, or has: a second successor would be one too many.
      !sa.heir &&
      !goesAlready.has(sa),
  );
  const byChild = selector.child !== undefined || selector.childSaId !== undefined;
  const children = byChild
    ? up.flatMap((sa) => matchChildren(sa, selector)).filter(({ child }) => isReplaceable(child))
    : [];
  const ikeSas = byChild ? [] : up.filter((sa) => matchIkeSa(sa, selector));
  for (const { sa, child } of children) rekeyChild(turn, sa, child);
  for (const sa of ikeSas) {
    if (anew) reauthenticate(turn, registry, sa);
    else requestIkeRekey(turn, registry, sa);
  }
  const matches = children.length + ikeSas.length;
  const outcome: Outcome =
    matches === 0
      ? { kind: 'failed', what: 'no matching SAs to rekey found' }
      : { kind: 'done', matches, terminated: 0 };
  turn.push({ kind: 'complete', request, outcome });
}

function isReplaceable({ state }: HeldChild): boolean {
  return state.name === 'Installed';
}
