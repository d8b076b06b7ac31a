/**
 * Taking SAs down and telling the peer (RFC 7296 §1.4.1, §2.8, §2.25).
 */
import type { OutboundUse } from '../ipsec/child-sa.ts';
import { ProtocolId } from '../ipsec/proposal.ts';
import type { Spi } from '../ipsec/spi.ts';
import { after } from '../wire/instant.ts';
import type { Outcome } from './action.ts';
import { spiOctets } from './child-negotiation.ts';
import type { HeldChild } from './held-child.ts';
import { childDown } from './held-child.ts';
import type { IkeSa, RequestWish } from './ike-sa.ts';
import { type DeletePayload, ExchangeType, type Payload } from './message/message.ts';
import type { Turn } from './turn.ts';

// RFC 7296 §3.11: the IKE SA of the message needs no SPI.
export const DELETE_IKE_SA: DeletePayload = {
  kind: 'DELETE',
  protocol: ProtocolId.IKE,
  spiSize: 0,
  spis: [],
};

/** A Delete of the ESP SAs that end here with these SPIs; nothing without any. */
export function deletePayload(spisIn: readonly Spi[]): readonly Payload[] {
  if (spisIn.length === 0) return [];
  return [{ kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis: spisIn.map(spiOctets) }];
}

/** Tells the peer that the IKE SA ends; closes when it answers or is given up. */
export function deleteIkeSa(turn: Turn, sa: IkeSa, reason: string, outcome: Outcome): void {
  if (sa.state.name !== 'Established' && sa.state.name !== 'AwaitingDelete') return;
  const { secured, peer } = sa.state;
  sa.move({ name: 'AwaitingDeleteResponse', secured, peer, reason });
  sa.abandonWaiting(turn, outcome);
  sa.complete(turn, outcome);
  requestDelete(turn, sa, DELETE_IKE_SA);
}

/** The end where no answer is expected: the peer is told once, if the window is free. */
export function closeTelling(
  turn: Turn,
  sa: IkeSa,
  payload: Payload,
  { reason, outcome }: { readonly reason: string; readonly outcome: Outcome },
): void {
  requestDelete(turn, sa, payload);
  sa.close(turn, reason, outcome);
}

/**
 * Asks the peer to delete a Child SA. `replaced`: another carries its traffic, and packets under way
 * are still taken after its end.
 */
export function deleteChild(
  turn: Turn,
  sa: IkeSa,
  child: HeldChild,
  reason: string,
  replaced = false,
): void {
  if (child.state.name === 'Deleting' || child.state.name === 'Draining') return;
  child.move({ name: 'Deleting', reason, replaced });
  sa.request(turn, childDeletion(child));
}

/** The wish that asks the peer for it. */
export function childDeletion(child: HeldChild): RequestWish {
  return {
    purpose: { kind: 'delete-child-sa', child },
    compose: (_, carrier) =>
      carrier.children.has(child.childSa.id) && child.state.name === 'Deleting'
        ? {
            exchangeType: ExchangeType.INFORMATIONAL,
            payloads: deletePayload([child.childSa.spiIn]),
          }
        : undefined,
  };
}

/** Both ends have deleted it. */
export function childDeleted(turn: Turn, sa: IkeSa, child: HeldChild): void {
  if (child.state.name !== 'Deleting') return;
  if (child.state.replaced) drain(turn, sa, child);
  else sa.removeChild(turn, child, child.state.reason);
}

/** A replaced Child SA sends no more; what is under way to us is taken a little longer. */
export function drain(turn: Turn, sa: IkeSa, child: HeldChild): void {
  const { deleteRekeyedDelaySeconds } = turn.environment.settings;
  child.move({ name: 'Draining', until: after(turn.now, deleteRekeyedDelaySeconds * 1000) });
  setOutbound(turn, child, 'never');
  turn.touched.add(sa.ownSpi);
}

/**
 * The IKE SA ends and a newer one between the same peers carries its traffic: what is under way to
 * its Child SAs is still taken, by the newer one.
 */
export function bequeath(turn: Turn, sa: IkeSa, heir: IkeSa, reason: string): void {
  if (heir.state.name !== 'Established') return;
  for (const child of sa.children.values()) {
    if (child.state.name !== 'Draining') {
      if (child.isUp) turn.emit({ ...childDown(child.childSa, reason), ...sa.subject });
      drain(turn, heir, child);
    }
    heir.children.set(child.childSa.id, child);
  }
  sa.children.clear();
}

/** The peer is known to have a Child SA: from now on it sends. */
export function useNow(turn: Turn, child: HeldChild): void {
  if (!child.waitsForPeer || !child.isUp) return;
  setOutbound(turn, child, 'now');
}

/** Whether a Child SA sends from now on. */
export function setOutbound(turn: Turn, child: HeldChild, outbound: OutboundUse): void {
  child.outbound = outbound;
  turn.push({ kind: 'set-outbound', childSaId: child.childSa.id, outbound });
}

/** The peer granted a Child SA that we cannot use: it shall forget it. */
export function withdraw(turn: Turn, sa: IkeSa, spiIn: Spi): void {
  sa.request(turn, withdrawal(spiIn));
}

export function withdrawal(spiIn: Spi): RequestWish {
  return {
    purpose: { kind: 'withdraw-child-sa', spiIn },
    compose: () => ({
      exchangeType: ExchangeType.INFORMATIONAL,
      payloads: deletePayload([spiIn]),
    }),
  };
}

function requestDelete(turn: Turn, sa: IkeSa, payload: Payload): void {
  sa.request(turn, ikeDeletion(payload));
}

export function ikeDeletion(payload: Payload = DELETE_IKE_SA): RequestWish {
  return {
    purpose: { kind: 'delete-ike-sa' },
    compose: () => ({ exchangeType: ExchangeType.INFORMATIONAL, payloads: [payload] }),
  };
}
