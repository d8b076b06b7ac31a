/** Hash functions where a protocol uses one without a key: NAT_DETECTION hashes and cookies. */
import { createHash } from 'node:crypto';
import type { DigestName } from './algorithms.ts';

/** The hash of the concatenation of `data`. */
export function digest(name: DigestName, ...data: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(name);
  for (const part of data) hash.update(part);
  return new Uint8Array(hash.digest());
}
