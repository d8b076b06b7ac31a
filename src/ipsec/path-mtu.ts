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
}

/** SPI and sequence number. */
const ESP_HEADER = 8;
/** Pad Length and Next Header. */
const ESP_TRAILER = 2;

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

/** Octets of the outer packet around an inner packet of `innerLength`. */
export function espPacketLength(innerLength: number, shape: EspShape, path: OuterPath): number {
  const blocks = Math.ceil((innerLength + ESP_TRAILER) / shape.alignment);
  return fixedOverhead(shape, path) + blocks * shape.alignment;
}

/** Octets of the largest inner packet whose outer packet is at most `outerMtu`; 0 = none fits. */
export function innerMtu(outerMtu: number, shape: EspShape, path: OuterPath): number {
  const room = outerMtu - fixedOverhead(shape, path);
  const aligned = Math.floor(room / shape.alignment) * shape.alignment;
  return Math.max(0, aligned - ESP_TRAILER);
}

function fixedOverhead(shape: EspShape, path: OuterPath): number {
  const ip = path.family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const udp = path.udpEncapsulation ? UDP_HEADER : 0;
  return ip + udp + ESP_HEADER + shape.ivLength + shape.icvLength;
}
