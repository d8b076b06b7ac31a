/**
 * One IKE SA takes the place of another (RFC 7296 §2.8, §2.8.2, §2.18): it inherits the Child SAs
 * and what still waits to be requested.
 */
import { formatProposal } from '../ipsec/proposal.ts';
import { after } from '../wire/instant.ts';
import { chosenAsProposal } from './child-negotiation.ts';
import type { IkeSa, RequestPurpose } from './ike-sa.ts';
import type { Turn } from './turn.ts';
import { inheritAddresses } from './virtual-addresses.ts';

/** Time the peer has to delete what it made, or what it replaced, before we do. */
const PATIENCE_MS = 60_000;

/** The heir has everything of the old one from now on. */
export function succeed(turn: Turn, old: IkeSa, heir: IkeSa): void {
  for (const [id, child] of old.children) heir.children.set(id, child);
  old.children.clear();
  inheritAddresses(turn, old, heir);
  for (const request of old.requests) heir.requests.add(request);
  old.requests.clear();
  heir.wishes.push(...old.wishes.splice(0));
  heir.postponed.push(...old.postponed.splice(0));
  old.replaced = true;
  heir.replaced = false;
  turn.touched.add(old.ownSpi).add(heir.ownSpi);
  turn.emit({
    kind: 'ike-sa-rekeyed',
    replaces: old.id,
    initiator: heir.initiator,
    spiI: heir.spiI,
    spiR: heir.spiR,
    suite: heir.secured ? formatProposal(chosenAsProposal(heir.secured.suite.proposal)) : '',
    ...heir.subject,
  });
  for (const wish of old.window.drain()) if (goesOver(wish.purpose)) heir.window.add(wish);
  heir.proceed(turn);
}

/** An IKE SA that is of no use any more; who made or replaced it, the peer, deletes it. */
export function awaitDelete(turn: Turn, sa: IkeSa): void {
  if (sa.state.name !== 'Established') return;
  const { secured, peer } = sa.state;
  sa.replaced = true;
  sa.move({ name: 'AwaitingDelete', secured, peer, until: after(turn.now, PATIENCE_MS) });
  turn.touched.add(sa.ownSpi);
}

/** What concerns Child SAs, or the path, concerns the heir. */
function goesOver({ kind }: RequestPurpose): boolean {
  if (kind === 'probe-path') return true;
  return kind === 'create-child' || kind === 'delete-child-sa' || kind === 'withdraw-child-sa';
}
