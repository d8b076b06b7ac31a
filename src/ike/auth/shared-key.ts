/**
 * Authentication by shared key (RFC 7296 §2.15).
 *
 * Each side MACs its own IKE_SA_INIT message, the other's nonce and its own identity.
 */
import type { PrfAlgorithm } from '../../crypto/algorithms.ts';
import { equalSecrets } from '../../crypto/constant-time.ts';
import { prf } from '../../crypto/prf.ts';
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import { concatOctets } from '../../wire/octets.ts';
import { restOfIdPayload } from '../message/id.ts';
import type { IdPayload } from '../message/message.ts';

/** Auth Method of §3.8. */
export const SHARED_KEY_MIC = 2;

/** What one side signs: §2.15's <SignedOctets> in parts. */
export interface SignedOctets {
  /** The signer's first message as sent, from the first octet of the header. */
  readonly message: Uint8Array;
  /** The other side's nonce. */
  readonly peerNonce: Uint8Array;
  /** The signer's ID payload, as sent. */
  readonly id: IdPayload;
  /** SK_pi where the initiator signs, SK_pr where the responder does. */
  readonly skP: SecretBytes;
}

const KEY_PAD = Uint8Array.from('Key Pad for IKEv2', (letter) => letter.charCodeAt(0));

export function sharedKeyAuth(
  algorithm: PrfAlgorithm,
  secret: SecretBytes,
  signed: SignedOctets,
): Uint8Array {
  const macedId = prf(algorithm, signed.skP.reveal(), restOfIdPayload(signed.id));
  const octets = concatOctets(signed.message, signed.peerNonce, macedId);
  return prf(algorithm, prf(algorithm, secret.reveal(), KEY_PAD), octets);
}

export function verifySharedKeyAuth(
  algorithm: PrfAlgorithm,
  secret: SecretBytes,
  signed: SignedOctets,
  offered: Uint8Array,
): boolean {
  return equalSecrets(offered, sharedKeyAuth(algorithm, secret, signed));
}
