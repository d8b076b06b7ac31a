/**
 * Rekeying the IKE SA, what both roles do alike (RFC 7296 §1.3.2, §2.8.2, §2.18): the new IKE SA is born
 * of the old one, and of two that both ends made one stays.
 *
 * The new IKE SA inherits the Child SAs; traffic notices nothing.
 */

import { currentConnection } from '../current-policy.ts';
import { deleteIkeSa } from '../deletion.ts';
import { startIkeLifetime } from '../ike-lifetime.ts';
import { type IkeRekeyAttempt, IkeSa } from '../ike-sa.ts';
import type { Secured } from '../ike-sa-state.ts';
import type { IkeSuite } from '../keys.ts';
import { type IkeSpi, NO_IKE_SPI } from '../message/message.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { secure } from '../secure.ts';
import { awaitDelete, succeed } from '../succession.ts';
import type { Turn } from '../turn.ts';
import { reportWeakAlgorithms } from '../weak-algorithms.ts';

export const REPLACED = { kind: 'failed', what: 'the IKE SA was replaced' } as const;

/** What a new IKE SA is made of. */
export interface Birth {
  readonly initiator: boolean;
  readonly suite: IkeSuite;
  readonly sharedSecret: Parameters<typeof secure>[2]['sharedSecret'];
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
}

/** A new IKE SA between the same peers, keyed from the old one (§2.18). Its message ids start at 0. */
export function bear(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  birth: Birth,
): IkeSa | undefined {
  if (!('peer' in old.state)) return undefined;
  const { secured: before, peer } = old.state;
  const { nat, udpEncapsulation } = before;
  const secured: Secured = secure(turn, birth, { ...birth, nat, udpEncapsulation }, before);
  const heir = new IkeSa({
    id: turn.numbers.newIkeSaId(),
    initiator: birth.initiator,
    originalInitiator: old.originalInitiator,
    connection: currentConnection(turn, old),
    local: old.local,
    remote: old.remote,
    lineage: old.lineage,
    spiI: birth.spiI,
    spiR: birth.spiR,
    state: { name: 'Established', secured, peer: { ...peer, since: turn.now } },
    now: turn.now,
  });
  heir.announced = old.announced;
  heir.mobility.agreed = old.mobility.agreed;
  heir.mobility.peerAddresses = old.mobility.peerAddresses;
  startIkeLifetime(turn, heir);
  // Proving who one is again has a time of its own, which rekeying does not put off.
  heir.reauthenticateAt = old.reauthenticateAt;
  heir.authenticationExpiresAt = old.authenticationExpiresAt;
  registry.add(turn, heir);
  reportWeakAlgorithms(turn, heir, birth.suite.proposal, `IKE SA ${heir.connection.name}`);
  return heir;
}

/** What the SPI of the peer's new IKE SA cannot be: none, the old ones, those of its other IKE SAs. */
export function peerIkeSpis(registry: SaRegistry, old: IkeSa): ReadonlySet<IkeSpi> {
  const theirs = registry
    .alongside(old)
    .map(({ initiator, spiI, spiR }) => (initiator ? spiR : spiI));
  return new Set([NO_IKE_SPI, old.spiI, old.spiR, ...theirs]);
}

/** The peer deleted an IKE SA: with one that was made in vain, the one it should have replaced goes. */
export function deleteOutlived(turn: Turn, { outlives }: IkeSa): void {
  if (outlives) deleteIkeSa(turn, outlives, 'rekeyed', REPLACED);
}

/** The peer uses its own new IKE SA, or deleted the old one: it never noticed ours. */
export function adoptRival(turn: Turn, old: IkeSa, attempt: IkeRekeyAttempt): void {
  const { rival } = attempt;
  if (!rival) return;
  delete attempt.rival;
  rival.sa.rivalOf = undefined;
  turn.touched.add(rival.sa.ownSpi);
  if (rival.sa.state.name !== 'Established') return;
  if (old.state.name === 'AwaitingDeleteResponse') {
    // Whoever wants the old one gone wants its successor gone too.
    deleteIkeSa(turn, rival.sa, old.state.reason, REPLACED);
    return;
  }
  succeed(turn, old, rival.sa);
  awaitDelete(turn, old);
}

/** Our rekey that this IKE SA competes with, while it is undecided. */
export function attemptAgainst(sa: IkeSa): IkeRekeyAttempt | undefined {
  const purpose = sa.rivalOf?.inFlight;
  return purpose?.kind === 'rekey-ike-sa' ? purpose.attempt : undefined;
}
