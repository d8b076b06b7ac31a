/**
 * How KEYMAT becomes the keys of a Child SA (RFC 7296 §2.17).
 */
import {
  encryptionAlgorithm,
  encryptionKeyOctets,
  integrityAlgorithm,
} from '../crypto/algorithms.ts';
import { SecretBytes } from '../crypto/secret-bytes.ts';
import { IntegrityId } from '../crypto/transform.ts';
import type { EspKeys } from './child-sa.ts';
import type { Transform } from './proposal.ts';

/** Octets of KEYMAT that both directions take together. */
export function childKeymatLength(encr: Transform, integ: Transform | undefined): number {
  return 2 * (encryptionLength(encr) + integrityLength(integ));
}

/**
 * Keys of both directions as this side sees them; `initiator` of the exchange that made the SA.
 * `keymat` is wiped.
 */
export function childKeys(
  keymat: Uint8Array,
  encr: Transform,
  integ: Transform | undefined,
  initiator: boolean,
): { readonly inbound: EspKeys; readonly outbound: EspKeys } {
  const needed = childKeymatLength(encr, integ);
  if (keymat.length !== needed) throw new Error(`KEYMAT of ${keymat.length} octets, not ${needed}`);
  // RFC 7296 §2.17: initiator to responder first; in each direction encryption before integrity.
  const cut = SecretBytes.cutter(keymat);
  const [encryption, integrity] = [encryptionLength(encr), integrityLength(integ)];
  const first = { encryption: cut(encryption), integrity: cut(integrity) };
  const second = { encryption: cut(encryption), integrity: cut(integrity) };
  return initiator ? { inbound: second, outbound: first } : { inbound: first, outbound: second };
}

/** Key and, behind it, salt (RFC 4106 §8.1, RFC 7634 §2). */
function encryptionLength(encr: Transform): number {
  const algorithm = encryptionAlgorithm(encr.id);
  if (algorithm === undefined) throw new Error(`no encryption algorithm ${encr.id}`);
  const bits = encr.keyLength ?? algorithm.keyLengths[0];
  if (bits === undefined || !algorithm.keyLengths.includes(bits)) {
    throw new Error(`${algorithm.name} has no key of ${bits} bits`);
  }
  return encryptionKeyOctets(algorithm, bits);
}

function integrityLength(integ: Transform | undefined): number {
  if (integ === undefined || integ.id === IntegrityId.NONE) return 0;
  const algorithm = integrityAlgorithm(integ.id);
  if (algorithm === undefined) throw new Error(`no integrity algorithm ${integ.id}`);
  return algorithm.keyLength;
}
