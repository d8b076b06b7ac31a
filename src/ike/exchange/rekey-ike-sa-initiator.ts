/**
 * CREATE_CHILD_SA that rekeys the IKE SA, as initiator (RFC 7296 §1.3.2, §2.8.2, §2.18).
 */
import { formatProposal, type Proposal, selectProposal } from '../../ipsec/proposal.ts';
import { after } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { isSingle } from '../child-negotiation.ts';
import { deleteIkeSa } from '../deletion.ts';
import type { Composed, IkeRekeyAttempt, IkeSa, RequestWish } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import { type IkeSuite, ikeSuite } from '../keys.ts';
import {
  ExchangeType,
  type IkeSpi,
  ikeSpi,
  type NotifyPayload,
  type Payload,
} from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { drawIkeSpi } from '../own-spis.ts';
import { errorNotify, payloadOf } from '../payload-access.ts';
import { isFatal, type PeerFault, peerFault } from '../peer-fault.ts';
import { deleteByFault } from '../refusal.ts';
import { ikeRekeyProposals } from '../rekey-proposals.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { awaitDelete, succeed } from '../succession.ts';
import type { Turn } from '../turn.ts';
import {
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
import { adoptRival, type Birth, bear, peerIkeSpis, REPLACED } from './rekey-ike-sa.ts';

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
