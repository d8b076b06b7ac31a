/**
 * The native cipher contexts of a Child SA, one for each direction.
 */
import { type EspSuite, espSuite } from '../esp/esp-suite.ts';
import type { Native } from './native.ts';
import type { InstalledChildSa } from './packet-loop-protocol.ts';

/** Makes both contexts and wipes the keys of `sa`, which are this thread's copies. */
export function espContexts(
  native: Native,
  sa: InstalledChildSa,
): { readonly contextIn: number; readonly contextOut: number } {
  const suite = espSuite(sa);
  const contextIn = oneContext(native, suite, sa, false);
  const contextOut = oneContext(native, suite, sa, true);
  for (const key of [
    sa.encryptionKeyIn,
    sa.encryptionKeyOut,
    sa.integrityKeyIn,
    sa.integrityKeyOut,
  ]) {
    key.fill(0);
  }
  return { contextIn, contextOut };
}

function oneContext(native: Native, suite: EspSuite, sa: InstalledChildSa, seal: boolean): number {
  const encryption = seal ? sa.encryptionKeyOut : sa.encryptionKeyIn;
  const saltAt = encryption.length - suite.saltLength;
  return native.context({
    cipher: suite.cipher,
    key: encryption.subarray(0, saltAt),
    salt: encryption.subarray(saltAt),
    icvLength: suite.icvLength,
    esn: sa.esn,
    seal,
    ...(suite.digest === undefined
      ? {}
      : {
          digest: suite.digest,
          integrityKey: seal ? sa.integrityKeyOut : sa.integrityKeyIn,
        }),
  });
}
