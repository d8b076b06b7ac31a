/**
 * CREATE_CHILD_SA as initiator: a new Child SA, or one in place of another (RFC 7296 §1.3.1, §1.3.3,
 * §2.8, §2.8.1).
 *
 * Make before break: the new SA sends as soon as the peer's answer is here, the old one goes on
 * receiving until the peer has deleted it, and a little longer.
 */
import type { IpAddress } from '../../wire/address.ts';
import { after } from '../../wire/instant.ts';
import type { Outcome } from '../action.ts';
import { createChildSa, offerSpi } from '../child-creation.ts';
import { askForFeatures, grantedFeatures } from '../child-features.ts';
import { hostMode, type ModeOffer, modeOffer } from '../child-mode.ts';
import {
  type AgreedChild,
  acceptChildGrant,
  type ChildProposal,
  childOffer,
  childRefusedByPeer,
  inFittingMode,
  resolveSelectors,
  spiOctets,
} from '../child-negotiation.ts';
import type { ChildAttempt, ChildWish } from '../child-wish.ts';
import { deleteChild, withdraw } from '../deletion.ts';
import type { HeldChild } from '../held-child.ts';
import type { Composed, IkeSa, RequestWish } from '../ike-sa.ts';
import type { Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { reportMode, reportNarrowing } from '../latent-mismatch.ts';
import { ExchangeType, type NotifyPayload, type Payload } from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { errorNotify, payloadOf } from '../payload-access.ts';
import { isFatal, type PeerFault, peerFault } from '../peer-fault.ts';
import { deleteByFault } from '../refusal.ts';
import { offeredChildProposals } from '../rekey-proposals.ts';
import { rekeyed, replacedByPeer } from '../simultaneous-rekey.ts';
import type { Turn } from '../turn.ts';
import { askForAddresses, takeAddresses } from '../virtual-addresses.ts';
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

/** RFC 7296 §2.25: a peer that puts off again and again does not want. */
const MAX_POSTPONEMENTS = 5;

/** Asks for a Child SA as soon as the window opens. */
export function requestChild(turn: Turn, sa: IkeSa, wish: ChildWish): void {
  if (wish.replaces?.state.name === 'Installed') wish.replaces.move({ name: 'Rekeying' });
  sa.request(turn, childCreation(wish));
}

export function childCreation(wish: ChildWish): RequestWish {
  return {
    purpose: { kind: 'create-child', wish },
    compose: (now, carrier) => compose(now, carrier, wish),
  };
}

function compose(turn: Turn, sa: IkeSa, wish: ChildWish): Composed | undefined {
  const { replaces } = wish;
  const { secured } = sa;
  // The peer may have replaced or deleted it while we waited.
  const moot = replaces && replaces.state.name !== 'Rekeying';
  if (sa.state.name !== 'Established' || !secured || moot) {
    turn.complete(wish.requests, moot ? DONE : failed('the IKE SA is going'));
    return undefined;
  }
  const asked = proposalOf(sa, secured, wish);
  const methods = methodsOf(asked.proposals);
  const method =
    wish.method ?? methods.find((one) => one === replaces?.childSa.ke?.id) ?? methods[0];
  const keyExchange = method === undefined ? undefined : keyPair(turn, method);
  const attempt: ChildAttempt = {
    wish,
    spiIn: offerSpi(turn, sa),
    nonce: newNonce(turn),
    asked,
    keyExchange,
    method,
  };
  const [offer, ...selectors] = childOffer(asked, attempt.spiIn);
  const ke: readonly Payload[] =
    keyExchange && method !== undefined
      ? [{ kind: 'KE', method, data: keyExchange.publicData }]
      : [];
  return {
    exchangeType: ExchangeType.CREATE_CHILD_SA,
    payloads: [
      ...(replaces ? [rekeyNotify(replaces)] : []),
      ...(offer ? [offer] : []),
      { kind: 'NONCE', nonce: attempt.nonce },
      ...ke,
      ...(replaces ? [] : askForAddresses(sa)),
      ...selectors,
      ...askForFeatures(wish.policy),
    ],
    purpose: { kind: 'create-child', wish, attempt },
  };
}

// RFC 7296 §2.9.2: a rekeyed SA has the selectors of the one it replaces, and its mode.
function proposalOf(sa: IkeSa, { suite }: Secured, wish: ChildWish): ChildProposal {
  const { policy, replaces, trigger, otherPfs = false, singlePair = false } = wish;
  const proposals = offeredChildProposals(policy.proposals, suite, replaces?.childSa, otherPfs);
  if (replaces) {
    const { localTs, remoteTs } = replaces.childSa;
    const mode = hostMode(replaces.childSa.mode);
    return { proposals, localTs, remoteTs, ...(mode && { mode }) };
  }
  const { local, remote } = sa.dynamicAddresses;
  const localTs = resolveSelectors(policy.localTs, local);
  const remoteTs = resolveSelectors(policy.remoteTs, remote);
  const mode = hostMode(policy.mode);
  const common = { proposals, ...(mode && { mode }) };
  if (singlePair) {
    const single = {
      ...common,
      localTs: trigger ? [trigger.local] : localTs.slice(0, 1),
      remoteTs: trigger ? [trigger.remote] : remoteTs.slice(0, 1),
    };
    return inFittingMode(single, sa);
  }
  const all = {
    ...common,
    // RFC 7296 §2.9: first the packet that asks, then what the policy covers.
    localTs: trigger ? [trigger.local, ...localTs] : localTs,
    remoteTs: trigger ? [trigger.remote, ...remoteTs] : remoteTs,
  };
  return inFittingMode(all, sa);
}

function rekeyNotify({ childSa }: HeldChild): NotifyPayload {
  return {
    kind: 'NOTIFY',
    protocol: 3,
    // RFC 7296 §1.3.3: the SPI is the one the sender expects in inbound packets.
    spi: spiOctets(childSa.spiIn),
    type: NotifyType.REKEY_SA,
    data: new Uint8Array(),
  };
}

export function handleCreateChildResponse(
  turn: Turn,
  sa: IkeSa,
  attempt: ChildAttempt,
  { payloads }: Incoming,
): void {
  const { secured } = sa;
  const { wish, spiIn } = attempt;
  const notify = errorNotify(payloads);
  if (notify) {
    turn.numbers.releaseSpi(spiIn);
    handleRefusal(turn, sa, attempt, notify);
    return;
  }
  if (!secured || sa.state.name !== 'Established') {
    // A Delete of the IKE SA waits for the window; it takes this one along.
    turn.numbers.releaseSpi(spiIn);
    turn.complete(wish.requests, failed('the IKE SA is going'));
    return;
  }
  const unaddressed = wish.replaces ? undefined : takeAddresses(turn, sa, payloads);
  const named = modeOffer(sa, secured.nat, payloads);
  const result = unaddressed ?? agree(attempt, payloads, named, sa.localVips);
  if (result.kind === 'fault') {
    turn.emit({ kind: 'peer-fault', what: result.what, ...sa.subject });
    if (isFatal(result)) {
      // RFC 6989 §2.5: the IKE SA is deleted by a new exchange.
      deleteByFault(turn, sa, result.what, { kind: 'create-child', wish, attempt });
      return;
    }
    turn.numbers.releaseSpi(spiIn);
    withdraw(turn, sa, spiIn);
    giveUpOrLater(turn, sa, attempt, failed(result.what));
    return;
  }
  if (attempt.revoked?.includes(result.agreed.spiOut)) {
    // The peer has deleted it again before its answer arrived.
    turn.numbers.releaseSpi(spiIn);
    giveUpOrLater(turn, sa, attempt, failed('the peer deleted the new Child SA at once'));
    return;
  }
  const lowest = lowestNonce(attempt.nonce, result.nonceR);
  const { rival } = attempt;
  const loses = rival !== undefined && compareNonces(lowest, rival.lowestNonce) < 0;
  const child = createChildSa(turn, sa, secured, {
    agreed: result.agreed,
    features: grantedFeatures(wish.policy, payloads),
    spiIn,
    keying: {
      nonceI: attempt.nonce,
      nonceR: result.nonceR,
      ...(result.shared && { sharedSecret: result.shared }),
    },
    initiator: true,
    outbound: loses ? 'never' : 'now',
    ...(wish.replaces && { replaces: wish.replaces }),
  });
  turn.complete(wish.requests, DONE);
  if (!wish.replaces) {
    reportNarrowing(turn, sa, attempt.asked, result.agreed);
    reportMode(turn, sa, attempt.asked, result.agreed);
    return;
  }
  const { state } = wish.replaces;
  if (state.name === 'Deleting' && !state.replaced) {
    // Whoever wanted the old one gone meanwhile wants its successor gone too.
    deleteChild(turn, sa, child, state.reason);
  } else if (rival && loses) {
    // RFC 7296 §2.8.1: who created the SA with the lowest nonce closes it.
    replacedByPeer(turn, wish.replaces, rival.child);
    deleteChild(turn, sa, child, 'redundant', true);
  } else {
    rekeyed(turn, sa, wish.replaces, rival?.child);
  }
}

interface Agreement {
  readonly kind: 'agreement';
  readonly agreed: AgreedChild;
  readonly nonceR: Uint8Array;
  readonly shared: ReturnType<typeof sharedOf>;
}

function agree(
  attempt: ChildAttempt,
  payloads: readonly Payload[],
  named: ModeOffer | undefined,
  virtual: readonly IpAddress[],
): Agreement | PeerFault {
  const grant = {
    sa: payloadOf(payloads, 'SA'),
    tsI: payloadOf(payloads, 'TSi'),
    tsR: payloadOf(payloads, 'TSr'),
  };
  const nonceR = nonceOf(payloads);
  if (isFault(nonceR)) return nonceR;
  const { sa, tsI, tsR } = grant;
  if (!sa || !tsI || !tsR) {
    return peerFault('invalid-syntax', 'a Child SA without SA, TSi or TSr');
  }
  const granted = { sa, tsI, tsR, named };
  const agreed = acceptChildGrant(attempt.wish.policy, attempt.asked, granted, virtual);
  if (agreed.kind === 'fault') return agreed;
  const { method, keyExchange } = attempt;
  if (!agreed.proposal.ke) return { kind: 'agreement', agreed, nonceR, shared: undefined };
  if (method === undefined || !keyExchange || agreed.proposal.ke.id !== method) {
    const what = `child ${attempt.wish.policy.name}: a key exchange was chosen that we did not begin`;
    return peerFault('no-proposal-chosen', what);
  }
  const ours = { method, keyExchange };
  const shared = finishKeyExchange(ours, payloadOf(payloads, 'KE'), nonceR);
  return shared.kind === 'fault'
    ? shared
    : { kind: 'agreement', agreed, nonceR, shared: sharedOf(shared) };
}

function sharedOf(finished: Exclude<ReturnType<typeof finishKeyExchange>, PeerFault> | undefined) {
  return finished?.shared;
}

/** The peer said no. Some refusals say how to go on. */
function handleRefusal(turn: Turn, sa: IkeSa, attempt: ChildAttempt, notify: NotifyPayload): void {
  const { wish, asked, method, rival } = attempt;
  const { replaces } = wish;
  if (rival && replaces) {
    // RFC 7296 §2.25.1: the peer replaced it and never noticed us.
    replacedByPeer(turn, replaces, rival.child);
    turn.complete(wish.requests, DONE);
    return;
  }
  if (replaces && !(replaces.isUp && sa.children.has(replaces.childSa.id))) {
    // The peer's Delete came first: there is a successor already, or it wanted none.
    turn.complete(wish.requests, failed('the peer deleted the Child SA meanwhile'));
    return;
  }
  const next = anotherWay(wish, asked, method, notify);
  if (next && sa.state.name === 'Established') {
    requestChild(turn, sa, next);
    return;
  }
  const name = notifyName(notify.type);
  const what = `the peer answered ${name} for child ${wish.policy.name}`;
  if (notify.type === NotifyType.TEMPORARY_FAILURE) {
    giveUpOrLater(turn, sa, attempt, { kind: 'refused', what });
    return;
  }
  turn.emit({ ...childRefusedByPeer(name, { policy: wish.policy, ...asked }), ...sa.subject });
  if (replaces && notify.type === NotifyType.CHILD_SA_NOT_FOUND) {
    remake(turn, sa, replaces, wish);
    return;
  }
  // RFC 7296 §1.3: a peer that makes no further SAs at all can only start afresh.
  if (replaces && notify.type === NotifyType.NO_ADDITIONAL_SAS) sa.reauthenticateAt = turn.now;
  giveUpOrLater(
    turn,
    sa,
    { ...attempt, wish: { ...wish, postponements: MAX_POSTPONEMENTS } },
    {
      kind: 'refused',
      what,
    },
  );
}

/** The wish as the peer may grant it after all. */
function anotherWay(
  wish: ChildWish,
  asked: ChildProposal,
  tried: number | undefined,
  notify: NotifyPayload,
): ChildWish | undefined {
  switch (notify.type) {
    case NotifyType.INVALID_KE_PAYLOAD: {
      const method =
        wish.method === undefined
          ? otherMethod(notify, methodsOf(asked.proposals), tried)
          : undefined;
      return method === undefined ? undefined : { ...wish, method };
    }
    case NotifyType.NO_PROPOSAL_CHOSEN:
      return wish.replaces && !wish.otherPfs ? { ...wish, otherPfs: true } : undefined;
    case NotifyType.SINGLE_PAIR_REQUIRED:
      return wish.replaces || wish.singlePair ? undefined : { ...wish, singlePair: true };
    default:
      return undefined;
  }
}

/** A rekey is tried again until the SA's life ends; a new Child SA a few times. */
function giveUpOrLater(turn: Turn, sa: IkeSa, { wish }: ChildAttempt, outcome: Outcome): void {
  const at = after(turn.now, retryDelay(turn));
  turn.touched.add(sa.ownSpi);
  const { replaces } = wish;
  if (replaces) {
    if (replaces.state.name === 'Rekeying') {
      replaces.move({ name: 'Installed' });
      replaces.rekeyAt = at;
    }
    turn.complete(wish.requests, outcome);
    return;
  }
  const postponements = (wish.postponements ?? 0) + 1;
  if (postponements > MAX_POSTPONEMENTS || sa.state.name !== 'Established') {
    turn.complete(wish.requests, outcome);
    return;
  }
  sa.postponed.push({ at, wish: { ...wish, postponements } });
}

// RFC 7296 §2.25: what the peer does not have is made anew. It is told of the end all the same: its
// own request that made the SA may not be answered yet as far as it knows.
function remake(turn: Turn, sa: IkeSa, lost: HeldChild, wish: ChildWish): void {
  deleteChild(turn, sa, lost, 'the peer does not have it');
  if (sa.state.name !== 'Established') return;
  requestChild(turn, sa, { policy: wish.policy, requests: wish.requests });
}

const DONE: Outcome = { kind: 'done', matches: 1, terminated: 0 };

function failed(what: string): Outcome {
  return { kind: 'failed', what };
}
