/**
 * The traffic class across a tunnel: ECN (RFC 6040) and DSCP (RFC 2983), as two tables.
 *
 * Works on the whole octet: six bits of DSCP, two of ECN. Knows nothing of headers; the callers
 * read and write the octet where IPv4 and IPv6 keep it.
 */

/** What a Child SA copies between the inner and the outer traffic class. */
export interface TrafficClassRule {
  /** Outbound, DSCP of the inner header goes outside. */
  readonly dscpOut: boolean;
  /** Inbound, DSCP of the outer header goes inside. */
  readonly dscpIn: boolean;
  /** RFC 6040 both ways; without it the outer header is Not-ECT and is not looked at. */
  readonly ecn: boolean;
}

/** Answer of `decapsulatedClass` for a packet that must be dropped (RFC 6040 §4.2). */
export const ECN_DROP = -1;

export function trafficClassRule(
  copyDscp: 'no' | 'in' | 'out' | 'yes',
  copyEcn: boolean,
): TrafficClassRule {
  return {
    dscpOut: copyDscp === 'out' || copyDscp === 'yes',
    dscpIn: copyDscp === 'in' || copyDscp === 'yes',
    ecn: copyEcn,
  };
}

/** The outer octet of a packet whose inner octet is `inner` (RFC 6040 §4.1). */
export function encapsulatedClass(rule: TrafficClassRule, inner: number): number {
  const dscp = rule.dscpOut ? inner & DSCP_MASK : 0;
  // RFC 6040 §4.1: normal mode copies the field; compatibility mode clears it.
  return rule.ecn ? dscp | (inner & ECN_MASK) : dscp;
}

/** The octet the inner header leaves with, or ECN_DROP (RFC 6040 §4.2). */
export function decapsulatedClass(rule: TrafficClassRule, inner: number, outer: number): number {
  const dscp = (rule.dscpIn ? outer : inner) & DSCP_MASK;
  if (!rule.ecn) return dscp | (inner & ECN_MASK);
  // RFC 6040 §4.2: a congestion mark on a packet that cannot carry one is a drop.
  const ecn = DECAPSULATION[((inner & ECN_MASK) << 2) | (outer & ECN_MASK)]!;
  return ecn === ECN_DROP ? ECN_DROP : dscp | ecn;
}

const DSCP_MASK = 0xfc;
const ECN_MASK = 0x03;

const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

/** RFC 6040 Figure 4: row = inner, column = outer, both in the order Not-ECT, ECT(1), ECT(0), CE. */
const DECAPSULATION = Int8Array.of(
  ...[NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP],
  ...[ECT_1, ECT_1, ECT_1, CE],
  ...[ECT_0, ECT_1, ECT_0, CE],
  ...[CE, CE, CE, CE],
);
