/**
 * What both roles of IKE_AUTH do alike: the IKE SA is up (RFC 7296 §1.2).
 */
import { formatIdentity, type Identity } from '../../ipsec/identity.ts';
import { formatProposal } from '../../ipsec/proposal.ts';
import { chosenAsProposal } from '../child-negotiation.ts';
import { startAuthenticationLifetime, startIkeLifetime } from '../ike-lifetime.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Secured } from '../ike-sa-state.ts';
import type { Turn } from '../turn.ts';
import { reportWeakAlgorithms } from '../weak-algorithms.ts';

/** Both peers proved who they are: the state says so, and an event. */
export function establish(
  turn: Turn,
  sa: IkeSa,
  secured: Secured,
  { localId, remoteId }: { readonly localId: Identity; readonly remoteId: Identity },
): void {
  sa.move({ name: 'Established', secured, peer: { localId, remoteId, since: turn.now } });
  turn.emit({
    kind: 'ike-sa-up',
    initiator: sa.initiator,
    spiI: sa.spiI,
    spiR: sa.spiR,
    localId: formatIdentity(localId),
    remoteId: formatIdentity(remoteId),
    suite: formatProposal(chosenAsProposal(secured.suite.proposal)),
    ...sa.subject,
  });
  startIkeLifetime(turn, sa);
  startAuthenticationLifetime(turn, sa);
  reportWeakAlgorithms(turn, sa, secured.suite.proposal, `IKE SA ${sa.connection.name}`);
}
