/**
 * Filters of packet sockets: classic BPF programs (Linux `socket(7)`, SO_ATTACH_FILTER), so that of the
 * frames of an interface only those wake us that a shared address is about.
 *
 *   octets 0-1  operation                octets 2-3  where to go when a comparison holds, and when not
 *   octets 4-7  operand                  integers in the order of the machine, which is little-endian
 */

/** Neighbour solicitations and advertisements right behind the IPv6 header, and UDP to a port. */
export function neighbourFilter(udpPort: number): Uint8Array {
  return program([
    [LOAD_OCTET, 0, 0, IPV6_NEXT_HEADER],
    [IF_EQUAL, 0, 3, ICMPV6],
    [LOAD_OCTET, 0, 0, IPV6_PAYLOAD],
    [IF_EQUAL, 4, 0, SOLICITATION],
    [IF_EQUAL, 3, 4, ADVERTISEMENT],
    [IF_EQUAL, 0, 3, UDP],
    [LOAD_WORD16, 0, 0, IPV6_PAYLOAD + 2],
    [IF_EQUAL, 0, 1, udpPort],
    [RETURN, 0, 0, WHOLE],
    [RETURN, 0, 0, NOTHING],
  ]);
}

/** Of IPv4 UDP to a port, unfragmented. */
export function udpFilter(udpPort: number): Uint8Array {
  return program([
    [LOAD_OCTET, 0, 0, IPV4_PROTOCOL],
    [IF_EQUAL, 0, 6, UDP],
    [LOAD_WORD16, 0, 0, IPV4_FRAGMENT],
    [IF_ANY_BIT, 4, 0, 0x1fff],
    [LOAD_HEADER_LENGTH, 0, 0, ETHERNET],
    [LOAD_WORD16_INDEXED, 0, 0, ETHERNET + 2],
    [IF_EQUAL, 0, 1, udpPort],
    [RETURN, 0, 0, WHOLE],
    [RETURN, 0, 0, NOTHING],
  ]);
}

type Instruction = readonly [
  operation: number,
  whenTrue: number,
  whenFalse: number,
  operand: number,
];

function program(instructions: readonly Instruction[]): Uint8Array {
  const octets = new Uint8Array(instructions.length * 8);
  const view = new DataView(octets.buffer);
  for (const [index, [operation, whenTrue, whenFalse, operand]] of instructions.entries()) {
    view.setUint16(index * 8, operation, true);
    view.setUint8(index * 8 + 2, whenTrue);
    view.setUint8(index * 8 + 3, whenFalse);
    view.setUint32(index * 8 + 4, operand, true);
  }
  return octets;
}

/** Operations (`linux/bpf_common.h`). */
const LOAD_OCTET = 0x30;
const LOAD_WORD16 = 0x28;
const LOAD_WORD16_INDEXED = 0x48;
/** Four times the low half of the octet, into the index: the length of an IPv4 header. */
const LOAD_HEADER_LENGTH = 0xb1;
const IF_EQUAL = 0x15;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const WHOLE = 0x40000;
const NOTHING = 0;

/** Where things are in a frame. */
const ETHERNET = 14;
const IPV4_FRAGMENT = ETHERNET + 6;
const IPV4_PROTOCOL = ETHERNET + 9;
const IPV6_NEXT_HEADER = ETHERNET + 6;
const IPV6_PAYLOAD = ETHERNET + 40;

const UDP = 17;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
