/**
 * ICMP (RFC 792, RFC 1191 §4) and ICMPv6 (RFC 4443) messages in place: the types we send and read.
 */
import { readU8, readU16, readU32 } from './field.ts';

export const IcmpType = {
  ECHO_REPLY: 0,
  DESTINATION_UNREACHABLE: 3,
  ECHO_REQUEST: 8,
  TIME_EXCEEDED: 11,
} as const;

/** Codes of DESTINATION_UNREACHABLE. */
export const IcmpUnreachableCode = {
  NET: 0,
  HOST: 1,
  PROTOCOL: 2,
  PORT: 3,
  FRAGMENTATION_NEEDED: 4,
  ADMINISTRATIVELY_PROHIBITED: 13,
} as const;

export const Icmpv6Type = {
  DESTINATION_UNREACHABLE: 1,
  PACKET_TOO_BIG: 2,
  TIME_EXCEEDED: 3,
  PARAMETER_PROBLEM: 4,
  ECHO_REQUEST: 128,
  ECHO_REPLY: 129,
} as const;

/** Octets before the quoted packet of an error message, in both protocols. */
export const ICMP_HEADER = 8;

/** Offsets of the fields. */
export const IcmpField = { TYPE: 0, CODE: 1, CHECKSUM: 2, REST: 4, QUOTED: 8 } as const;

export function icmpType(octets: Uint8Array, at: number): number {
  return readU8(octets, at + IcmpField.TYPE);
}

export function icmpCode(octets: Uint8Array, at: number): number {
  return readU8(octets, at + IcmpField.CODE);
}

/** Next-hop MTU of "fragmentation needed" (RFC 1191 §4); 0 from routers older than that. */
export function icmpNextHopMtu(octets: Uint8Array, at: number): number {
  return readU16(octets, at + 6);
}

/** MTU of ICMPv6 "packet too big" (RFC 4443 §3.2). */
export function icmpv6Mtu(octets: Uint8Array, at: number): number {
  return readU32(octets, at + IcmpField.REST);
}

/** Errors must not be answered with errors (RFC 1122 §3.2.2): queries are the others. */
export function isIcmpError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** RFC 4443 §2.1: types 0-127 are errors. Redirects (137) are not answered either (§2.4). */
export function isIcmpv6Error(type: number): boolean {
  return type < 128 || type === 137;
}
