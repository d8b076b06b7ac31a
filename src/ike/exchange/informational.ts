/**
 * INFORMATIONAL: Delete, liveness, notifies (RFC 7296 §1.4, §1.4.1, §2.4, §2.25).
 */
import { ProtocolId } from '../../ipsec/proposal.ts';
import type { Outcome } from '../action.ts';
import { peerSpi } from '../child-limits.ts';
import { answerConfigurationMessage } from '../configuration.ts';
import { bequeath, deletePayload, drain, useNow } from '../deletion.ts';
import type { HeldChild } from '../held-child.ts';
import { heedAuthLifetime } from '../ike-lifetime.ts';
import type { IkeSa, RequestWish } from '../ike-sa.ts';
import type { Authenticated } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { type DeletePayload, ExchangeType, type NotifyPayload } from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { notifiesOf, payloadOf, secondsOf } from '../payload-access.ts';
import { follow } from '../redirection.ts';
import { endByFault } from '../refusal.ts';
import { reopen } from '../reopening.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { rekeyInFlight, rivalled, rivalWithdrawn } from '../simultaneous-rekey.ts';
import type { Turn } from '../turn.ts';
import { answerMobike, livenessPayloads } from './mobike.ts';
import { adoptRival, deleteOutlived } from './rekey-ike-sa.ts';
import { answerReplaySync } from './replay-counter-sync.ts';

/** SPIs we do not know that the peer deleted while our request for a Child SA is out. */
const MAX_REVOKED = 256;

const PEER_DELETED: Outcome = { kind: 'failed', what: 'the peer deleted the IKE SA' };

export function handleInformationalRequest(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
): void {
  const deletes = request.payloads.filter(
    (payload): payload is DeletePayload => payload.kind === 'DELETE',
  );
  if (deletes.some(({ protocol }) => protocol === ProtocolId.IKE)) {
    yieldTraffic(turn, registry, sa);
    // RFC 7296 §1.4.1: deleting the IKE SA deletes its Child SAs; the answer is empty.
    sa.respond(turn, request, []);
    closedByPeer(turn, registry, sa);
    return;
  }
  const rejection = rejects(sa, request);
  if (rejection) {
    sa.respond(turn, request, []);
    const what = `the peer answered ${notifyName(rejection.type)} to our IKE_AUTH`;
    turn.emit({ kind: 'peer-fault', what, ...sa.subject });
    endByFault(turn, sa, what);
    return;
  }
  if (notifiesOf(request.payloads, NotifyType.AUTHENTICATION_FAILED).length > 0) {
    const what = 'the peer does not accept our AUTH';
    sa.respond(turn, request, []);
    turn.emit({
      kind: 'authentication-failed',
      by: 'peer',
      what,
      cause: 'refused-by-peer',
      ...sa.subject,
    });
    sa.close(turn, what, { kind: 'authentication-failed', what });
    return;
  }
  const [lifetime] = notifiesOf(request.payloads, NotifyType.AUTH_LIFETIME);
  const seconds = lifetime && secondsOf(lifetime);
  if (seconds !== undefined) heedAuthLifetime(turn, sa, seconds);
  const closed: HeldChild[] = [];
  const answered = deletes.flatMap((payload) => deleteNamed(turn, sa, payload, closed));
  const mobike = answerMobike(turn, sa, request);
  const configuration = payloadOf(request.payloads, 'CP');
  const answer = configuration && answerConfigurationMessage(configuration);
  sa.respond(turn, request, [
    ...deletePayload(answered.map(({ childSa }) => childSa.spiIn)),
    ...mobike,
    ...(answer ? [answer] : []),
  ]);
  const [redirect] = notifiesOf(request.payloads, NotifyType.REDIRECT);
  // RFC 5685 §5: only clients are sent elsewhere; the old IKE SA goes when the new one is up.
  const obstacle = redirect && sa.originalInitiator ? follow(turn, sa, redirect) : undefined;
  if (obstacle !== undefined) turn.emit({ kind: 'peer-fault', what: obstacle, ...sa.subject });
  // RFC 6311 §5.2: a cluster that knows its message ids asks in an exchange like any other.
  answerReplaySync(turn, sa, request);
  reopen(turn, sa, closed, 'closed');
}

// RFC 7296 §2.21.2: right after IKE_AUTH these end the IKE SA; in other requests errors mean nothing.
function rejects(sa: IkeSa, { header, payloads }: Incoming): NotifyPayload | undefined {
  if (sa.authMessageId === undefined || header.messageId !== sa.authMessageId + 1) return undefined;
  return [NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD].flatMap((type) =>
    notifiesOf(payloads, type),
  )[0];
}

