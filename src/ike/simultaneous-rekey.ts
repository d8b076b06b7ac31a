/**
 * What becomes of a Child SA, and of a second successor, when it is replaced (RFC 7296 §2.8.1).
 */
import { after } from '../wire/instant.ts';
import type { ChildAttempt } from './child-wish.ts';
import { deleteChild, drain, setOutbound } from './deletion.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

/** Time the peer has to delete what it made, or what it replaced, before we do. */
const PATIENCE_MS = 60_000;

/** Our rekey of this Child SA that is out, if there is one. */
export function rekeyInFlight(sa: IkeSa, child: HeldChild): ChildAttempt | undefined {
  const purpose = sa.inFlight;
  return purpose?.kind === 'create-child' && purpose.wish.replaces === child
    ? purpose.attempt
    : undefined;
}

/** The attempt of ours that this Child SA competes with, while it is undecided. */
export function rivalled(sa: IkeSa, child: HeldChild): ChildAttempt | undefined {
  const purpose = sa.inFlight;
  if (purpose?.kind !== 'create-child' || !purpose.wish.replaces?.isUp) return undefined;
  return purpose.attempt?.rival?.child === child ? purpose.attempt : undefined;
}

/** We replaced it: it is ours to delete. A rival of the successor is the peer's to delete. */
export function rekeyed(turn: Turn, sa: IkeSa, old: HeldChild, rival: HeldChild | undefined): void {
  if (rival?.isUp && sa.children.has(rival.childSa.id)) {
    rival.move({ name: 'Redundant', until: after(turn.now, PATIENCE_MS) });
    setOutbound(turn, rival, 'never');
  }
  if (!sa.children.has(old.childSa.id)) return;
  if (old.isUp) setOutbound(turn, old, 'never');
  deleteChild(turn, sa, old, 'rekeyed', true);
}

/** The peer replaced it: it is the peer's to delete, and sends until then. */
export function replacedByPeer(turn: Turn, old: HeldChild, successor: HeldChild): void {
  if (!old.isUp) return;
  old.move({ name: 'Replaced', successor, until: after(turn.now, PATIENCE_MS) });
}

/** A second successor that its maker took back: the other one stands. */
export function rivalWithdrawn(turn: Turn, sa: IkeSa, attempt: ChildAttempt): void {
  const { rival } = attempt;
  if (!rival) return;
  delete attempt.rival;
  if (rival.child.isUp) rival.child.move({ name: 'Redundant', until: turn.now });
  drain(turn, sa, rival.child);
}
