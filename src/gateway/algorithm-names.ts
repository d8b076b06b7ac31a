/**
 * The algorithms that proposals can name, by kind, for listings.
 */
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  KEY_EXCHANGE_ALGORITHMS,
  PRF_ALGORITHMS,
} from '../crypto/algorithms.ts';

export function algorithmNames(): Readonly<Record<string, readonly string[]>> {
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);
  return {
    encryption: names(ENCRYPTION_ALGORITHMS.filter(({ aead }) => !aead)),
    integrity: names(INTEGRITY_ALGORITHMS),
    aead: names(ENCRYPTION_ALGORITHMS.filter(({ aead }) => aead)),
    prf: names(PRF_ALGORITHMS),
    dh: names(KEY_EXCHANGE_ALGORITHMS),
  };
}
