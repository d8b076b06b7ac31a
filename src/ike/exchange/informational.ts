/**
 * INFORMATIONAL: Delete, liveness, notifies (RFC 7296 §1.4, §1.4.1, §2.4, §2.25).
 */
import type { ChildSa } from '../../ipsec/child-sa.ts';
import { ProtocolId } from '../../ipsec/proposal.ts';
import { formatSpi } from '../../ipsec/spi.ts';
import type { Outcome } from '../action.ts';
import type { IkeSa, Incoming } from '../ike-sa.ts';
import { type DeletePayload, ExchangeType, type Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { notifiesOf } from '../payload-access.ts';
import type { Turn } from '../turn.ts';

const PEER_DELETED: Outcome = { kind: 'failed', what: 'the peer deleted the IKE SA' };

export function handleInformationalRequest(turn: Turn, sa: IkeSa, request: Incoming): void {
  const deletes = request.payloads.filter(
    (payload): payload is DeletePayload => payload.kind === 'DELETE',
  );
  if (deletes.some(({ protocol }) => protocol === ProtocolId.IKE)) {
    // RFC 7296 §1.4.1: deleting the IKE SA deletes its Child SAs; the answer is empty.
    sa.respond(turn, request, []);
    const lost = [...sa.children.values()];
    sa.close(turn, 'the peer deleted the IKE SA', PEER_DELETED);
    reopen(turn, sa, lost);
    return;
  }
  if (notifiesOf(request.payloads, NotifyType.AUTHENTICATION_FAILED).length > 0) {
    const what = 'the peer does not accept our AUTH';
    sa.respond(turn, request, []);
    turn.emit({ kind: 'authentication-failed', by: 'peer', what, ...sa.subject });
    sa.close(turn, what, { kind: 'authentication-failed', what });
    return;
  }
  const removed = deletes.flatMap((payload) => removeChildren(turn, sa, payload));
  sa.respond(turn, request, deletePayload(removed));
  reopen(turn, sa, removed);
}

/** Asks the peer to delete one Child SA; ours goes when it answers. */
export function startDeleteChild(turn: Turn, sa: IkeSa, childSa: ChildSa): void {
  if (sa.isDeleting(childSa)) return;
  sa.request(
    turn,
    { kind: 'delete-child-sa', childSa },
    ExchangeType.INFORMATIONAL,
    deletePayload([childSa]),
  );
}

/** An empty INFORMATIONAL request: is the peer alive? */
export function startLiveness(turn: Turn, sa: IkeSa): void {
  sa.request(turn, { kind: 'liveness' }, ExchangeType.INFORMATIONAL, []);
}

/** `close_action = start`: what the peer took down comes up again. */
function reopen(turn: Turn, sa: IkeSa, removed: readonly ChildSa[]): void {
  for (const childSa of removed) {
    const policy = sa.connection.children.find(({ name }) => name === childSa.name);
    if (policy?.closeAction !== 'start') continue;
    turn.push({ kind: 'reinitiate', connection: sa.connection.name, child: childSa.name });
  }
}

/** The SPIs in a Delete are the sender's inbound ones: our outbound (RFC 7296 §1.4.1). */
function removeChildren(turn: Turn, sa: IkeSa, payload: DeletePayload): readonly ChildSa[] {
  if (payload.protocol !== ProtocolId.ESP) return [];
  const named = new Set(payload.spis.map(spiNumber));
  const gone = [...sa.children.values()].filter(({ spiOut }) => named.has(spiOut));
  const inFlight = sa.inFlight;
  for (const childSa of gone) sa.removeChild(turn, childSa, 'the peer deleted it');
  // RFC 7296 §1.4.1: when both ends delete a pair at once, the answer names no SPI of it.
  return gone.filter(
    (childSa) => !(inFlight?.kind === 'delete-child-sa' && inFlight.childSa.id === childSa.id),
  );
}

function deletePayload(children: readonly ChildSa[]): readonly Payload[] {
  if (children.length === 0) return [];
  const spis = children.map(({ spiIn }) =>
    Uint8Array.from(formatSpi(spiIn).match(/../g) ?? [], (hex) => Number.parseInt(hex, 16)),
  );
  return [{ kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis }];
}

function spiNumber(octets: Uint8Array): number {
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}
