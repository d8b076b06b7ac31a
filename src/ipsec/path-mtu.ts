/**
 * How much larger ESP makes a packet, and the largest that still fits a path (RFC 4303 §2.4,
 * RFC 3948 §2.1, RFC 4301 §8.2.1). Arithmetic only; what paths carry is learned in `esp/`.
 */
import { encryptionAlgorithm, integrityAlgorithm } from '../crypto/algorithms.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { UDP_HEADER } from '../wire/udp.ts';

/** Lengths in octets that the transforms of an SA fix. */
export interface EspShape {
  readonly ivLength: number;
  readonly icvLength: number;
  /** Payload, padding and trailer together are a multiple of this: 4, or the cipher's block. */
  readonly alignment: number;
}

/** How the packet travels outside. */
export interface OuterPath {
  readonly family: 4 | 6;
  readonly udpEncapsulation: boolean;
  /** Octets of a packet that stay outside ESP: its IP header in transport mode and BEET. */
  readonly shed?: number;
}

/** What a path was found to carry by packets that were answered, and by others that were not. */
export interface MeasuredMtu {
  readonly octets: number;
  /** Of the smallest packet that was not answered; unset = none. */
  readonly lost?: number;
}

/** Octets that a path between gateways is assumed to carry until it says otherwise. */
export const ASSUMED_OUTER_MTU = 1500;

/** SPI and sequence number. */
const ESP_HEADER = 8;
/** Pad Length and Next Header. */
const ESP_TRAILER = 2;
const IPV6_MINIMUM_MTU = 1280;
const IPV6_FRAGMENT_HEADER = 8;

/** The shape of an SA with these transforms; without `integ` the cipher makes the ICV. */
export function espShape(
  encr: { readonly id: number },
  integ: { readonly id: number } | undefined,
): EspShape {
  const cipher = encryptionAlgorithm(encr.id);
  if (cipher === undefined) throw new RangeError(`no encryption algorithm ${encr.id}`);
  const integrity = integ && integrityAlgorithm(integ.id);
  return {
    ivLength: cipher.ivLength,
    icvLength: integrity?.icvLength ?? cipher.icvLength,
    // RFC 4303 §2.4: the trailer ends on a 4-octet boundary whatever the cipher wants.
    alignment: Math.max(4, cipher.blockLength),
  };
}

/** What the octets of an outer packet are, in their order. */
export interface EspBudget {
  readonly outerIp: number;
  /** 0 without UDP encapsulation. */
  readonly udp: number;
  /** SPI and sequence number. */
  readonly espHeader: number;
  readonly iv: number;
  /** What of the packet ESP goes around. */
  readonly inner: number;
  /** Behind the inner packet, to hide how long it is. */
  readonly tfcPadding: number;
  readonly padding: number;
  /** Pad Length and Next Header. */
  readonly trailer: number;
  readonly icv: number;
  readonly total: number;
}

/** The outer packet around an inner packet of `innerLength`, octet by octet. */
export function espBudget(
  innerLength: number,
  shape: EspShape,
  path: OuterPath,
  tfcOctets = 0,
): EspBudget {
  const inner = Math.max(0, innerLength - (path.shed ?? 0));
  const body = paddedLength(inner, tfcOctets);
  const over = (body + ESP_TRAILER) % shape.alignment;
  const padding = over === 0 ? 0 : shape.alignment - over;
  return {
    outerIp: path.family === 4 ? IPV4_HEADER : IPV6_HEADER,
    udp: path.udpEncapsulation ? UDP_HEADER : 0,
    espHeader: ESP_HEADER,
    iv: shape.ivLength,
    inner,
    tfcPadding: body - inner,
    padding,
    trailer: ESP_TRAILER,
    icv: shape.icvLength,
    total: fixedOverhead(shape, path) + body + padding + ESP_TRAILER,
  };
}

/** Octets of the outer packet around an inner packet of `innerLength`. */
export function espPacketLength(innerLength: number, shape: EspShape, path: OuterPath): number {
  return espBudget(innerLength, shape, path).total;
}

/** What an inner packet's size makes of it: sealed and sent, sent in fragments, or refused. */
export type SizeVerdict = 'fits' | 'fragmented-outside' | 'too-big';

/**
 * The rule of outbound processing about size (RFC 4301 §8.1, §8.2.1). `dontFragment`: the sender forbids
 * it, as IPv6 always does. Asked for every packet that leaves.
 */
export function sizeVerdict(
  family: number,
  octets: number,
  dontFragment: boolean,
  sa: { readonly innerMtu: number; readonly copyDf: boolean },
): SizeVerdict {
  if (octets <= sa.innerMtu) return 'fits';
  // RFC 8200 §5: below 1280 octets a tunnel must fragment itself, the sender need not.
  const mayRefuse = family === 4 || octets > IPV6_MINIMUM_MTU;
  return sa.copyDf && dontFragment && mayRefuse ? 'too-big' : 'fragmented-outside';
}

/**
 * Octets of what is sealed for an inner packet: itself and, up to `tfcOctets`, padding behind it
 * (RFC 4303 §2.7).
 */
export function paddedLength(innerLength: number, tfcOctets: number): number {
  return innerLength < tfcOctets ? tfcOctets : innerLength;
}

/** How many fragments a packet makes on a path (RFC 791 §3.2, RFC 8200 §4.5). */
export function fragmentCount(octets: number, mtu: number, family: 4 | 6): number {
  if (octets <= mtu) return 1;
  const header = family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const room = mtu - header - (family === 4 ? 0 : IPV6_FRAGMENT_HEADER);
  return Math.ceil((octets - header) / Math.max(8, room - (room % 8)));
}

/** Octets of the largest inner packet whose outer packet is at most `outerMtu`; 0 = none fits. */
export function innerMtu(outerMtu: number, shape: EspShape, path: OuterPath): number {
  const room = outerMtu - fixedOverhead(shape, path);
  const aligned = Math.floor(room / shape.alignment) * shape.alignment;
  const payload = aligned - ESP_TRAILER;
  return payload < 0 ? 0 : payload + (path.shed ?? 0);
}

function fixedOverhead(shape: EspShape, path: OuterPath): number {
  const ip = path.family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const udp = path.udpEncapsulation ? UDP_HEADER : 0;
  return ip + udp + ESP_HEADER + shape.ivLength + shape.icvLength;
}
