/**
 * Authentic messages to their exchanges (RFC 7296 §1.2-§1.4): a response by what was asked, a request by
 * its exchange type and the state of the IKE SA.
 */
import { ProtocolId } from '../ipsec/proposal.ts';
import { bequeath, childDeleted } from './deletion.ts';
import { drop } from './discard.ts';
import { dispel, doubtLess } from './doubt.ts';
import { handleCreateChildResponse } from './exchange/create-child-initiator.ts';
import { answerCreateChild } from './exchange/create-child-responder.ts';
import { handleIkeAuthResponse } from './exchange/ike-auth-initiator.ts';
import { handleIkeAuthRequest } from './exchange/ike-auth-responder.ts';
import { handleInformationalRequest } from './exchange/informational.ts';
import { answerSync, heedSync, isSync, supportsSync } from './exchange/message-id-sync.ts';
import {
  handleAddressUpdateResponse,
  heedLiveness,
  heedProbe,
  isRoutable,
} from './exchange/mobike.ts';
import { heedPathProbe } from './exchange/path-probe.ts';
import { adoptRival, attemptAgainst } from './exchange/rekey-ike-sa.ts';
import { handleIkeRekeyResponse } from './exchange/rekey-ike-sa-initiator.ts';
import { answerIkeRekey } from './exchange/rekey-ike-sa-responder.ts';
import type { IkeSa, RequestPurpose } from './ike-sa.ts';
import type { Incoming } from './incoming.ts';
import { ExchangeType } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { notifiesOf, payloadOf } from './payload-access.ts';
import { peerFault } from './peer-fault.ts';
import { answerFault, deleteByFault } from './refusal.ts';
import { followNat } from './relocation.ts';
import { repeatResponse } from './repetition.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';

/** An authentic response: whom it belongs to is the purpose of the request it answers. */
export function receiveResponse(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  response: Incoming,
): void {
  if (sa.sync && isSync(response)) {
    if (heedSync(turn, sa, response)) dispel(turn, sa);
    else drop(turn, response, 'message-id-sync');
    return;
  }
  const purpose = sa.window.take(response.header);
  if (!purpose) {
    drop(turn, response, 'ike-response-not-awaited');
    return;
  }
  sa.lastHeard = turn.now;
  sa.received(turn, response);
  if (isRejected(sa, purpose, response)) {
    deleteByFault(turn, sa, 'the peer answered INVALID_SYNTAX', purpose);
    return;
  }
  heedProbe(turn, sa, response);
  switch (purpose.kind) {
    case 'ike-auth':
      handleIkeAuthResponse(turn, sa, response);
      break;
    case 'create-child':
      if (purpose.attempt) handleCreateChildResponse(turn, sa, purpose.attempt, response);
      break;
    case 'rekey-ike-sa':
      if (purpose.attempt) {
        handleIkeRekeyResponse(turn, registry, sa, purpose.attempt, response);
      }
      break;
    case 'delete-ike-sa':
      if (sa.heir) bequeath(turn, sa, sa.heir, closingReason(sa));
      sa.close(turn, closingReason(sa), { kind: 'failed', what: 'the IKE SA was deleted' });
      break;
    case 'delete-child-sa':
      childDeleted(turn, sa, purpose.child);
      break;
    case 'liveness':
      heedLiveness(turn, sa, response);
      break;
    case 'update-addresses':
      handleAddressUpdateResponse(turn, sa, purpose.told, response);
      break;
    case 'check-routability':
      if (!isRoutable(purpose.cookie, response)) {
        // RFC 4555 §3.7: whoever answered did not see the question.
        const what = 'the peer answered without the cookie it was sent';
        sa.close(turn, what, { kind: 'failed', what });
      }
      break;
    case 'probe-path':
      heedPathProbe(turn, sa, purpose.measuring, response);
      break;
    case 'redirect':
    case 'tell-addresses':
    case 'withdraw-child-sa':
    case 'ike-sa-init':
      break;
    default:
      purpose satisfies never;
  }
  doubtLess(turn, sa);
  sa.proceed(turn);
}

