/**
 * IKE_AUTH as initiator, with the first Child SA (RFC 7296 §1.2, §2.15, §2.16, §2.21.2).
 */
import {
  addressIdentity,
  formatIdentity,
  type Identity,
  matchIdentity,
} from '../../ipsec/identity.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { SHARED_KEY_MIC, sharedKeyAuth, verifySharedKeyAuth } from '../auth/shared-key.ts';
import { createChildSa, offerSpi } from '../child-creation.ts';
import { askForFeatures, grantedFeatures } from '../child-features.ts';
import { modeOffer } from '../child-mode.ts';
import {
  type AcceptableChild,
  acceptChildGrant,
  childOffer,
  childRefusedByPeer,
  inFittingMode,
  policyProposal,
} from '../child-negotiation.ts';
import type { ChildWish } from '../child-wish.ts';
import { closeTelling, DELETE_IKE_SA, deleteIkeSa } from '../deletion.ts';
import { heedAuthLifetime } from '../ike-lifetime.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Handshake, Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { reportAuthLifetime, reportMode, reportNarrowing } from '../latent-mismatch.ts';
import { ExchangeType, type IdPayload, type Payload } from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { errorNotify, notifiesOf, payloadOf, secondsOf, statusNotify } from '../payload-access.ts';
import { type PeerFault, type ProofDetail, peerFault } from '../peer-fault.ts';
import { follow } from '../redirection.ts';
import type { SaRegistry } from '../sa-registry.ts';
import type { Turn } from '../turn.ts';
import { askForAddresses, takeAddresses } from '../virtual-addresses.ts';
import { requestChild } from './create-child-initiator.ts';
import { establish } from './ike-auth.ts';
import { heedSyncSupport, syncSupport } from './message-id-sync.ts';
import { heedMobike, mobikeNotifies } from './mobike.ts';

/** What IKE_SA_INIT left. */
interface Agreed {
  readonly secured: Secured;
  readonly handshake: Handshake;
}

/** Sends IKE_AUTH, with the first Child SA that is wanted unless it is to come by itself. */
export function startIkeAuth(turn: Turn, registry: SaRegistry, sa: IkeSa, agreed: Agreed): void {
  const { connection } = sa;
  const { secured, handshake } = agreed;
  const localId = connection.local.id?.identity ?? addressIdentity(sa.local.address.octets);
  const wanted = connection.remote.id?.identity;
  const secret = turn.environment.pad.sharedSecret(
    localId,
    wanted ?? addressIdentity(sa.remote.address.octets),
  );
  const [first] = sa.wishes;
  const childless = goesChildless(sa);
  const obstacle = secret
    ? childless.obstacle
    : `no shared secret for ${formatIdentity(localId)} with ${connection.remote.id?.text ?? '%any'}`;
  if (!secret || obstacle !== undefined) {
    const what = obstacle ?? '';
    sa.close(turn, what, { kind: 'failed', what });
    return;
  }
  const spiIn = childless.chosen ? undefined : offerSpi(turn, sa);
  sa.move({ name: 'AwaitingIkeAuthResponse', secured, handshake, localId, spiIn });
  const auth = sharedKeyAuth(secured.suite.prf, secret, {
    message: handshake.requestOctets,
    peerNonce: handshake.nonceR,
    id: { kind: 'IDi', identity: localId },
    skP: secured.keys.skPi,
  });
  const idR: readonly Payload[] = wanted ? [{ kind: 'IDr', identity: wanted }] : [];
  // RFC 7296 §2.4: claimed only of a peer we know by name and have, and expect, no other IKE SA with.
  const alone = wanted && !registry.hasOther(sa, localId, wanted);
  const contact =
    alone && connection.unique !== 'never' ? [statusNotify(NotifyType.INITIAL_CONTACT)] : [];
  const payloads: readonly Payload[] = [
    { kind: 'IDi', identity: localId },
    ...contact,
    ...idR,
    { kind: 'AUTH', method: SHARED_KEY_MIC, data: auth },
    ...askForAddresses(sa),
    ...(first && spiIn !== undefined ? firstChildOffer(sa, first, spiIn) : []),
    ...(connection.mobike ? mobikeNotifies(turn, sa) : []),
    ...syncSupport(sa),
  ];
  sa.request(turn, {
    purpose: { kind: 'ike-auth' },
    compose: () => ({ exchangeType: ExchangeType.IKE_AUTH, payloads }),
  });
}

// RFC 6023 §3: without a Child SA only towards a peer that said it can.
function goesChildless(sa: IkeSa): { readonly chosen: boolean; readonly obstacle?: string } {
  const { childless, name } = sa.connection;
  const supported = sa.announced.includes(NotifyType.CHILDLESS_IKEV2_SUPPORTED);
  const wanted = sa.wishes.length === 0 || childless === 'prefer' || childless === 'force';
  if (!wanted || supported) return { chosen: wanted };
  if (sa.wishes.length > 0 && childless === 'prefer') return { chosen: false };
  const why = sa.wishes.length === 0 ? 'name a child' : 'write childless = prefer';
  return { chosen: false, obstacle: `connection ${name}: the peer needs a Child SA: ${why}` };
}

