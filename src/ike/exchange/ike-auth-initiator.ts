/**
 * IKE_AUTH as initiator, with the first Child SA (RFC 7296 §1.2, §2.15, §2.16, §2.21.2).
 */
import {
  addressIdentity,
  formatIdentity,
  type Identity,
  matchIdentity,
} from '../../ipsec/identity.ts';
import { formatProposal } from '../../ipsec/proposal.ts';
import { SHARED_KEY_MIC, sharedKeyAuth, verifySharedKeyAuth } from '../auth/shared-key.ts';
import { createChildSa } from '../child-creation.ts';
import { acceptChildGrant, childOffer } from '../child-negotiation.ts';
import type { IkeSa, Incoming } from '../ike-sa.ts';
import type { ProposedChild, Secured } from '../ike-sa-state.ts';
import { ExchangeType, type IdPayload, type Payload } from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { errorNotify, payloadOf, statusNotify } from '../payload-access.ts';
import type { SaRegistry } from '../sa-registry.ts';
import type { Turn } from '../turn.ts';
import { establish } from './ike-auth.ts';

/** Sends IKE_AUTH for the Child SA the attempt is about. */
export function startIkeAuth(turn: Turn, registry: SaRegistry, sa: IkeSa, secured: Secured): void {
  const { connection } = sa;
  const localId = connection.local.id?.identity ?? addressIdentity(sa.local.address.octets);
  const wanted = connection.remote.id?.identity;
  const secret = turn.environment.pad.sharedSecret(
    localId,
    wanted ?? addressIdentity(sa.remote.address.octets),
  );
  const policy = connection.children.find(({ name }) => name === sa.wantedChild);
  if (!secret || !policy) {
    const what = policy
      ? `no shared secret for ${formatIdentity(localId)} with ${connection.remote.id?.text ?? '%any'}`
      : `connection ${connection.name} no longer has the child ${sa.wantedChild}`;
    sa.close(turn, what, { kind: 'failed', what });
    return;
  }
  const child: ProposedChild = { policy, spiIn: turn.numbers.newSpi() };
  sa.move({ name: 'AwaitingIkeAuthResponse', secured, localId, child });
  const auth = sharedKeyAuth(secured.suite.prf, secret, {
    message: secured.requestOctets,
    peerNonce: secured.nonceR,
    id: { kind: 'IDi', identity: localId },
    skP: secured.keys.skPi,
  });
  const idR: readonly Payload[] = wanted ? [{ kind: 'IDr', identity: wanted }] : [];
  // RFC 7296 §2.4: claimed only of a peer we know by name and have, and expect, no other IKE SA with.
  const alone = wanted && !registry.hasOther(sa, localId, wanted);
  const contact =
    alone && connection.unique !== 'never' ? [statusNotify(NotifyType.INITIAL_CONTACT)] : [];
  sa.request(turn, { kind: 'ike-auth' }, ExchangeType.IKE_AUTH, [
    { kind: 'IDi', identity: localId },
    ...contact,
    ...idR,
    { kind: 'AUTH', method: SHARED_KEY_MIC, data: auth },
    ...childOffer(policy, child.spiIn, { local: sa.local.address, remote: sa.remote.address }),
  ]);
}

export function handleIkeAuthResponse(turn: Turn, sa: IkeSa, response: Incoming): void {
  if (sa.state.name !== 'AwaitingIkeAuthResponse') return;
  const { secured, localId, child } = sa.state;
  const { payloads } = response;
  const id = payloadOf(payloads, 'IDr');
  const auth = payloadOf(payloads, 'AUTH');
  if (!id || !auth) {
    refusedByPeer(turn, sa, payloads);
    return;
  }
  const doubt = distrust(turn, sa, secured, { localId, id, auth });
  if (doubt !== undefined) {
    turn.emit({ kind: 'authentication-failed', by: 'us', what: doubt, ...sa.subject });
    // RFC 7296 §2.21.2: the responder believes the SA is up; one notify tells it otherwise.
    const notify = statusNotify(NotifyType.AUTHENTICATION_FAILED);
    sa.closeTelling(turn, notify, doubt, { kind: 'authentication-failed', what: doubt });
    return;
  }
  establish(turn, sa, secured, { localId, remoteId: id.identity });
  finishChild(turn, sa, secured, child, payloads);
}