/** An INFORMATIONAL request without a wish: is the peer alive, and the NAT the same? */
export function startLiveness(turn: Turn, sa: IkeSa): void {
  sa.request(turn, livenessCheck());
}

export function livenessCheck(): RequestWish {
  return {
    purpose: { kind: 'liveness' },
    compose: (_, carrier) => ({
      exchangeType: ExchangeType.INFORMATIONAL,
      payloads: livenessPayloads(carrier),
    }),
  };
}

function closedByPeer(turn: Turn, registry: SaRegistry, sa: IkeSa): void {
  const purpose = sa.inFlight;
  // RFC 7296 §2.8.2: a peer that deletes the old IKE SA never noticed our rekeying of it.
  if (purpose?.kind === 'rekey-ike-sa' && purpose.attempt) adoptRival(turn, sa, purpose.attempt);
  const { childrenUp } = sa;
  const peer = 'peer' in sa.state ? sa.state.peer : undefined;
  const newer = peer && successorOf(registry, sa, peer);
  if (newer) bequeath(turn, sa, newer, 'the peer replaced the IKE SA');
  sa.close(turn, 'the peer deleted the IKE SA', PEER_DELETED);
  deleteOutlived(turn, sa);
  if (!newer) reopen(turn, sa, childrenUp, 'closed');
}

/**
 * A newer IKE SA of the peer may hold Child SAs that waited for the end of these: they send before the
 * peer hears that the old ones are gone.
 */
function yieldTraffic(turn: Turn, registry: SaRegistry, sa: IkeSa): void {
  if (!('peer' in sa.state)) return;
  const { localId, remoteId } = sa.state.peer;
  for (const one of registry.between(localId, remoteId)) {
    if (one === sa) continue;
    for (const child of one.children.values()) useNow(turn, child);
    turn.touched.add(one.ownSpi);
  }
}

/** A newer IKE SA with the same peer that has all that this one has. */
function successorOf(
  registry: SaRegistry,
  sa: IkeSa,
  { localId, remoteId }: Authenticated,
): IkeSa | undefined {
  const names = sa.childrenUp.map(({ policy }) => policy.name);
  const has = (one: IkeSa, name: string) =>
    one.childrenUp.some(({ policy }) => policy.name === name);
  return registry
    .between(localId, remoteId)
    .find((one) => one.isYoungerThan(sa) && names.every((name) => has(one, name)));
}

/**
 * Ends the Child SAs that a Delete names by the sender's inbound SPIs, our outbound ones (RFC 7296
 * §1.4.1). Answers those whose own SPI goes back, and adds to `closed` those that nothing replaces.
 */
function deleteNamed(
  turn: Turn,
  sa: IkeSa,
  payload: DeletePayload,
  closed: HeldChild[],
): readonly HeldChild[] {
  if (payload.protocol !== ProtocolId.ESP) return [];
  const named = new Set(payload.spis.map(peerSpi));
  const gone = [...sa.children.values()].filter(
    (child) => child.isHeldByPeer && named.has(child.childSa.spiOut),
  );
  const { inFlight } = sa;
  if (inFlight?.kind === 'create-child' && inFlight.attempt) {
    const known = new Set(gone.map(({ childSa }) => childSa.spiOut));
    const unknown = [...named].flatMap((one) => (one === undefined || known.has(one) ? [] : [one]));
    // One of them may matter; a peer that names thousands does not mean one of them.
    const revoked = [...(inFlight.attempt.revoked ?? []), ...unknown];
    inFlight.attempt.revoked = revoked.slice(-MAX_REVOKED);
  }
  for (const child of gone) deletedByPeer(turn, sa, child, closed);
  // RFC 7296 §1.4.1: when both ends delete a pair at once, the answer names no SPI of it.
  return gone.filter(
    (child) => !(inFlight?.kind === 'delete-child-sa' && inFlight.child === child),
  );
}

function deletedByPeer(turn: Turn, sa: IkeSa, child: HeldChild, closed: HeldChild[]): void {
  const { state } = child;
  const rival = rekeyInFlight(sa, child)?.rival?.child;
  const competing = rivalled(sa, child);
  if (competing) {
    rivalWithdrawn(turn, sa, competing);
  } else if (state.name === 'Replaced' || rival) {
    // The peer sends on the successor, so it has it.
    useNow(turn, state.name === 'Replaced' ? state.successor : (rival ?? child));
    drain(turn, sa, child);
  } else if (state.name === 'Redundant' || (state.name === 'Deleting' && state.replaced)) {
    drain(turn, sa, child);
  } else {
    if (child.isUp) closed.push(child);
    sa.removeChild(turn, child, 'the peer deleted it');
  }
}
