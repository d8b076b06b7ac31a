/**
 * How much one IKE message may hold, beyond what its length fields say.
 *
 * Decoders refuse more as malformed: a hostile message costs no more than an honest one. Encoders
 * treat more as our own mistake.
 */
export const Limit = {
  /** An IKE message in one UDP datagram. */
  MESSAGE_OCTETS: 65_535,
  /** A first request is kept for IKE_AUTH, of whoever sent it. */
  FIRST_REQUEST_OCTETS: 16_384,
  /** Payload Length counts its own four octets. */
  PAYLOAD_OCTETS: 65_535,
  PAYLOADS: 64,
  /** Of one message: Total Fragments has two octets. */
  FRAGMENTS: 65_535,
  PROPOSALS: 255,
  TRANSFORMS: 255,
  /** Of one transform; RFC 7296 knows one attribute. */
  ATTRIBUTES: 16,
  SPI_OCTETS: 255,
  TRAFFIC_SELECTORS: 255,
  /** SPIs of one Delete payload. */
  DELETED_SPIS: 8192,
  CONFIGURATION_ATTRIBUTES: 1024,
} as const;

/** `count` where it fits into its field; a message of ours that does not fit is a bug. */
export function within(limit: number, count: number, what: string): number {
  if (count > limit) throw new RangeError(`${what}: ${count}, at most ${limit} fit`);
  return count;
}
