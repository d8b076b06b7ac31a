/** The reference implementation of every primitive, independent of OpenSSL. */
import type { CryptoProvider } from '../crypto-provider.ts';
import { nobleHasCipher, nobleOpen, nobleSeal } from './noble-cipher.ts';
import { nobleKeyExchangeMethod } from './noble-key-exchange.ts';
import { nobleComputeIcv, nobleDigest, noblePrf, noblePrfPlus } from './noble-mac.ts';

export const nobleCrypto: CryptoProvider = {
  name: '@noble',
  digest: nobleDigest,
  prf: noblePrf,
  prfPlus: noblePrfPlus,
  computeIcv: nobleComputeIcv,
  hasCipher: nobleHasCipher,
  seal: nobleSeal,
  open: nobleOpen,
  keyExchangeMethod: nobleKeyExchangeMethod,
};
