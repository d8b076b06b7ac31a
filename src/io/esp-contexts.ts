/**
 * The native cipher contexts of a Child SA, one for each direction.
 */
import { cbcMacKeys } from '../crypto/cbc-mac.ts';
import { isCbcMac } from '../crypto/mac.ts';
import { type EspSuite, espSuite } from '../esp/esp-suite.ts';
import { concatOctets } from '../wire/octets.ts';
import type { BackEndName, Native, NativeContextOptions } from './native.ts';
import type { InstalledChildSa } from './packet-loop-protocol.ts';

/** Keys of one direction. */
export interface DirectionKeys {
  /** Ends with the salt where the suite has one. */
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

/** How the keys are used, and by which library: `evp` where nothing is said. */
export interface Direction {
  readonly esn: boolean;
  readonly seal: boolean;
  readonly backEnd?: BackEndName;
}

/** Makes both contexts and wipes the keys of `sa`, which are this thread's copies. */
export function espContexts(
  native: Pick<Native, 'context'>,
  sa: InstalledChildSa,
): { readonly contextIn: number; readonly contextOut: number } {
  const suite = espSuite(sa);
  const inbound = { encryption: sa.encryptionKeyIn, integrity: sa.integrityKeyIn };
  const outbound = { encryption: sa.encryptionKeyOut, integrity: sa.integrityKeyOut };
  const { esn, backEnd } = sa;
  const direction = { esn, ...(backEnd !== undefined && { backEnd }) };
  const contextIn = native.context(contextOptions(suite, inbound, { ...direction, seal: false }));
  const contextOut = native.context(contextOptions(suite, outbound, { ...direction, seal: true }));
  for (const { encryption, integrity } of [inbound, outbound]) {
    encryption.fill(0);
    integrity.fill(0);
  }
  return { contextIn, contextOut };
}

/** What the native layer is told of one direction. */
export function contextOptions(
  suite: EspSuite,
  keys: DirectionKeys,
  direction: Direction,
): NativeContextOptions {
  const saltAt = keys.encryption.length - suite.saltLength;
  return {
    cipher: suite.cipher,
    key: keys.encryption.subarray(0, saltAt),
    salt: keys.encryption.subarray(saltAt),
    icvLength: suite.icvLength,
    ...(suite.mode === 'gmac' ? { authenticateOnly: true } : {}),
    ...macOptions(suite, keys.integrity),
    ...direction,
  };
}

function macOptions(
  { mac }: EspSuite,
  integrityKey: Uint8Array,
): Pick<NativeContextOptions, 'mac' | 'integrityKey'> {
  if (mac === undefined) return {};
  if (!isCbcMac(mac)) return { mac, integrityKey };
  const { key, whole, padded } = cbcMacKeys(mac, integrityKey);
  return { mac: 'aes-cbc-mac', integrityKey: concatOctets(key, whole, padded) };
}