/** An authentic request, once, in the order of its message ids. */
export function receiveRequest(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
): void {
  if (supportsSync(sa) && isSync(request)) {
    if (!answerSync(turn, registry, sa, request)) drop(turn, request, 'message-id-sync');
    return;
  }
  switch (sa.window.place(request.header.messageId)) {
    case 'repeated':
      repeatResponse(turn, sa, request);
      return;
    case 'outside':
      drop(turn, request, 'message-id-out-of-window');
      return;
    case 'new':
      break;
  }
  if (sa.state.name === 'Closed') {
    drop(turn, request, 'ike-sa-closed');
    return;
  }
  // RFC 7296 §2.3: it may have an answer already, which its sender would take for this one.
  if (sa.doubt) {
    drop(turn, request, 'message-id-sync');
    return;
  }
  // RFC 7296 §2.1: a request that is being answered is not answered twice.
  if (sa.heldRequest) {
    drop(turn, request, 'ike-request-held');
    return;
  }
  sa.lastHeard = turn.now;
  sa.received(turn, request);
  if (!sa.mobility.agreed) followNat(turn, sa, request, 'a request came from there');
  answerRequest(turn, registry, sa, request);
}

/** The request that waited for addresses, now that they are decided upon. */
export function answerHeldRequest(turn: Turn, registry: SaRegistry, sa: IkeSa): void {
  const { heldRequest } = sa;
  sa.heldRequest = undefined;
  if (!heldRequest || sa.state.name === 'Closed') return;
  // Both ends may have said since where they stand (RFC 6311).
  if (sa.window.place(heldRequest.header.messageId) !== 'new') return;
  if (sa.state.name === 'AwaitingIkeAuthRequest') {
    handleIkeAuthRequest(turn, registry, sa, heldRequest, 'admitted');
  } else {
    answerRequest(turn, registry, sa, heldRequest);
  }
}

function answerRequest(turn: Turn, registry: SaRegistry, sa: IkeSa, request: Incoming): void {
  const { exchangeType } = request.header;
  const authenticated = sa.state.name !== 'AwaitingIkeAuthRequest';
  if (!authenticated && exchangeType === ExchangeType.IKE_AUTH) {
    handleIkeAuthRequest(turn, registry, sa, request);
  } else if (authenticated && exchangeType === ExchangeType.INFORMATIONAL) {
    preferRival(turn, sa, request);
    handleInformationalRequest(turn, registry, sa, request);
  } else if (authenticated && exchangeType === ExchangeType.CREATE_CHILD_SA) {
    preferRival(turn, sa, request);
    receiveCreateChildSa(turn, registry, sa, request);
  } else {
    const what = `exchange ${exchangeType} is not for this state`;
    answerFault(turn, sa, request, peerFault('invalid-syntax', what));
  }
}

/**
 * A request over an IKE SA that competes with one of ours, other than to delete it, says that the
 * peer has settled for it.
 */
function preferRival(turn: Turn, sa: IkeSa, { payloads }: Incoming): void {
  const attempt = attemptAgainst(sa);
  const deletes = payloads.some((one) => one.kind === 'DELETE' && one.protocol === ProtocolId.IKE);
  if (attempt && sa.rivalOf && !deletes) adoptRival(turn, sa.rivalOf, attempt);
}

function receiveCreateChildSa(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
): void {
  const ofIkeSa = payloadOf(request.payloads, 'SA')?.proposals.some(
    ({ protocol }) => protocol === ProtocolId.IKE,
  );
  if (ofIkeSa) answerIkeRekey(turn, registry, sa, request);
  else answerCreateChild(turn, registry, sa, request);
}

// RFC 7296 §2.21.3: after IKE_AUTH, INVALID_SYNTAX ends the IKE SA at both ends. Peers are known that
// keep it all the same.
function isRejected({ state }: IkeSa, { kind }: RequestPurpose, { payloads }: Incoming): boolean {
  if (!('peer' in state) || kind === 'delete-ike-sa') return false;
  return notifiesOf(payloads, NotifyType.INVALID_SYNTAX).length > 0;
}

function closingReason(sa: IkeSa): string {
  return sa.state.name === 'AwaitingDeleteResponse' ? sa.state.reason : 'deleted';
}
