/**
 * Message authentication codes in full length: what PRFs and integrity algorithms are made of
 * (RFC 2104, RFC 3566, RFC 4493).
 */
import { createHmac } from 'node:crypto';
import { octetsOfLatin1 } from '../wire/octets.ts';
import type { CbcMacName, DigestName, MacName } from './algorithms.ts';
import { cbcMac, cbcMacKeys } from './cbc-mac.ts';

/** The MAC over the concatenation of `data`. A CBC-MAC takes a key of 16 octets, an HMAC any. */
export function computeMac(
  name: MacName,
  key: Uint8Array,
  ...data: readonly Uint8Array[]
): Uint8Array {
  if (isCbcMac(name)) return cbcMac(cbcMacKeys(name, key), ...data);
  const mac = createHmac(hmacDigest(name), key);
  for (const part of data) mac.update(part);
  return octetsOfLatin1(mac.digest('binary'));
}

export function isCbcMac(name: MacName): name is CbcMacName {
  return name === 'aes-xcbc' || name === 'aes-cmac';
}

/** The hash function of an HMAC. */
export function hmacDigest(name: Exclude<MacName, CbcMacName>): DigestName {
  return HMAC_DIGESTS[name];
}

const HMAC_DIGESTS = {
  'hmac-sha1': 'sha1',
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
} as const;
