/**
 * What keys are made of, for a node of another make that derives them itself and takes no keys.
 *
 * Never set unless such a node is configured: secrets that are otherwise wiped are copied.
 */
import { SecretBytes } from '../crypto/secret-bytes.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { ChosenProposal } from '../ipsec/proposal.ts';
import type { IkeSpi } from './message/message.ts';

export interface KeyingWatch {
  ikeSa(keying: IkeKeying): void;
  childSa(keying: ChildSaKeying): void;
}

/** Keys of an IKE SA (RFC 7296 §2.14, §2.18). */
export interface IkeKeying {
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  readonly proposal: ChosenProposal;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret: SecretBytes;
  /** Of the IKE SA that it replaces: PRF and SK_d. */
  readonly old?: { readonly prf: number; readonly skD: SecretBytes };
}

/** Keys of a Child SA (RFC 7296 §2.17). */
export interface ChildSaKeying {
  readonly childSa: ChildSa;
  readonly proposal: ChosenProposal;
  /** We began the exchange that made it. */
  readonly initiator: boolean;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret?: SecretBytes;
}

/** A copy that outlives the secret it was made of. */
export function copyOfSecret(secret: SecretBytes): SecretBytes {
  return new SecretBytes(secret.reveal().slice());
}
