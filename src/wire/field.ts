/**
 * Fields of a packet in place: network-order integers at an offset of an octet array.
 *
 * For the packet path: nothing here allocates or throws. Octets beyond the end read as zero and
 * are not written, so a view over a short packet is wrong but never dangerous; whoever makes the
 * view checks lengths first (`readFlow` does). Written out instead of one built on the other:
 * several of these run for each packet.
 */

export function readU8(octets: Uint8Array, at: number): number {
  return octets[at] ?? 0;
}

export function readU16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}

/** Unsigned. */
export function readU32(octets: Uint8Array, at: number): number {
  const high = ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
  const low = ((octets[at + 2] ?? 0) << 8) | (octets[at + 3] ?? 0);
  return ((high << 16) | low) >>> 0;
}

export function writeU8(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value;
}

export function writeU16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value;
}

export function writeU32(octets: Uint8Array, at: number, value: number): void {
  writeU16(octets, at, value >>> 16);
  writeU16(octets, at + 2, value & 0xffff);
}
