/**
 * Events as alerts: the names under which vici clients and monitoring know what is wrong.
 *
 * The names are strongSwan's, in its order; a few of ours stand behind them. An event that tells of
 * no fault is no alert.
 */
import type { Event } from './event.ts';

/** The alerts of strongSwan's vici. tsgw raises those that can happen here. */
export const VICI_ALERTS = [
  'radius-not-responding',
  'shutdown-signal',
  'local-auth-failed',
  'peer-auth-failed',
  'peer-addr-failed',
  'peer-init-unreachable',
  'invalid-ike-spi',
  'parse-error-header',
  'parse-error-body',
  'retransmit-send',
  'retransmit-send-cleared',
  'retransmit-send-timeout',
  'retransmit-receive',
  'half-open-timeout',
  'proposal-mismatch-ike',
  'proposal-mismatch-child',
  'ts-mismatch',
  'ts-narrowed',
  'install-child-sa-failed',
  'install-child-policy-failed',
  'unique-replace',
  'unique-keep',
  'keep-on-child-sa-failure',
  'vip-failure',
  'authorization-failed',
  'ike-sa-expired',
  'cert-expired',
  'cert-revoked',
  'cert-validation-failed',
  'cert-no-issuer',
  'cert-untrusted-root',
  'cert-exceeded-path-len',
  'cert-policy-violation',
] as const;

/** An error notify that no other alert stands for. */
export const REQUEST_REFUSED = 'request-refused';

/** An attempt of ours that came to nothing, and no other alert says why. */
export const INITIATION_FAILED = 'initiation-failed';

/** Alerts that strongSwan has no name for. */
export const TSGW_ALERTS = [
  REQUEST_REFUSED,
  INITIATION_FAILED,
  'lifetime-mismatch',
  'mode-declined',
  'feature-declined',
] as const;

/** The alert an event is, or undefined where it is none. */
export function alertOf(event: Event): string | undefined {
  switch (event.kind) {
    case 'alert':
      return event.alert;
    case 'authentication-failed':
      return event.by === 'us' ? 'peer-auth-failed' : 'local-auth-failed';
    case 'refused':
      return refusalAlert(event);
    case 'peer-unreachable':
      return event.exchange === 'IKE_SA_INIT' ? 'peer-init-unreachable' : 'retransmit-send-timeout';
    case 'retransmit':
      return 'retransmit-send';
    case 'peer-fault':
      return 'parse-error-body';
    case 'ike-drop':
      return DROP_ALERTS.get(event.reason);
    default:
      return undefined;
  }
}

/** `NO_PROPOSAL_CHOSEN` as the peer sends it and `no-proposal-chosen` as we name our own fault. */
export function notifyName(notify: string): string {
  return notify.toUpperCase().replaceAll('-', '_');
}

function refusalAlert(event: Extract<Event, { kind: 'refused' }>): string {
  switch (notifyName(event.notify)) {
    case 'NO_PROPOSAL_CHOSEN':
    case 'INVALID_KE_PAYLOAD':
      return event.child === undefined ? 'proposal-mismatch-ike' : 'proposal-mismatch-child';
    case 'TS_UNACCEPTABLE':
    case 'SINGLE_PAIR_REQUIRED':
      return 'ts-mismatch';
    case 'INTERNAL_ADDRESS_FAILURE':
    case 'FAILED_CP_REQUIRED':
      return 'vip-failure';
    case 'AUTHENTICATION_FAILED':
      return event.by === 'us' ? 'peer-auth-failed' : 'local-auth-failed';
    default:
      return REQUEST_REFUSED;
  }
}

const DROP_ALERTS: ReadonlyMap<string, string> = new Map([
  ['unknown-ike-spi', 'invalid-ike-spi'],
  ['ike-major-version', 'parse-error-header'],
  ['malformed-ike-message', 'parse-error-body'],
  ['half-open-timeout', 'half-open-timeout'],
]);
