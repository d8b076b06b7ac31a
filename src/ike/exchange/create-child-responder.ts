/**
 * CREATE_CHILD_SA as responder: a new Child SA, or one in place of another (RFC 7296 §1.3.1, §1.3.3,
 * §2.8, §2.25.1).
 *
 * A new SA receives before the answer leaves. One that replaces another sends only when the peer has
 * shown that it has it: by a packet on it, or by deleting the old one.
 */

import { isProtecting } from '../../ipsec/connection.ts';
import { ProtocolId } from '../../ipsec/proposal.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { createChildSa } from '../child-creation.ts';
import { featureNotifies, grantFeatures } from '../child-features.ts';
import { noRoomForChild, peerSpi, peerSpisInUse } from '../child-limits.ts';
import { hostMode, modeOffer } from '../child-mode.ts';
import {
  type AcceptableChild,
  type AgreedChild,
  answerChildOffer,
  childGrant,
  policyProposal,
} from '../child-negotiation.ts';
import { currentConnection, currentPolicy } from '../current-policy.ts';
import type { HeldChild } from '../held-child.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import type { NotifyPayload, Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { drawSpi } from '../own-spis.ts';
import { notifiesOf, payloadOf, statusNotify } from '../payload-access.ts';
import { faultNotify, type PeerFault, peerFault, refusedByUs } from '../peer-fault.ts';
import { refuseRequest } from '../refusal.ts';
import { acceptedChildProposals } from '../rekey-proposals.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { rekeyInFlight, replacedByPeer } from '../simultaneous-rekey.ts';
import type { Turn } from '../turn.ts';
import { giveAddresses, holdsForAddresses, settleAddresses } from '../virtual-addresses.ts';
import { answerKeyExchange, isFault, lowestNonce, newNonce, nonceOf } from './create-child-sa.ts';

export function answerCreateChild(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
): void {
  const { secured } = sa;
  if (!secured) return;
  const [rekey, ...others] = notifiesOf(request.payloads, NotifyType.REKEY_SA);
  // RFC 7296 §2.25.2: no Child SA while the IKE SA is being replaced or taken down.
  if (sa.isClosing || sa.inFlight?.kind === 'rekey-ike-sa') {
    refuse(turn, sa, request, peerFault('temporary-failure', 'the IKE SA is being replaced'));
    return;
  }
  if (others.length > 0) {
    refuse(turn, sa, request, peerFault('invalid-syntax', 'REKEY_SA appears more than once'));
    return;
  }
  const replaces = rekey && named(sa, rekey);
  if (replaces && 'kind' in replaces) {
    refuse(turn, sa, request, replaces, rekey);
    return;
  }
  const noRoom = noRoomForChild(sa, replaces, turn.environment.settings.maxChildren);
  if (noRoom) {
    refuse(turn, sa, request, noRoom);
    return;
  }
  const client = 'peer' in sa.state && {
    identity: sa.state.peer.remoteId,
    pools: sa.connection.pools,
  };
  if (client && holdsForAddresses(turn, sa, request, client)) return;
  const given = giveAddresses(turn, sa, request.payloads);
  if (given.kind === 'fault') {
    refuse(turn, sa, request, given);
    return;
  }
  const spisInUse = peerSpisInUse(registry.alongside(sa));
  const made = create(turn, sa, { secured, replaces, spisInUse }, request.payloads);
  settleAddresses(turn, sa, given, made.kind === 'made');
  if (made.kind === 'fault') refuse(turn, sa, request, made);
  else sa.respond(turn, request, [...given.payloads, ...made.payloads]);
}

/** The Child SA that a REKEY_SA means, or what is wrong with it (RFC 7296 §2.25.1). */
function named(sa: IkeSa, { protocol, spi }: NotifyPayload): HeldChild | PeerFault {
  const spiOut = protocol === ProtocolId.ESP ? peerSpi(spi) : undefined;
  // RFC 7296 §1.3.3: the SPI is the one the sender of the notify expects in inbound packets.
  const child = [...sa.children.values()].find(
    (one) => one.isHeldByPeer && one.childSa.spiOut === spiOut,
  );
  if (!child && spiOut !== undefined && sa.inFlight?.kind === 'create-child') {
    // It may be the one that the answer under way to us is about.
    return peerFault('temporary-failure', 'REKEY_SA while a Child SA is being made');
  }
  if (!child || child.state.name === 'Replaced' || child.state.name === 'Redundant') {
    return peerFault('child-sa-not-found', `REKEY_SA names no Child SA of protocol ${protocol}`);
  }
  if (rekeyInFlight(sa, child)?.rival) {
    return peerFault('temporary-failure', `child SA ${child.childSa.id} is being rekeyed by both`);
  }
  if (child.state.name === 'Deleting') {
    return peerFault('temporary-failure', `child SA ${child.childSa.id} is being deleted`);
  }
  return child;
}

