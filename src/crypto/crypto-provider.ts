/**
 * The primitives of this room as one value, so that one implementation can stand beside another.
 *
 * The product calls the functions themselves. Tests recompute every vector with `nodeCrypto` and with
 * the reference (`noble/noble-crypto.ts`), and compare the two on random input.
 */
import type {
  DigestName,
  EncryptionAlgorithm,
  IntegrityAlgorithm,
  PrfAlgorithm,
} from './algorithms.ts';
import { digest } from './digest.ts';
import { computeIcv } from './integrity.ts';
import { type KeyExchangeArithmetic, keyExchangeMethod } from './key-exchange.ts';
import { type OpenInput, open, type SealInput, seal } from './message-cipher.ts';
import { prf, prfPlus } from './prf.ts';

/** One implementation of everything IKE asks of cryptography. */
export interface CryptoProvider {
  readonly name: string;
  readonly digest: (name: DigestName, ...data: readonly Uint8Array[]) => Uint8Array;
  readonly prf: (
    algorithm: PrfAlgorithm,
    key: Uint8Array,
    ...data: readonly Uint8Array[]
  ) => Uint8Array;
  readonly prfPlus: (
    algorithm: PrfAlgorithm,
    key: Uint8Array,
    seed: Uint8Array,
    length: number,
  ) => Uint8Array;
  readonly computeIcv: (
    algorithm: IntegrityAlgorithm,
    key: Uint8Array,
    ...data: readonly Uint8Array[]
  ) => Uint8Array;
  /** Whether `seal` and `open` have the cipher. */
  readonly hasCipher: (algorithm: EncryptionAlgorithm) => boolean;
  readonly seal: (input: SealInput) => Uint8Array;
  readonly open: (input: OpenInput) => Uint8Array | undefined;
  readonly keyExchangeMethod: (id: number) => KeyExchangeArithmetic | undefined;
}

/** What the product uses. */
export const nodeCrypto: CryptoProvider = {
  name: 'node:crypto',
  digest,
  prf,
  prfPlus,
  computeIcv,
  hasCipher: () => true,
  seal,
  open,
  keyExchangeMethod,
};
