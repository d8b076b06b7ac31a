/**
 * Says which algorithms of a new SA are weak. They are only ever chosen because the operator named
 * them (RFC 8221, RFC 8247: SHA-1 is on its way out), and should be seen each time they are used.
 */
import {
  encryptionAlgorithm,
  integrityAlgorithm,
  keyExchangeAlgorithm,
  prfAlgorithm,
} from '../crypto/algorithms.ts';
import type { ChosenProposal } from '../ipsec/proposal.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

export function reportWeakAlgorithms(
  turn: Turn,
  sa: IkeSa,
  { encr, prf, integ, ke }: ChosenProposal,
  where: string,
): void {
  const chosen = [
    encr && encryptionAlgorithm(encr.id),
    prf && prfAlgorithm(prf.id),
    integ && integrityAlgorithm(integ.id),
    ke && keyExchangeAlgorithm(ke.id),
  ];
  for (const algorithm of chosen) {
    if (!algorithm?.weak) continue;
    turn.emit({ kind: 'weak-algorithm', algorithm: algorithm.name, where, ...sa.subject });
  }
}
