/**
 * IKE_AUTH as responder: who the peer is, whether it proves it, and its first Child SA
 * (RFC 7296 §1.2, §2.15, §2.21.2; the choice of the connection is RFC 4301 §4.4.3).
 */

import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import { type Connection, isProtecting } from '../../ipsec/connection.ts';
import { addressIdentity, formatIdentity, type Identity } from '../../ipsec/identity.ts';
import { selectProposal, withoutKeyExchange } from '../../ipsec/proposal.ts';
import { sharingAddress } from '../../wire/address.ts';
import { SHARED_KEY_MIC, sharedKeyAuth, verifySharedKeyAuth } from '../auth/shared-key.ts';
import { createChildSa } from '../child-creation.ts';
import { featureNotifies, grantFeatures } from '../child-features.ts';
import { modeOffer } from '../child-mode.ts';
import {
  answerChildOffer,
  childGrant,
  chosenAsProposal,
  policyProposal,
} from '../child-negotiation.ts';
import { closeTelling, DELETE_IKE_SA, deleteIkeSa } from '../deletion.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Handshake, Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { foreseeRekey } from '../latent-mismatch.ts';
import type { NotifyPayload, Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { drawSpi } from '../own-spis.ts';
import { notifiesOf, payloadOf, secondsData, statusNotify } from '../payload-access.ts';
import {
  faultNotify,
  isFatal,
  type PeerFault,
  type ProofDetail,
  peerFault,
  refusedByUs,
} from '../peer-fault.ts';
import { refuseRequest } from '../refusal.ts';
import type { SaRegistry } from '../sa-registry.ts';
import type { Turn } from '../turn.ts';
import { giveAddresses, holdsForAddresses, settleAddresses } from '../virtual-addresses.ts';
import { establish } from './ike-auth.ts';
import { heedSyncSupport, syncSupport } from './message-id-sync.ts';
import { heedMobike, mobikeNotifies } from './mobike.ts';

/** What IKE_SA_INIT left. */
interface Agreed {
  readonly secured: Secured;
  readonly handshake: Handshake;
}

interface ProvenPeer {
  readonly kind: 'proven';
  readonly connection: Connection;
  readonly localId: Identity;
  readonly remoteId: Identity;
  readonly secret: SecretBytes;
}

export function handleIkeAuthRequest(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
  standing: 'new' | 'admitted' = 'new',
): void {
  if (sa.state.name !== 'AwaitingIkeAuthRequest') return;
  const { secured, handshake } = sa.state;
  const agreed = { secured, handshake };
  // RFC 7296 §2.23: the initiator may have floated to port 4500 since IKE_SA_INIT.
  sa.local = sharingAddress(request.local, sa.local);
  sa.remote = sharingAddress(request.remote, sa.remote);
  const peer = authenticate(turn, sa, agreed, request.payloads);
  const verdict =
    peer.kind === 'proven'
      ? (withoutChild(peer, request.payloads) ??
        (standing === 'new' ? admitPeer(turn, registry, peer, request.payloads) : undefined) ??
        crowded(turn, registry, peer))
      : peer;
  if (peer.kind === 'fault' || verdict) {
    const fault = peer.kind === 'fault' ? peer : verdict;
    if (fault) reject(turn, sa, request, fault);
    return;
  }
  sa.connection = peer.connection;
  const { localId, remoteId } = peer;
  const { pools } = peer.connection;
  if (holdsForAddresses(turn, sa, request, { identity: remoteId, pools })) return;
  const auth = sharedKeyAuth(secured.suite.prf, peer.secret, {
    message: handshake.responseOctets,
    peerNonce: handshake.nonceI,
    id: { kind: 'IDr', identity: localId },
    skP: secured.keys.skPr,
  });
  establish(turn, sa, secured, peer);
  sa.authMessageId = request.header.messageId;
  heedMobike(sa, request.payloads);
  heedSyncSupport(sa, request.payloads);
  const given = giveAddresses(turn, sa, request.payloads);
  if (given.kind === 'given') settleAddresses(turn, sa, given, true);
  else if (isFatal(given)) {
    refuseRequest(turn, sa, request, given);
    return;
  }
  // RFC 7296 §3.15.4: without the address it needs, a client gets no Child SA.
  const rest =
    given.kind === 'fault'
      ? [refuseChild(turn, sa, given)]
      : [...given.payloads, ...answerChild(turn, registry, sa, agreed, request.payloads)];
  const { reauth } = peer.connection.lifetime;
  sa.respond(turn, request, [
    { kind: 'IDr', identity: localId },
    { kind: 'AUTH', method: SHARED_KEY_MIC, data: auth },
    ...rest,
    // RFC 4478 §3: the time within which the peer shall prove itself again.
    ...(sa.mobility.agreed ? mobikeNotifies(turn, sa) : []),
    ...syncSupport(sa),
    ...(reauth > 0 ? [statusNotify(NotifyType.AUTH_LIFETIME, secondsData(reauth))] : []),
  ]);
}

/** The connection whose identities, secret and AUTH fit. */
function authenticate(
  turn: Turn,
  sa: IkeSa,
  { secured, handshake }: Agreed,
  payloads: readonly Payload[],
): ProvenPeer | PeerFault {
  const id = payloadOf(payloads, 'IDi');
  const wanted = payloadOf(payloads, 'IDr')?.identity;
  const auth = payloadOf(payloads, 'AUTH');
  if (!id) return peerFault('authentication-failed', 'IKE_AUTH without IDi');
  const remoteId = id.identity;
  const remote = formatIdentity(remoteId);
  const other = { cause: 'other-method', remoteId: remote } as const;
  if (!auth) return failed(`${remote} wants EAP`, other);
  if (auth.method !== SHARED_KEY_MIC) {
    return failed(`AUTH method ${auth.method}, 2 expected`, other);
  }
  const { pad } = turn.environment;
  const suite = [chosenAsProposal(secured.suite.proposal)];
  const connection = pad
    .choose(sa.local.address, sa.remote.address, remoteId, wanted)
    .find(({ proposals }) => selectProposal(proposals, suite) !== undefined);
  if (!connection) {
    const asked = wanted ? formatIdentity(wanted) : 'any identity of ours';
    return failed(`no connection for ${remote} with ${asked}`, {
      cause: 'unknown-identity',
      ...(wanted && { localId: asked }),
      remoteId: remote,
    });
  }
  const localId =
    connection.local.id?.identity ?? wanted ?? addressIdentity(sa.local.address.octets);
  const local = formatIdentity(localId);
  const ids = { localId: local, remoteId: remote };
  const secret = pad.sharedSecret(localId, remoteId);
  if (!secret) {
    return failed(`no shared secret for ${local} and ${remote}`, { cause: 'no-secret', ...ids });
  }
  const genuine = verifySharedKeyAuth(
    secured.suite.prf,
    secret,
    {
      message: handshake.requestOctets,
      peerNonce: handshake.nonceR,
      id,
      skP: secured.keys.skPi,
    },
    auth.data,
  );
  if (!genuine) {
    const what = `AUTH of ${remote} does not fit the shared secret`;
    return failed(what, { cause: 'wrong-secret', ...ids });
  }
  return { kind: 'proven', connection, localId, remoteId, secret };
}

/** INITIAL_CONTACT and `unique` (RFC 7296 §2.4): what happens to older IKE SAs of this peer. */
function admitPeer(
  turn: Turn,
  registry: SaRegistry,
  peer: ProvenPeer,
  payloads: readonly Payload[],
): PeerFault | undefined {
  const { unique } = peer.connection;
  if (unique === 'never') return undefined;
  const older = registry.between(peer.localId, peer.remoteId);
  const initialContact = notifiesOf(payloads, NotifyType.INITIAL_CONTACT).length > 0;
  const gone = { kind: 'failed', what: 'replaced by a newer IKE SA of the peer' } as const;
  if (initialContact) {
    const reason = 'the peer starts afresh (INITIAL_CONTACT)';
    // Told all the same: an IKE SA that both were just bringing up may be alive there.
    for (const one of older) closeTelling(turn, one, DELETE_IKE_SA, { reason, outcome: gone });
    return undefined;
  }
  if (unique === 'keep' && older.length > 0) {
    const remoteId = formatIdentity(peer.remoteId);
    return failed(`${remoteId} has an IKE SA already (unique = keep)`, {
      cause: 'not-admitted',
      remoteId,
    });
  }
  if (unique === 'replace') {
    for (const one of older) deleteIkeSa(turn, one, gone.what, gone);
  }
  return undefined;
}

/**
 * The limit of one identity. RFC 7296 §2.21.2: to refuse the IKE SA itself there is
 * AUTHENTICATION_FAILED; NO_ADDITIONAL_SAS would leave it in place.
 */
function crowded(
  turn: Turn,
  registry: SaRegistry,
  { connection, localId, remoteId }: ProvenPeer,
): PeerFault | undefined {
  const { maxIkeSasPerIdentity: most } = turn.environment.settings;
  if (most === 0) return undefined;
  const held = registry
    .between(localId, remoteId)
    .filter((one) => one.connection.name === connection.name && !one.replaced);
  if (held.length < most) return undefined;
  const id = formatIdentity(remoteId);
  return failed(`${id} has ${held.length} IKE SAs, gateway.max_ike_sas_per_identity is ${most}`, {
    cause: 'not-admitted',
    remoteId: id,
  });
}

// RFC 6023 §3: who was not told that it may leave the Child SA away has to ask for one.
function withoutChild(
  { connection }: ProvenPeer,
  payloads: readonly Payload[],
): PeerFault | undefined {
  return connection.childless === 'never' && !payloadOf(payloads, 'SA')
    ? peerFault('invalid-syntax', `connection ${connection.name}: IKE_AUTH without a Child SA`)
    : undefined;
}

// RFC 7296 §1.2: a Child SA that cannot be created costs a notify, not the IKE SA.
function answerChild(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  { secured, handshake }: Agreed,
  payloads: readonly Payload[],
): readonly Payload[] {
  const saPayload = payloadOf(payloads, 'SA');
  const tsI = payloadOf(payloads, 'TSi');
  const tsR = payloadOf(payloads, 'TSr');
  // RFC 6023 §3: an IKE SA without a Child SA.
  if (!saPayload || !tsI || !tsR) return [];
  const { childless, name } = sa.connection;
  if (childless === 'force') {
    const what = `connection ${name}: a Child SA in IKE_AUTH, against childless = force`;
    return [refuseChild(turn, sa, peerFault('no-proposal-chosen', what))];
  }
  const policies = sa.connection.children
    .filter(({ mode }) => isProtecting(mode))
    .map((policy) => policyProposal(policy, sa.dynamicAddresses));
  const offered = { ...saPayload, proposals: withoutKeyExchange(saPayload.proposals) };
  const named = modeOffer(sa, secured.nat, payloads);
  const agreed = answerChildOffer(policies, { sa: offered, tsI, tsR, named });
  if (agreed.kind === 'fault') return [refuseChild(turn, sa, agreed)];
  foreseeRekey(turn, sa, agreed, saPayload.proposals);
  const features = grantFeatures(agreed.policy, payloads);
  const spiIn = drawSpi(turn, sa);
  createChildSa(turn, sa, secured, {
    agreed,
    features,
    spiIn,
    keying: { nonceI: handshake.nonceI, nonceR: handshake.nonceR },
    initiator: false,
    // A peer that starts afresh beside an IKE SA it still has uses the old one until it hears us.
    outbound: carriedElsewhere(registry, sa, agreed.policy.name) ? 'after-inbound' : 'now',
  });
  return [...childGrant(agreed, spiIn), ...featureNotifies(features)];
}

function refuseChild(turn: Turn, sa: IkeSa, fault: PeerFault): NotifyPayload {
  turn.emit({ ...refusedByUs(fault), ...sa.subject });
  return faultNotify(fault);
}

/** Another IKE SA with this peer has a Child SA of the same policy. */
function carriedElsewhere(registry: SaRegistry, sa: IkeSa, child: string): boolean {
  if (!('peer' in sa.state)) return false;
  const { localId, remoteId } = sa.state.peer;
  return registry
    .between(localId, remoteId)
    .some((one) => one !== sa && one.childrenUp.some(({ policy }) => policy.name === child));
}

function reject(turn: Turn, sa: IkeSa, request: Incoming, fault: PeerFault): void {
  const { what, proof } = fault;
  turn.emit({ kind: 'authentication-failed', by: 'us', what, ...proof, ...sa.subject });
  sa.respond(turn, request, [faultNotify(fault)]);
  sa.close(turn, what, { kind: 'authentication-failed', what });
}

function failed(what: string, proof: ProofDetail): PeerFault {
  return { ...peerFault('authentication-failed', what), proof };
}