function firstChildOffer(sa: IkeSa, wish: ChildWish, spiIn: Spi): readonly Payload[] {
  return [...childOffer(askedOf(sa, wish), spiIn), ...askForFeatures(wish.policy)];
}

/** What IKE_AUTH asks for: the packet that wants it first (RFC 7296 §2.9), then the policy. */
function askedOf(sa: IkeSa, { policy, trigger }: ChildWish): AcceptableChild {
  const asked = policyProposal(policy, sa.dynamicAddresses);
  if (!trigger) return inFittingMode(asked, sa);
  const localTs = [trigger.local, ...asked.localTs];
  return inFittingMode({ ...asked, localTs, remoteTs: [trigger.remote, ...asked.remoteTs] }, sa);
}

export function handleIkeAuthResponse(turn: Turn, sa: IkeSa, response: Incoming): void {
  if (sa.state.name !== 'AwaitingIkeAuthResponse') return;
  const { secured, handshake, localId, spiIn } = sa.state;
  const { payloads } = response;
  const id = payloadOf(payloads, 'IDr');
  const auth = payloadOf(payloads, 'AUTH');
  if (!id || !auth) {
    authRefused(turn, sa, payloads);
    return;
  }
  const doubt = distrust(turn, sa, { secured, handshake }, { localId, id, auth });
  if (doubt !== undefined) {
    const { what, proof } = doubt;
    turn.emit({ kind: 'authentication-failed', by: 'us', what, ...proof, ...sa.subject });
    // RFC 7296 §2.21.2: the responder believes the SA is up; one notify tells it otherwise.
    const notify = statusNotify(NotifyType.AUTHENTICATION_FAILED);
    const outcome = { kind: 'authentication-failed', what } as const;
    closeTelling(turn, sa, notify, { reason: what, outcome });
    return;
  }
  const [redirect] = notifiesOf(payloads, NotifyType.REDIRECT);
  const obstacle = redirect && follow(turn, sa, redirect);
  const wishes = sa.wishes.splice(0);
  establish(turn, sa, secured, { localId, remoteId: id.identity });
  const [lifetime] = notifiesOf(payloads, NotifyType.AUTH_LIFETIME);
  const seconds = lifetime && secondsOf(lifetime);
  if (seconds !== undefined) {
    heedAuthLifetime(turn, sa, seconds);
    reportAuthLifetime(turn, sa, seconds);
  }
  heedMobike(sa, payloads);
  heedSyncSupport(sa, payloads);
  if (redirect && obstacle === undefined) {
    // RFC 5685 §6: this IKE SA is of no use; the wishes have gone ahead.
    if (spiIn !== undefined) turn.numbers.releaseSpi(spiIn);
    deleteIkeSa(turn, sa, 'redirected', { kind: 'failed', what: 'redirected' });
    return;
  }
  const [first] = spiIn === undefined ? [] : wishes.splice(0, 1);
  const asked = first && askedOf(sa, first);
  const unaddressed = takeAddresses(turn, sa, payloads);
  if (first && asked && spiIn !== undefined) {
    const child = { wish: first, spiIn, payloads, asked, unaddressed };
    finishChild(turn, sa, { secured, handshake }, child);
  }
  if (sa.isClosing) {
    sa.wishes.push(...wishes);
    sa.complete(turn, { kind: 'failed', what: 'the IKE SA is going' });
    return;
  }
  turn.complete(sa.requests, { kind: 'done', matches: 1, terminated: 0 });
  for (const wish of wishes) requestChild(turn, sa, wish);
}

/** Why the responder is not who it should be; undefined if it proved itself. */
function distrust(
  turn: Turn,
  sa: IkeSa,
  { secured, handshake }: Agreed,
  claim: {
    readonly localId: Identity;
    readonly id: IdPayload;
    readonly auth: { readonly method: number; readonly data: Uint8Array };
  },
): PeerFault | undefined {
  const { localId, id, auth } = claim;
  const { identity } = id;
  const remoteId = formatIdentity(identity);
  const doubt = (cause: ProofDetail['cause'], what: string): PeerFault => ({
    ...peerFault('authentication-failed', what),
    proof: { cause, localId: formatIdentity(localId), remoteId },
  });
  const pattern = sa.connection.remote.id;
  if (pattern && matchIdentity(pattern, identity) === 0) {
    return doubt('unknown-identity', `the peer is ${remoteId}, ${pattern.text} expected`);
  }
  if (auth.method !== SHARED_KEY_MIC) {
    return doubt('other-method', `the peer used AUTH method ${auth.method}, 2 expected`);
  }
  const secret = turn.environment.pad.sharedSecret(localId, identity);
  if (!secret) return doubt('no-secret', `no shared secret for ${remoteId}`);
  const genuine = verifySharedKeyAuth(
    secured.suite.prf,
    secret,
    {
      message: handshake.responseOctets,
      peerNonce: handshake.nonceI,
      id,
      skP: secured.keys.skPr,
    },
    auth.data,
  );
  return genuine
    ? undefined
    : doubt('wrong-secret', "the peer's AUTH does not fit the shared secret");
}

