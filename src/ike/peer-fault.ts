/**
 * What a peer can do wrong, as a value, and the notify that tells it (RFC 7296 §2.21, §3.10.1).
 */
import type { AuthenticationFault, Event, RefusedTransform } from '../events/event.ts';
import { explainRefusal, formatProposal, type Proposal } from '../ipsec/proposal.ts';
import type { NotifyPayload } from './message/message.ts';
import { NotifyType, notifyName } from './message/notify-types.ts';

/** Faults by name; the table below has the notify of each. */
export type FaultKind = keyof typeof FAULT_NOTIFY;

export interface PeerFault {
  readonly kind: 'fault';
  readonly fault: FaultKind;
  /** Names the thing and the numbers; goes to the log, never to the peer. */
  readonly what: string;
  /** Data of the notify. */
  readonly data?: Uint8Array;
  /** The connection that came nearest, where no IKE SA names one yet. */
  readonly connection?: string;
  /** What operators are told of a negotiation that failed. */
  readonly refusal?: RefusalDetail;
  /** What operators are told of a proof that failed. */
  readonly proof?: ProofDetail;
}

/** Offered against accepted; proposals and selectors as text, selectors ours first. */
export interface RefusalDetail {
  /** Unset: the IKE SA. */
  readonly child?: string;
  readonly offered?: readonly string[];
  readonly accepted?: readonly string[];
  readonly transforms?: readonly RefusedTransform[];
}

export interface ProofDetail {
  readonly cause: AuthenticationFault;
  readonly localId?: string;
  readonly remoteId?: string;
}

const FAULT_NOTIFY = {
  'unsupported-critical-payload': NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
  'invalid-syntax': NotifyType.INVALID_SYNTAX,
  'no-proposal-chosen': NotifyType.NO_PROPOSAL_CHOSEN,
  'invalid-ke-payload': NotifyType.INVALID_KE_PAYLOAD,
  'authentication-failed': NotifyType.AUTHENTICATION_FAILED,
  'no-additional-sas': NotifyType.NO_ADDITIONAL_SAS,
  'internal-address-failure': NotifyType.INTERNAL_ADDRESS_FAILURE,
  'failed-cp-required': NotifyType.FAILED_CP_REQUIRED,
  'ts-unacceptable': NotifyType.TS_UNACCEPTABLE,
  'temporary-failure': NotifyType.TEMPORARY_FAILURE,
  'child-sa-not-found': NotifyType.CHILD_SA_NOT_FOUND,
} as const;

/** Does the notify end the IKE SA without a Delete (RFC 7296 §2.21.3)? */
export function isFatal({ fault }: PeerFault): boolean {
  return FAULT_NOTIFY[fault] === NotifyType.INVALID_SYNTAX;
}

export function peerFault(fault: FaultKind, what: string, data?: Uint8Array): PeerFault {
  return data ? { kind: 'fault', fault, what, data } : { kind: 'fault', fault, what };
}

/** What is told of proposals of which none would do. */
export function proposalsRefused(
  accepted: readonly Proposal[],
  offered: readonly Proposal[],
  child?: string,
): RefusalDetail {
  return {
    ...(child !== undefined && { child }),
    offered: told(offered).map(formatProposal),
    accepted: accepted.map(formatProposal),
    transforms: explainRefusal(accepted, told(offered)),
  };
}

/** Transforms of an offer that are compared and told: anyone may offer thousands. */
const MAX_TOLD = 256;

/** The first proposals of an offer, as far as they are told. */
function told(offered: readonly Proposal[]): readonly Proposal[] {
  let room = MAX_TOLD;
  return offered.flatMap((proposal) => {
    if (room <= 0) return [];
    const transforms = proposal.transforms.slice(0, room);
    room -= Math.max(1, transforms.length);
    return [{ ...proposal, transforms }];
  });
}

/** The fault as an event: we refused. */
export function refusedByUs({ fault, what, refusal }: PeerFault): {
  readonly kind: 'refused';
  readonly by: 'us';
} & Pick<
  Extract<Event, { kind: 'refused' }>,
  'notify' | 'what' | 'transforms' | 'child' | 'offered' | 'accepted'
> {
  const notify = notifyName(FAULT_NOTIFY[fault]);
  return { kind: 'refused', by: 'us', notify, what, transforms: [], ...refusal };
}

export function faultNotify(fault: PeerFault): NotifyPayload {
  return {
    kind: 'NOTIFY',
    protocol: 0,
    spi: new Uint8Array(),
    type: FAULT_NOTIFY[fault.fault],
    data: fault.data ?? new Uint8Array(),
  };
}
