/**
 * What an authenticated peer's fault costs: one exchange, or the IKE SA (RFC 7296 §2.21.3, RFC 6989
 * §2.5).
 */
import { formatEndpoint } from '../wire/address.ts';
import type { Outcome } from './action.ts';
import { closeTelling, DELETE_IKE_SA, deleteIkeSa } from './deletion.ts';
import { abandon, type IkeSa, type RequestPurpose } from './ike-sa.ts';
import type { Incoming } from './incoming.ts';
import type { NotifyPayload } from './message/message.ts';
import { faultNotify, isFatal, type PeerFault } from './peer-fault.ts';
import { reopen } from './reopening.ts';
import { repeatResponse } from './repetition.ts';
import type { Turn } from './turn.ts';

/** Answers a request with the notify of its fault. */
export function refuseRequest(
  turn: Turn,
  sa: IkeSa,
  request: Incoming,
  fault: PeerFault,
  notify: NotifyPayload = faultNotify(fault),
): void {
  const unproven = sa.state.name === 'AwaitingIkeAuthRequest';
  sa.respond(turn, request, [notify]);
  // RFC 7296 §2.21.3: INVALID_SYNTAX ends the IKE SA at both ends, without a Delete; other faults
  // cost one exchange. But without IKE_AUTH there is nothing to keep.
  if (unproven || isFatal(fault)) endByFault(turn, sa, fault.what);
}

/** A message whose payloads do not even fit their exchange: logged and, in a request, answered. */
export function answerFault(turn: Turn, sa: IkeSa, message: Incoming, fault: PeerFault): void {
  const { isResponse, messageId } = message.header;
  const purpose = isResponse ? sa.window.take(message.header) : undefined;
  const place = isResponse ? undefined : sa.window.place(messageId);
  if (place === 'repeated') {
    repeatResponse(turn, sa, message);
  } else if (!purpose && (place !== 'new' || sa.state.name === 'Closed')) {
    const late = place === 'new' ? 'ike-sa-closed' : 'message-id-out-of-window';
    const reason = isResponse ? 'ike-response-not-awaited' : late;
    turn.emit({ kind: 'ike-drop', reason, peer: formatEndpoint(message.remote) });
  } else {
    turn.emit({ kind: 'peer-fault', what: fault.what, ...sa.subject });
    if (purpose) deleteByFault(turn, sa, fault.what, purpose);
    else refuseRequest(turn, sa, message, fault);
  }
}

/**
 * An answer that is no use, or says that our request was none: the peer, which holds the IKE SA, is
 * told that it ends. `purpose` is what the answer was for, where nobody has seen to that yet.
 */
export function deleteByFault(turn: Turn, sa: IkeSa, what: string, purpose?: RequestPurpose): void {
  const outcome: Outcome = { kind: 'failed', what };
  const { childrenUp, isClosing } = sa;
  if (sa.state.name === 'Established') deleteIkeSa(turn, sa, what, outcome);
  else closeTelling(turn, sa, DELETE_IKE_SA, { reason: what, outcome });
  if (purpose) {
    abandon(turn, purpose, outcome);
    dropRival(turn, purpose, what);
  }
  if (!isClosing) reopen(turn, sa, childrenUp, 'closed');
}

/** Both ends know that the IKE SA is gone. */
export function endByFault(turn: Turn, sa: IkeSa, what: string): void {
  const { childrenUp, inFlight } = sa;
  sa.close(turn, what, { kind: 'failed', what });
  if (inFlight) dropRival(turn, inFlight, what);
  reopen(turn, sa, childrenUp, 'closed');
}

/** The peer's IKE SA that was to replace this one as ours was: it has inherited nothing. */
function dropRival(turn: Turn, purpose: RequestPurpose, what: string): void {
  const rival = purpose.kind === 'rekey-ike-sa' ? purpose.attempt?.rival : undefined;
  if (!rival) return;
  rival.sa.rivalOf = undefined;
  deleteIkeSa(turn, rival.sa, what, { kind: 'failed', what });
}
