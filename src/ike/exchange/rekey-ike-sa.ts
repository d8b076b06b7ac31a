/**
 * CREATE_CHILD_SA that rekeys the IKE SA, both roles (RFC 7296 §1.3.2, §2.8.2, §2.18, §2.25.2).
 *
 * The new IKE SA inherits the Child SAs; traffic notices nothing.
 */

import { formatProposal, type Proposal, ProtocolId, selectProposal } from '../../ipsec/proposal.ts';
import { after } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { chosenAsProposal, isSingle } from '../child-negotiation.ts';
import { currentConnection } from '../current-policy.ts';
import { deleteIkeSa } from '../deletion.ts';
import { startIkeLifetime } from '../ike-lifetime.ts';
import { type Composed, type IkeRekeyAttempt, IkeSa, type RequestWish } from '../ike-sa.ts';
import type { Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { type IkeSuite, ikeSuite } from '../keys.ts';
import {
  ExchangeType,
  type IkeSpi,
  ikeSpi,
  NO_IKE_SPI,
  type NotifyPayload,
  type Payload,
} from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { drawIkeSpi } from '../own-spis.ts';
import { errorNotify, payloadOf } from '../payload-access.ts';
import {
  isFatal,
  type PeerFault,
  peerFault,
  proposalsRefused,
  refusedByUs,
} from '../peer-fault.ts';
import { deleteByFault, refuseRequest } from '../refusal.ts';
import { ikeRekeyProposals } from '../rekey-proposals.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { secure } from '../secure.ts';
import { awaitDelete, succeed } from '../succession.ts';
import type { Turn } from '../turn.ts';
import { reportWeakAlgorithms } from '../weak-algorithms.ts';
import {
  answerKeyExchange,
  compareNonces,
  finishKeyExchange,
  isFault,
  keyPair,
  lowestNonce,
  methodsOf,
  newNonce,
  nonceOf,
  otherMethod,
  retryDelay,
} from './create-child-sa.ts';

/** IKE SAs that replace one another within a minute; a peer that makes more has to wait. */
const MAX_LINEAGE = 128;

const REPLACED = { kind: 'failed', what: 'the IKE SA was replaced' } as const;

/** Asks for a new IKE SA in place of this one as soon as the window opens. */
export function requestIkeRekey(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  method?: number,
): void {
  sa.rekeyAt = undefined;
  sa.request(turn, ikeRekeying(registry, method));
}

/** `method`: the key exchange method that the peer asked for. */
export function ikeRekeying(registry: SaRegistry, method?: number): RequestWish {
  return {
    purpose: { kind: 'rekey-ike-sa', ...(method !== undefined && { method }) },
    compose: (now, carrier) => compose(now, registry, carrier, method),
  };
}

function compose(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  wanted: number | undefined,
): Composed | undefined {
  if (sa.state.name !== 'Established') return undefined;
  const { suite } = sa.state.secured;
  const spi = drawIkeSpi(turn, registry, { replaces: sa.ownSpi });
  const proposals = ikeRekeyProposals(sa.connection.proposals, suite).map((proposal, index) => ({
    ...proposal,
    number: index + 1,
    spi: fromHex(spi),
  }));
  const method = wanted ?? suite.ke.id;
  const keyExchange = keyPair(turn, method);
  const attempt: IkeRekeyAttempt = { spi, nonce: newNonce(turn), proposals, keyExchange, method };
  return {
    exchangeType: ExchangeType.CREATE_CHILD_SA,
    payloads: [
      { kind: 'SA', proposals },
      { kind: 'NONCE', nonce: attempt.nonce },
      { kind: 'KE', method, data: keyExchange.publicData },
    ],
    purpose: { kind: 'rekey-ike-sa', attempt },
  };
}

export function handleIkeRekeyResponse(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  attempt: IkeRekeyAttempt,
  { payloads }: Incoming,
): void {
  const { rival } = attempt;
  const purpose = { kind: 'rekey-ike-sa', attempt } as const;
  const notify = errorNotify(payloads);
  if (notify) {
    // RFC 7296 §2.8.2: the peer replaced it and never noticed us.
    if (rival) adoptRival(turn, old, attempt);
    else handleRefusal(turn, registry, old, attempt, notify);
    return;
  }
  const result = agree(registry, old, attempt, payloads);
  if (result.kind === 'fault') {
    turn.emit({ kind: 'peer-fault', what: result.what, ...old.subject });
    // RFC 6989 §2.5: the IKE SA is deleted by a new exchange.
    if (isFatal(result)) deleteByFault(turn, old, result.what, purpose);
    else if (rival) adoptRival(turn, old, attempt);
    else old.rekeyAt = after(turn.now, retryDelay(turn));
    return;
  }
  const { suite, sharedSecret, nonceR, spiR } = result;
  const heir = bear(turn, registry, old, {
    initiator: true,
    suite,
    sharedSecret,
    nonceI: attempt.nonce,
    nonceR,
    spiI: attempt.spi,
    spiR,
  });
  if (!heir) return;
  const loses = rival && compareNonces(lowestNonce(attempt.nonce, nonceR), rival.lowestNonce) < 0;
  if (old.state.name !== 'Established' || loses) {
    // RFC 7296 §2.8.2: who created the SA with the lowest nonce deletes it.
    adoptRival(turn, old, attempt);
    heir.replaced = true;
    deleteIkeSa(turn, heir, 'redundant', REPLACED);
    return;
  }
  succeed(turn, old, heir);
  if (!rival || rival.sa.state.name === 'Closed') {
    deleteIkeSa(turn, old, 'rekeyed', REPLACED);
    return;
  }
  // RFC 7296 §2.8.2: the peer deletes what it made in vain. Until it does it may not have our answer,
  // which only the old IKE SA can repeat.
  rival.sa.rivalOf = undefined;
  rival.sa.outlives = old;
  awaitDelete(turn, rival.sa);
  awaitDelete(turn, old);
}

/** The peer deleted an IKE SA: with one that was made in vain, the one it should have replaced goes. */
export function deleteOutlived(turn: Turn, { outlives }: IkeSa): void {
  if (outlives) deleteIkeSa(turn, outlives, 'rekeyed', REPLACED);
}

/** As responder. The answer leaves over the old IKE SA, which the peer then deletes. */
export function answerIkeRekey(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  request: Incoming,
): void {
  const fault = unable(old);
  const made = fault ?? grant(turn, registry, old, request.payloads);
  if (made.kind === 'fault') {
    turn.emit({ ...refusedByUs(made), ...old.subject });
    refuseRequest(turn, old, request, made);
    return;
  }
  old.respond(turn, request, made.payloads);
  const ours = old.inFlight?.kind === 'rekey-ike-sa' ? old.inFlight.attempt : undefined;
  if (ours) {
    // Both at once: which stands is decided when our own answer is here.
    ours.rival = { sa: made.heir, lowestNonce: made.lowestNonce };
    made.heir.rivalOf = old;
    made.heir.replaced = true;
    return;
  }
  succeed(turn, old, made.heir);
  awaitDelete(turn, old);
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

// RFC 7296 §2.25.1, §2.25.2.
function unable(old: IkeSa): PeerFault | undefined {
  const { inFlight } = old;
  const busy =
    inFlight?.kind === 'create-child' ||
    inFlight?.kind === 'delete-child-sa' ||
    inFlight?.kind === 'withdraw-child-sa';
  if (old.isClosing) return peerFault('temporary-failure', 'the IKE SA is going');
  if (inFlight?.kind === 'rekey-ike-sa' && inFlight.attempt?.rival) {
    return peerFault('temporary-failure', 'the IKE SA is being rekeyed by both');
  }
  if (old.lineage.size >= MAX_LINEAGE) {
    const what = `${old.lineage.size} IKE SAs replaced one another and are not gone yet`;
    return peerFault('temporary-failure', what);
  }
  return busy ? peerFault('temporary-failure', `${inFlight.kind} is under way`) : undefined;
}

interface Granted {
  readonly kind: 'granted';
  readonly heir: IkeSa;
  readonly payloads: readonly Payload[];
  readonly lowestNonce: Uint8Array;
}

function grant(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  payloads: readonly Payload[],
): Granted | PeerFault {
  const { secured } = old;
  const nonceI = nonceOf(payloads);
  if (isFault(nonceI)) return nonceI;
  const ke = payloadOf(payloads, 'KE');
  const offered = payloadOf(payloads, 'SA')?.proposals ?? [];
  const spisInUse = peerIkeSpis(registry, old);
  // RFC 7296 §1.3.2: each proposal carries the new SPI of the initiator, which is not zero. One that
  // has none, or one in use, is no proposal.
  const offers = offered.filter(
    ({ protocol, spi }) =>
      protocol === ProtocolId.IKE && spi.length === 8 && !spisInUse.has(ikeSpi(spi)),
  );
  const accepted = secured ? ikeRekeyProposals(old.connection.proposals, secured.suite) : [];
  const chosen = selectProposal(accepted, offers, ke?.method);
  const suite = chosen && ikeSuite(chosen);
  if (!suite) {
    const what = 'no common IKE proposal for the new IKE SA';
    return {
      ...peerFault('no-proposal-chosen', what),
      refusal: proposalsRefused(accepted, offered),
    };
  }
  const spiI = ikeSpi(suite.proposal.spi);
  const keys = answerKeyExchange(turn, suite.ke.id, ke, nonceI);
  if (keys.kind === 'fault') return keys;
  const nonceR = newNonce(turn);
  const spiR = drawIkeSpi(turn, registry, { replaces: old.ownSpi });
  const heir = bear(turn, registry, old, {
    initiator: false,
    suite,
    sharedSecret: keys.shared,
    nonceI,
    nonceR,
    spiI,
    spiR,
  });
  if (!heir) return peerFault('temporary-failure', 'the IKE SA is going');
  return {
    kind: 'granted',
    heir,
    payloads: [
      { kind: 'SA', proposals: [{ ...chosenAsProposal(suite.proposal), spi: fromHex(spiR) }] },
      { kind: 'NONCE', nonce: nonceR },
      keys.payload,
    ],
    lowestNonce: lowestNonce(nonceI, nonceR),
  };
}

/** What the SPI of the peer's new IKE SA cannot be: none, the old ones, those of its other IKE SAs. */
function peerIkeSpis(registry: SaRegistry, old: IkeSa): ReadonlySet<IkeSpi> {
  const theirs = registry
    .alongside(old)
    .map(({ initiator, spiI, spiR }) => (initiator ? spiR : spiI));
  return new Set([NO_IKE_SPI, old.spiI, old.spiR, ...theirs]);
}

/** What a new IKE SA is made of. */
interface Birth {
  readonly initiator: boolean;
  readonly suite: IkeSuite;
  readonly sharedSecret: Parameters<typeof secure>[2]['sharedSecret'];
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
}

/** A new IKE SA between the same peers, keyed from the old one (§2.18). Its message ids start at 0. */
function bear(turn: Turn, registry: SaRegistry, old: IkeSa, birth: Birth): IkeSa | undefined {
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
  heir.mobike = old.mobike;
  heir.peerAddresses = old.peerAddresses;
  startIkeLifetime(turn, heir);
  // Proving who one is again has a time of its own, which rekeying does not put off.
  heir.reauthenticateAt = old.reauthenticateAt;
  heir.authenticationExpiresAt = old.authenticationExpiresAt;
  registry.add(turn, heir);
  reportWeakAlgorithms(turn, heir, birth.suite.proposal, `IKE SA ${heir.connection.name}`);
  return heir;
}

interface Agreement {
  readonly kind: 'agreement';
  readonly suite: IkeSuite;
  readonly sharedSecret: Birth['sharedSecret'];
  readonly nonceR: Uint8Array;
  readonly spiR: IkeSpi;
}

function agree(
  registry: SaRegistry,
  old: IkeSa,
  attempt: IkeRekeyAttempt,
  payloads: readonly Payload[],
): Agreement | PeerFault {
  const nonceR = nonceOf(payloads);
  if (isFault(nonceR)) return nonceR;
  const suite = grantedSuite(attempt.proposals, payloadOf(payloads, 'SA')?.proposals ?? []);
  if (!suite || suite.ke.id !== attempt.method) {
    return peerFault('no-proposal-chosen', 'the new IKE SA: the peer chose what we never offered');
  }
  const spiR = ikeSpi(suite.proposal.spi);
  if (peerIkeSpis(registry, old).has(spiR)) {
    return peerFault('invalid-syntax', `the new IKE SPI is ${spiR}`);
  }
  const shared = finishKeyExchange(attempt, payloadOf(payloads, 'KE'), nonceR);
  if (shared.kind === 'fault') return shared;
  return { kind: 'agreement', suite, sharedSecret: shared.shared, nonceR, spiR };
}

function grantedSuite(
  offered: readonly Proposal[],
  [granted, ...others]: readonly Proposal[],
): IkeSuite | undefined {
  if (!granted || others.length > 0 || !isSingle(granted) || granted.spi.length !== 8) {
    return undefined;
  }
  const chosen = selectProposal(offered, [granted]);
  return chosen && ikeSuite(chosen);
}

/** The peer said no: another method, or another time. */
function handleRefusal(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  attempt: IkeRekeyAttempt,
  notify: NotifyPayload,
): void {
  if (old.state.name !== 'Established') return;
  if (
    notify.type === NotifyType.INVALID_KE_PAYLOAD &&
    attempt.method === old.secured?.suite.ke.id
  ) {
    const method = otherMethod(notify, methodsOf(attempt.proposals), attempt.method);
    if (method !== undefined) {
      requestIkeRekey(turn, registry, old, method);
      return;
    }
  }
  old.rekeyAt = after(turn.now, retryDelay(turn));
  turn.touched.add(old.ownSpi);
  if (notify.type === NotifyType.TEMPORARY_FAILURE) return;
  const name = notifyName(notify.type);
  const what = `the peer answered ${name} to a new IKE SA`;
  const offered = attempt.proposals.map(formatProposal);
  turn.emit({
    kind: 'refused',
    by: 'peer',
    notify: name,
    what,
    transforms: [],
    offered,
    ...old.subject,
  });
  // RFC 7296 §1.3: a peer that cannot rekey can only start afresh.
  if (notify.type === NotifyType.NO_ADDITIONAL_SAS) old.reauthenticateAt = turn.now;
}
