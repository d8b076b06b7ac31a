/** Hash functions where a protocol uses one without a key: NAT_DETECTION hashes and cookies. */
import { hash } from 'node:crypto';
import { concatOctets, octetsOfLatin1 } from '../wire/octets.ts';
import type { DigestName } from './algorithms.ts';

/** The hash of the concatenation of `data`. */
export function digest(name: DigestName, ...data: readonly Uint8Array[]): Uint8Array {
  // As text: a Buffer, for which the engine allocates memory of its own, costs three times as much.
  return octetsOfLatin1(hash(name, concatOctets(...data), 'binary'));
}

/** What stands for octets that may come again: text, which is smaller to keep than an array. */
export function fingerprint(octets: Uint8Array): string {
  return hash('sha256', octets, 'base64');
}
