/**
 * What both roles of IKE_SA_INIT do alike (RFC 7296 §1.2, §2.10, §3.4).
 */
import { keyExchangeName } from '../../crypto/algorithms.ts';
import { keyExchangeMethod } from '../../crypto/key-exchange.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { KePayload } from '../message/message.ts';
import type { NatDetection } from '../nat-detection.ts';
import type { Turn } from '../turn.ts';

export const NONCE_OCTETS = 32;
/** RFC 7296 §2.10: nonces have 16 to 256 octets. */
const NONCE_RANGE = { least: 16, most: 256 };

/** Why the key exchange and nonce of a peer cannot be used; undefined if they can. */
export function unusableKeyExchange(ke: KePayload, nonce: Uint8Array): string | undefined {
  if (nonce.length < NONCE_RANGE.least || nonce.length > NONCE_RANGE.most) {
    return `nonce: ${nonce.length} octets, 16 to 256 allowed`;
  }
  const expected = keyExchangeMethod(ke.method)?.publicLength;
  return ke.data.length === expected
    ? undefined
    : `KE: ${ke.data.length} octets for ${keyExchangeName(ke.method)}, ${expected} expected`;
}

export function reportNat(turn: Turn, sa: IkeSa, nat: NatDetection): void {
  const { localBehindNat, remoteBehindNat } = nat;
  if (!localBehindNat && !remoteBehindNat) return;
  turn.emit({ kind: 'nat-detected', localBehindNat, remoteBehindNat, ...sa.subject });
}
