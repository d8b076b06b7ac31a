/**
 * What a datagram on the NAT traversal port is (RFC 3948 §2): ESP, IKE or a keepalive.
 *
 *   octets 0-3   SPI of an ESP packet, never zero
 *                0 = non-ESP marker, an IKE message follows
 *   octet  0     0xFF and nothing else = NAT-keepalive
 */
import { DropReason } from '../events/drop-reason.ts';

/** Octets of zero in front of an IKE message on port 4500 (RFC 3948 §2.2). */
export const NON_ESP_MARKER = 4;

/** Answers of `classify` besides a DropReason. */
export const Datagram = { ESP: 0, IKE: -1 } as const;

/**
 * Datagram.ESP, Datagram.IKE, or the DropReason of what is neither. The range must lie inside
 * `octets`.
 */
export function classify(octets: Uint8Array, offset: number, length: number): number {
  if (length < NON_ESP_MARKER) {
    // RFC 3948 §2.3: a keepalive is one octet 0xFF and is ignored.
    return length === 1 && octets[offset] === 0xff
      ? DropReason['nat-keepalive']
      : DropReason['short-esp-packet'];
  }
  const marker = octets[offset]! | octets[offset + 1]! | octets[offset + 2]! | octets[offset + 3]!;
  if (marker !== 0) return Datagram.ESP;
  return length < NON_ESP_MARKER + IKE_HEADER ? DropReason['malformed-ike-datagram'] : Datagram.IKE;
}

/** Octets of an IKE header (RFC 7296 §3.1). */
const IKE_HEADER = 28;
