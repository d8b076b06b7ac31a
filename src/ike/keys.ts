/**
 * Keying material of an IKE SA (RFC 7296 §2.14) and of its Child SAs (§2.17).
 */

import type { PrfAlgorithm } from '../crypto/algorithms.ts';
import { encryptionAlgorithm, integrityAlgorithm, prfAlgorithm } from '../crypto/algorithms.ts';
import { prf, prfPlus, skeyseedKey } from '../crypto/prf.ts';
import { SecretBytes } from '../crypto/secret-bytes.ts';
import type { ChosenProposal, Transform } from '../ipsec/proposal.ts';
import { concatOctets, fromHex } from '../wire/octets.ts';
import type { IkeSpi } from './message/message.ts';

/** The algorithms of an IKE SA: a chosen proposal with nothing missing. */
export interface IkeSuite {
  readonly proposal: ChosenProposal;
  readonly encr: Transform;
  readonly prf: PrfAlgorithm;
  /** Absent with AEAD encryption. */
  readonly integ?: Transform;
  readonly ke: Transform;
}

export interface IkeKeys {
  readonly skD: SecretBytes;
  readonly skAi: SecretBytes;
  readonly skAr: SecretBytes;
  readonly skEi: SecretBytes;
  readonly skEr: SecretBytes;
  readonly skPi: SecretBytes;
  readonly skPr: SecretBytes;
}

/** The suite of a chosen IKE proposal, or undefined where a transform type is missing. */
export function ikeSuite(proposal: ChosenProposal): IkeSuite | undefined {
  const prfTransform = proposal.prf && prfAlgorithm(proposal.prf.id);
  const cipher = proposal.encr && encryptionAlgorithm(proposal.encr.id);
  if (!prfTransform || !cipher || !proposal.encr || !proposal.ke) return undefined;
  if (cipher.aead) return { proposal, encr: proposal.encr, prf: prfTransform, ke: proposal.ke };
  if (!proposal.integ || !integrityAlgorithm(proposal.integ.id)) return undefined;
  return {
    proposal,
    encr: proposal.encr,
    prf: prfTransform,
    integ: proposal.integ,
    ke: proposal.ke,
  };
}

export interface KeyExchangeResult {
  readonly sharedSecret: SecretBytes;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
}

/** SKEYSEED and the seven keys cut from it, in the order of §2.14. */
export function deriveIkeKeys(suite: IkeSuite, exchange: KeyExchangeResult): IkeKeys {
  const key = skeyseedKey(suite.prf, exchange.nonceI, exchange.nonceR);
  const skeyseed = prf(suite.prf, key, exchange.sharedSecret.reveal());
  return cutIkeKeys(suite, skeyseed, exchange);
}

/** The keys of an IKE SA that replaces another (§2.18): SKEYSEED comes from the old SK_d and PRF. */
export function deriveRekeyedIkeKeys(
  suite: IkeSuite,
  old: { readonly suite: Pick<IkeSuite, 'prf'>; readonly keys: Pick<IkeKeys, 'skD'> },
  exchange: KeyExchangeResult,
): IkeKeys {
  const shared = exchange.sharedSecret.reveal();
  const seed = concatOctets(shared, exchange.nonceI, exchange.nonceR);
  return cutIkeKeys(suite, prf(old.suite.prf, old.keys.skD.reveal(), seed), exchange);
}

function cutIkeKeys(suite: IkeSuite, skeyseed: Uint8Array, exchange: KeyExchangeResult): IkeKeys {
  const nonces = concatOctets(exchange.nonceI, exchange.nonceR);
  const integrityLength = suite.integ ? (integrityAlgorithm(suite.integ.id)?.keyLength ?? 0) : 0;
  const encryptionLength = encryptionKeyLength(suite.encr);
  const prfLength = suite.prf.keyLength;
  const seed = concatOctets(nonces, fromHex(exchange.spiI), fromHex(exchange.spiR));
  const total = 3 * prfLength + 2 * integrityLength + 2 * encryptionLength;
  const cut = SecretBytes.cutter(prfPlus(suite.prf, skeyseed, seed, total));
  return {
    skD: cut(prfLength),
    skAi: cut(integrityLength),
    skAr: cut(integrityLength),
    skEi: cut(encryptionLength),
    skEr: cut(encryptionLength),
    skPi: cut(prfLength),
    skPr: cut(prfLength),
  };
}

/** What a Child SA is keyed with besides SK_d: nonces, and g^ir of a key exchange of its own. */
export interface ChildKeying {
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret?: SecretBytes;
}

/** KEYMAT of a Child SA (§2.17). */
export function childKeymat(
  { suite, keys }: { readonly suite: Pick<IkeSuite, 'prf'>; readonly keys: Pick<IkeKeys, 'skD'> },
  { nonceI, nonceR, sharedSecret }: ChildKeying,
  length: number,
): Uint8Array {
  const shared = sharedSecret?.reveal() ?? new Uint8Array();
  const seed = concatOctets(shared, nonceI, nonceR);
  return prfPlus(suite.prf, keys.skD.reveal(), seed, length);
}

function encryptionKeyLength(encr: Transform): number {
  const algorithm = encryptionAlgorithm(encr.id);
  if (!algorithm) throw new Error(`no encryption algorithm ${encr.id}`);
  const bits = encr.keyLength ?? algorithm.keyLengths[0] ?? 0;
  return bits / 8 + algorithm.saltLength;
}
