/**
 * What a peer can do wrong, as a value, and the notify that tells it (RFC 7296 §2.21, §3.10.1).
 */
import type { RefusedTransform } from '../events/event.ts';
import type { NotifyPayload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';

/** Faults by name; the table below has the notify of each. */
export type FaultKind = keyof typeof FAULT_NOTIFY;

export interface PeerFault {
  readonly kind: 'fault';
  readonly fault: FaultKind;
  /** Names the thing and the numbers; goes to the log, never to the peer. */
  readonly what: string;
  /** Data of the notify. */
  readonly data?: Uint8Array;
  /** Offered against accepted, where a negotiation failed. */
  readonly transforms?: readonly RefusedTransform[];
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

export function peerFault(fault: FaultKind, what: string, data?: Uint8Array): PeerFault {
  return data ? { kind: 'fault', fault, what, data } : { kind: 'fault', fault, what };
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
