/**
 * Why a packet was discarded: every discarded packet counts under exactly one of these
 * (RFC 4303 §3.4 calls the events auditable).
 *
 * The number is an index into the shared counters; the name is what people see.
 */
export const DropReason = {
  NONE: 0,
  // From the outside
  'truncated-datagram': 1,
  'short-esp-packet': 2,
  'reserved-spi': 3,
  'unknown-spi': 4,
  'replayed-sequence-number': 5,
  'sequence-left-of-window': 6,
  'bad-icv': 7,
  'bad-padding': 8,
  'dummy-packet': 9,
  'bad-next-header': 10,
  'malformed-inner-packet': 11,
  'inbound-policy-mismatch': 12,
  'ecn-inner-not-ect': 13,
  'nat-keepalive': 14,
  'malformed-ike-datagram': 15,
  'ike-queue-full': 16,
  'icmp-unknown-spi': 18,
  'inbound-hard-limit': 19,
  'inbound-fragment-unmatched': 20,
  'inbound-transport-fragment': 21,
  /** A packet of an SA that another node of the cluster has. */
  'inbound-passive': 22,
  /** One of those that this node verifies to follow that SA's window, and its ICV is wrong. */
  'bad-sample': 23,
  // From the inside
  'malformed-packet': 32,
  'no-policy': 33,
  'discard-policy': 34,
  'no-sa': 35,
  'sequence-exhausted': 36,
  'packet-too-big': 37,
  'hop-limit-expired': 38,
  'outbound-hard-limit': 39,
  'trap-full': 40,
  'trap-timeout': 41,
  'outbound-fragment-unmatched': 42,
  'outbound-transport-fragment': 43,
  'outbound-transport-headers': 44,
  'outbound-transport-addresses': 45,
  /** Another node of the cluster has the SA. */
  'outbound-passive': 46,
  /** No other node of the cluster acknowledged further sequence numbers yet. */
  'sequence-unreserved': 47,
  // Of the machine
  'send-would-block': 48,
  'send-unreachable': 49,
  'send-too-big': 50,
  'send-failed': 51,
  'device-full': 52,
  'device-failed': 53,
  'seal-failed': 54,
  /** The worker that has the packet's SA does not keep up. */
  'hand-over-full': 55,
  /** The time is over for which this node knew that it is the one to send. */
  'lease-over': 56,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

/** Counters that DropReason needs. */
export const DROP_REASONS = 64;

const names = new Map<number, string>(Object.entries(DropReason).map(([name, id]) => [id, name]));

export function dropReasonName(reason: number): string {
  return names.get(reason) ?? `reason-${reason}`;
}
