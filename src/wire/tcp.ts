/**
 * TCP header in place (RFC 9293 §3.1), as far as segmentation and MSS clamping need it.
 */
import { updateChecksum } from './checksum.ts';
import { readU8, readU16, writeU16 } from './field.ts';

/** Offsets of the fields. */
export const TcpField = {
  SOURCE_PORT: 0,
  DESTINATION_PORT: 2,
  SEQUENCE: 4,
  ACKNOWLEDGMENT: 8,
  DATA_OFFSET: 12,
  FLAGS: 13,
  CHECKSUM: 16,
} as const;

export const TcpFlag = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  /** Congestion window reduced (RFC 3168 §6.1). */
  CWR: 0x80,
} as const;

/** Octets of a header without options. */
export const TCP_HEADER = 20;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const MSS_OPTION_LENGTH = 4;

export function tcpHeaderLength(octets: Uint8Array, at: number): number {
  return (readU8(octets, at + TcpField.DATA_OFFSET) >>> 4) * 4;
}

export function tcpFlags(octets: Uint8Array, at: number): number {
  return readU8(octets, at + TcpField.FLAGS);
}

/**
 * Offset of the value of the MSS option (RFC 9293 §3.2), or -1. `length` is what the packet holds
 * from the TCP header on; options that do not parse end the search.
 */
export function findMss(octets: Uint8Array, at: number, length: number): number {
  const headerLength = tcpHeaderLength(octets, at);
  if (headerLength < TCP_HEADER || headerLength > length) return -1;
  const end = at + headerLength;
  let option = at + TCP_HEADER;
  while (option < end) {
    const kind = readU8(octets, option);
    if (kind === OPTION_END) return -1;
    if (kind === OPTION_NOP) {
      option++;
      continue;
    }
    const optionLength = option + 1 < end ? readU8(octets, option + 1) : 0;
    if (optionLength < 2 || option + optionLength > end) return -1;
    if (kind === OPTION_MSS) return optionLength === MSS_OPTION_LENGTH ? option + 2 : -1;
    option += optionLength;
  }
  return -1;
}

/**
 * Lowers the MSS of a SYN to `mss` and keeps the checksum right; answers whether it changed the
 * packet. An option at an odd offset changes two words of the sum; both are taken into account.
 * `unsummed`: the checksum is still to be made, of whatever the packet holds then.
 */
export function clampMss(
  octets: Uint8Array,
  at: number,
  length: number,
  mss: number,
  unsummed = false,
): boolean {
  if (length < TCP_HEADER || (tcpFlags(octets, at) & TcpFlag.SYN) === 0) return false;
  const valueAt = findMss(octets, at, length);
  if (valueAt === -1 || readU16(octets, valueAt) <= mss) return false;
  const sumAt = at + TcpField.CHECKSUM;
  const first = valueAt - ((valueAt - at) & 1);
  const second = first + 2;
  const oldFirst = readU16(octets, first);
  const oldSecond = readU16(octets, second);
  writeU16(octets, valueAt, mss);
  if (unsummed) return true;
  let sum = updateChecksum(readU16(octets, sumAt), oldFirst, readU16(octets, first));
  sum = updateChecksum(sum, oldSecond, readU16(octets, second));
  writeU16(octets, sumAt, sum);
  return true;
}
