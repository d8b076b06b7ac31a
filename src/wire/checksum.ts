/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * A sum is a 16-bit ones' complement number that can be carried on; a checksum is its complement,
 * the value that stands in a header. Nothing here allocates.
 */
import { readU8, readU16 } from './field.ts';

/** Ones' complement sum of `length` octets, carried on from `initial`; an odd octet counts high. */
export function sumOctets(octets: Uint8Array, at: number, length: number, initial = 0): number {
  const even = at + (length & ~1);
  let sum = initial;
  for (let index = at; index < even; index += 2) sum += readU16(octets, index);
  if ((length & 1) === 1) sum += readU8(octets, even) << 8;
  return foldSum(sum);
}

/** Adds one 16-bit word to a sum. */
export function addWord(sum: number, word: number): number {
  return foldSum(sum + (word & 0xffff));
}

/** The checksum field for a sum. */
export function complement(sum: number): number {
  return ~sum & 0xffff;
}

/** Checksum over octets in which the checksum field is zero; over a whole header it verifies to 0. */
export function checksum(octets: Uint8Array, at: number, length: number, initial = 0): number {
  return complement(sumOctets(octets, at, length, initial));
}

/** The checksum after one 16-bit word of what it covers changed (RFC 1624 §3, equation 3). */
export function updateChecksum(old: number, oldWord: number, newWord: number): number {
  return complement(foldSum((~old & 0xffff) + (~oldWord & 0xffff) + (newWord & 0xffff)));
}

/**
 * Sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1): `addressesAt` is the source address,
 * directly followed by the destination, `addressLength` (4 or 16) octets each.
 */
export function sumPseudoHeader(
  octets: Uint8Array,
  addressesAt: number,
  addressLength: number,
  protocol: number,
  upperLength: number,
): number {
  const addresses = sumOctets(octets, addressesAt, 2 * addressLength);
  return foldSum(addresses + protocol + (upperLength >>> 16) + (upperLength & 0xffff));
}

/** Carries go around (RFC 1071 §2). */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}