/** Why the responder is not who it should be; undefined if it proved itself. */
function distrust(
  turn: Turn,
  sa: IkeSa,
  secured: Secured,
  claim: {
    readonly localId: Identity;
    readonly id: IdPayload;
    readonly auth: { readonly method: number; readonly data: Uint8Array };
  },
): string | undefined {
  const { localId, id, auth } = claim;
  const { identity } = id;
  const pattern = sa.connection.remote.id;
  if (pattern && matchIdentity(pattern, identity) === 0) {
    return `the peer is ${formatIdentity(identity)}, ${pattern.text} expected`;
  }
  if (auth.method !== SHARED_KEY_MIC) return `the peer used AUTH method ${auth.method}, 2 expected`;
  const secret = turn.environment.pad.sharedSecret(localId, identity);
  if (!secret) return `no shared secret for ${formatIdentity(identity)}`;
  const genuine = verifySharedKeyAuth(
    secured.suite.prf,
    secret,
    {
      message: secured.responseOctets,
      peerNonce: secured.nonceI,
      id,
      skP: secured.keys.skPr,
    },
    auth.data,
  );
  return genuine ? undefined : `the peer's AUTH does not fit the shared secret`;
}

function finishChild(
  turn: Turn,
  sa: IkeSa,
  secured: Secured,
  child: ProposedChild,
  payloads: readonly Payload[],
): void {
  const offer = {
    sa: payloadOf(payloads, 'SA'),
    tsI: payloadOf(payloads, 'TSi'),
    tsR: payloadOf(payloads, 'TSr'),
  };
  const { sa: saPayload, tsI, tsR } = offer;
  if (!saPayload || !tsI || !tsR) {
    childRefused(turn, sa, child, payloads);
    return;
  }
  const addresses = { local: sa.local.address, remote: sa.remote.address };
  const agreed = acceptChildGrant(child.policy, { sa: saPayload, tsI, tsR }, addresses);
  if (agreed.kind === 'fault') {
    turn.numbers.releaseSpi(child.spiIn);
    turn.emit({ kind: 'peer-fault', what: agreed.what, ...sa.subject });
    // RFC 7296 §2.21.2: the responder installed an SA that we cannot; the whole goes.
    sa.deleteIkeSa(turn, agreed.what, { kind: 'failed', what: agreed.what });
    return;
  }
  createChildSa(turn, sa, secured, agreed, child.spiIn);
  sa.completeInitiate(turn, { kind: 'done', matches: 1, terminated: 0 });
}

// RFC 7296 §1.2: a Child SA that could not be created leaves the IKE SA in place.
function childRefused(
  turn: Turn,
  sa: IkeSa,
  child: ProposedChild,
  payloads: readonly Payload[],
): void {
  turn.numbers.releaseSpi(child.spiIn);
  const notify = errorNotify(payloads);
  const name = notify ? notifyName(notify.type) : 'no Child SA';
  const offered = child.policy.proposals.map(formatProposal).join(', ');
  turn.emit({
    kind: 'refused',
    by: 'peer',
    notify: name,
    what: `child ${child.policy.name}: offered ${offered}`,
    transforms: [],
    ...sa.subject,
  });
  const what = `the peer answered ${name} for child ${child.policy.name}; the IKE SA stays`;
  sa.completeInitiate(turn, { kind: 'refused', what });
}

/** The whole IKE_AUTH was refused. */
function refusedByPeer(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const notify = errorNotify(payloads);
  const name = notify ? notifyName(notify.type) : 'neither AUTH nor an error';
  const what = `the peer answered ${name}`;
  if (notify?.type === NotifyType.AUTHENTICATION_FAILED) {
    turn.emit({ kind: 'authentication-failed', by: 'peer', what, ...sa.subject });
    sa.close(turn, what, { kind: 'authentication-failed', what });
    return;
  }
  turn.emit({ kind: 'refused', by: 'peer', notify: name, what, transforms: [], ...sa.subject });
  sa.close(turn, what, { kind: 'refused', what });
}