interface FirstChild {
  readonly wish: ChildWish;
  readonly spiIn: Spi;
  readonly payloads: readonly Payload[];
  readonly asked: AcceptableChild;
  /** The peer gave no virtual address although one is wanted. */
  readonly unaddressed: PeerFault | undefined;
}

function finishChild(
  turn: Turn,
  sa: IkeSa,
  { secured, handshake }: Agreed,
  first: FirstChild,
): void {
  const { wish, spiIn, payloads } = first;
  const saPayload = payloadOf(payloads, 'SA');
  const tsI = payloadOf(payloads, 'TSi');
  const tsR = payloadOf(payloads, 'TSr');
  if (!saPayload || !tsI || !tsR) {
    childRefused(turn, sa, first);
    return;
  }
  const grant = { sa: saPayload, tsI, tsR, named: modeOffer(sa, secured.nat, payloads) };
  const agreed =
    first.unaddressed ?? acceptChildGrant(wish.policy, first.asked, grant, sa.localVips);
  if (agreed.kind === 'fault') {
    turn.numbers.releaseSpi(spiIn);
    turn.emit({ kind: 'peer-fault', what: agreed.what, ...sa.subject });
    const outcome = { kind: 'failed', what: agreed.what } as const;
    turn.complete(wish.requests, outcome);
    // RFC 7296 §2.21.2: the responder installed an SA that we cannot; the whole goes.
    deleteIkeSa(turn, sa, agreed.what, outcome);
    return;
  }
  createChildSa(turn, sa, secured, {
    agreed,
    features: grantedFeatures(wish.policy, payloads),
    spiIn,
    keying: { nonceI: handshake.nonceI, nonceR: handshake.nonceR },
    initiator: true,
    outbound: 'now',
  });
  reportNarrowing(turn, sa, first.asked, agreed);
  reportMode(turn, sa, first.asked, agreed);
  turn.complete(wish.requests, { kind: 'done', matches: 1, terminated: 0 });
}

// RFC 7296 §1.2: a Child SA that could not be created leaves the IKE SA in place.
function childRefused(turn: Turn, sa: IkeSa, { wish, spiIn, payloads, asked }: FirstChild): void {
  turn.numbers.releaseSpi(spiIn);
  const notify = errorNotify(payloads);
  const name = notify ? notifyName(notify.type) : 'no Child SA';
  const { policy } = wish;
  if (notify?.type === NotifyType.SINGLE_PAIR_REQUIRED && !wish.singlePair) {
    requestChild(turn, sa, { ...wish, singlePair: true });
    return;
  }
  turn.emit({ ...childRefusedByPeer(name, asked), ...sa.subject });
  const what = `the peer answered ${name} for child ${policy.name}; the IKE SA stays`;
  turn.complete(wish.requests, { kind: 'refused', what });
}

/** The whole IKE_AUTH was refused. */
function authRefused(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const notify = errorNotify(payloads);
  const name = notify ? notifyName(notify.type) : 'neither AUTH nor an error';
  const what = `the peer answered ${name}`;
  if (notify?.type === NotifyType.AUTHENTICATION_FAILED) {
    turn.emit({ kind: 'authentication-failed', by: 'peer', what, ...claimed(sa), ...sa.subject });
    sa.close(turn, what, { kind: 'authentication-failed', what });
    return;
  }
  turn.emit({ kind: 'refused', by: 'peer', notify: name, what, transforms: [], ...sa.subject });
  const outcome = { kind: 'refused', what } as const;
  // RFC 7296 §2.21.2: without an error the responder may believe that the SA is up.
  if (notify) sa.close(turn, what, outcome);
  else closeTelling(turn, sa, DELETE_IKE_SA, { reason: what, outcome });
}

/** Whom we claimed to be and whom we asked for. */
function claimed(sa: IkeSa): Omit<ProofDetail, 'cause'> & { readonly cause: 'refused-by-peer' } {
  const remote = sa.connection.remote.id;
  return {
    cause: 'refused-by-peer',
    ...(sa.state.name === 'AwaitingIkeAuthResponse' && {
      localId: formatIdentity(sa.state.localId),
    }),
    ...(remote && { remoteId: remote.text }),
  };
}