interface Made {
  readonly kind: 'made';
  readonly payloads: readonly Payload[];
}

/** What the request is answered with the help of. */
interface Circumstances {
  readonly secured: Secured;
  readonly replaces: HeldChild | undefined;
  /** ESP SPIs that the peer has given us for other Child SAs. */
  readonly spisInUse: ReadonlySet<Spi>;
}

function create(
  turn: Turn,
  sa: IkeSa,
  { secured, replaces, spisInUse }: Circumstances,
  payloads: readonly Payload[],
): Made | PeerFault {
  const offer = {
    sa: payloadOf(payloads, 'SA'),
    tsI: payloadOf(payloads, 'TSi'),
    tsR: payloadOf(payloads, 'TSr'),
  };
  const nonceI = nonceOf(payloads);
  if (isFault(nonceI)) return nonceI;
  const { sa: saPayload, tsI, tsR } = offer;
  if (!saPayload || !tsI || !tsR) {
    return peerFault('invalid-syntax', 'CREATE_CHILD_SA without SA, TSi or TSr');
  }
  const ke = payloadOf(payloads, 'KE');
  const policies = acceptable(turn, sa, replaces);
  const named = modeOffer(sa, secured.nat, payloads);
  const asked = { sa: saPayload, tsI, tsR, named };
  const agreed = answerChildOffer(policies, asked, ke?.method, spisInUse);
  if (agreed.kind === 'fault') return agreed;
  const method = agreed.proposal.ke?.id;
  const keys = method === undefined ? undefined : answerKeyExchange(turn, method, ke, nonceI);
  if (keys?.kind === 'fault') return keys;
  const nonceR = newNonce(turn);
  const features = grantFeatures(agreed.policy, payloads);
  const spiIn = drawSpi(turn, sa);
  const child = createChildSa(turn, sa, secured, {
    agreed,
    features,
    spiIn,
    keying: { nonceI, nonceR, ...(keys && { sharedSecret: keys.shared }) },
    initiator: false,
    outbound: replaces ? 'after-inbound' : 'now',
    ...(replaces && { replaces }),
  });
  if (replaces) {
    const attempt = rekeyInFlight(sa, replaces);
    // RFC 7296 §2.8.1: both at once; which stands is decided when our own answer is here.
    if (attempt) attempt.rival = { child, lowestNonce: lowestNonce(nonceI, nonceR) };
    else replacedByPeer(turn, replaces, child);
  }
  return {
    kind: 'made',
    payloads: [...answer(agreed, spiIn, nonceR, keys?.payload), ...featureNotifies(features)],
  };
}

function answer(
  agreed: AgreedChild,
  spiIn: Parameters<typeof childGrant>[1],
  nonceR: Uint8Array,
  ke: Payload | undefined,
): readonly Payload[] {
  const [grant, ...selectors] = childGrant(agreed, spiIn);
  return [
    ...(grant ? [grant] : []),
    { kind: 'NONCE', nonce: nonceR },
    ...(ke ? [ke] : []),
    ...selectors,
  ];
}

/** What we accept: of each child of the connection, or for the one that is replaced. */
function acceptable(
  turn: Turn,
  sa: IkeSa,
  replaces: HeldChild | undefined,
): readonly AcceptableChild[] {
  const { proposals: ikeProposals, children } = currentConnection(turn, sa);
  if (replaces) {
    const { childSa } = replaces;
    const { localTs, remoteTs } = childSa;
    const policy = currentPolicy(turn, sa, replaces.policy);
    const proposals = acceptedChildProposals(policy.proposals, ikeProposals, childSa);
    const mode = hostMode(childSa.mode);
    return [{ policy, proposals, localTs, remoteTs, ...(mode && { mode }) }];
  }
  return children
    .filter(({ mode }) => isProtecting(mode))
    .map((policy) => ({
      ...policyProposal(policy, sa.dynamicAddresses),
      proposals: acceptedChildProposals(policy.proposals, ikeProposals, undefined),
    }));
}

/** But for INVALID_SYNTAX the IKE SA stays as it is (RFC 7296 §1.3, §2.21.3). */
function refuse(
  turn: Turn,
  sa: IkeSa,
  request: Incoming,
  fault: PeerFault,
  rekey?: NotifyPayload,
): void {
  const notify = faultNotify(fault);
  turn.emit({ ...refusedByUs(fault), ...sa.subject });
  // RFC 7296 §2.25: CHILD_SA_NOT_FOUND names the SPI that was not found.
  const about =
    rekey && fault.fault === 'child-sa-not-found'
      ? { ...statusNotify(notify.type), protocol: rekey.protocol, spi: rekey.spi }
      : notify;
  refuseRequest(turn, sa, request, fault, about);
}
