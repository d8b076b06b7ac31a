/**
 * The pseudo-header that carries the IPv4 options of a packet in BEET mode (draft-nikander-esp-beet-mode
 * §3.2; the octets are those of Linux):
 *
 *   octet 0    protocol of what follows      octet 2    octets of padding, 0 or 4
 *   octet 1    length in units of 8 octets,  octet 3    reserved
 *              less the first                behind it: padding, then the options
 */
import { readU8 } from '../wire/field.ts';

/** Octets in front of the padding. */
export const BEET_HEADER = 4;

/** The whole is a multiple of 8 octets. */
export function beetPadding(optionOctets: number): number {
  return (optionOctets & 4) === 0 ? 4 : 0;
}

/** Octets of a pseudo-header with its padding and options. */
export function beetPseudoHeader(octets: Uint8Array, at: number): number {
  return (readU8(octets, at + 1) + 1) * 8;
}

/** Octets of the options, or -1 where the pseudo-header of `length` octets at most makes no sense. */
export function beetOptions(octets: Uint8Array, at: number, length: number): number {
  if (length < BEET_HEADER) return -1;
  const whole = beetPseudoHeader(octets, at);
  const padding = readU8(octets, at + 2);
  const options = whole - BEET_HEADER - padding;
  const fits = whole <= length && options >= 0 && options <= MOST_OPTIONS;
  return fits && (options & 3) === 0 && padding <= MOST_PADDING ? options : -1;
}

/** RFC 791 §3.1: an IPv4 header has at most 60 octets. */
const MOST_OPTIONS = 40;
const MOST_PADDING = 4;
