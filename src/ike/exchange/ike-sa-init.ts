/**
 * What both roles of IKE_SA_INIT do alike (RFC 7296 §1.2, §2.10, §3.4).
 */
import { keyExchangeName } from '../../crypto/algorithms.ts';
import { keyExchangeMethod } from '../../crypto/key-exchange.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { KePayload, Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import type { NatDetection } from '../nat-detection.ts';
import { notifiesOf, statusNotify } from '../payload-access.ts';
import type { Turn } from '../turn.ts';

export const NONCE_OCTETS = 32;
/** RFC 7296 §2.10: nonces have 16 to 256 octets. */
const NONCE_RANGE = { least: 16, most: 256 };

/** Why the key exchange and nonce of a peer cannot be used; undefined if they can. */
export function unusableKeyExchange(ke: KePayload, nonce: Uint8Array): string | undefined {
  const unusable = unusableNonce(nonce);
  if (unusable !== undefined) return unusable;
  const expected = keyExchangeMethod(ke.method)?.publicLength;
  return ke.data.length === expected
    ? undefined
    : `KE: ${ke.data.length} octets for ${keyExchangeName(ke.method)}, ${expected} expected`;
}

export function unusableNonce({ length }: Uint8Array): string | undefined {
  const { least, most } = NONCE_RANGE;
  return length < least || length > most ? `nonce: ${length} octets, 16 to 256 allowed` : undefined;
}

/** RFC 7383 §2.3: in a request where we take fragments, in a response where both do. */
export function fragmentationNotify(supported: boolean): readonly Payload[] {
  return supported ? [statusNotify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)] : [];
}

/** The notify types by which a peer says what it supports (RFC 6023, RFC 7383, RFC 5685). */
export function announcedIn(payloads: readonly Payload[]): readonly number[] {
  return ANNOUNCEMENTS.filter((type) => notifiesOf(payloads, type).length > 0);
}

const ANNOUNCEMENTS = [
  NotifyType.CHILDLESS_IKEV2_SUPPORTED,
  NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,
  NotifyType.REDIRECT_SUPPORTED,
];

export function reportNat(turn: Turn, sa: IkeSa, nat: NatDetection): void {
  const { localBehindNat, remoteBehindNat } = nat;
  if (!localBehindNat && !remoteBehindNat) return;
  turn.emit({ kind: 'nat-detected', localBehindNat, remoteBehindNat, ...sa.subject });
}
