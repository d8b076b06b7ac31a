/** Hash functions where a protocol uses one without a key: NAT_DETECTION hashes and cookies. */
import { hash } from 'node:crypto';
import { concatOctets } from '../wire/octets.ts';
import type { DigestName } from './algorithms.ts';

/** The hash of the concatenation of `data`. */
export function digest(name: DigestName, ...data: readonly Uint8Array[]): Uint8Array {
  return octetsOfDigest(hash(name, concatOctets(...data), 'binary'));
}

/** What stands for octets that may come again: text, which is smaller to keep than an array. */
export function fingerprint(octets: Uint8Array): string {
  return hash('sha256', octets, 'base64');
}

/**
 * The octets of what node hands out as text: that costs a third of a Buffer, for which the engine
 * allocates memory of its own.
 */
export function octetsOfDigest(latin1: string): Uint8Array {
  const octets = new Uint8Array(latin1.length);
  for (let at = 0; at < octets.length; at++) octets[at] = latin1.charCodeAt(at);
  return octets;
}
