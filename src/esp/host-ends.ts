/**
 * The two ends of an SA whose packets leave their IP header outside: transport mode and BEET
 * (RFC 4301 §4.1, RFC 4303 §3.1.1).
 *
 * Both ends are single addresses, so that the header is made anew where the packet arrives. It gets
 * the addresses the SA was negotiated for, not those of the datagram: behind a NAT whose mapping
 * changes, connections go on. Made when the SA is installed, never per packet.
 */
import type { AddressPair, EncapsulationMode } from '../ipsec/child-sa.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { IpAddress } from '../wire/address.ts';
import { foldSum, sumOctets } from '../wire/checksum.ts';
import { addressToWords, type Flow } from '../wire/flow.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';

/** `EncapsulationMode` as the packet path compares it. */
export const Mode = { tunnel: 0, transport: 1, beet: 2 } as const;

export interface HostEnds {
  readonly family: 4 | 6;
  /** Octets of a header without options. */
  readonly headerLength: number;
  /** Source and destination of what leaves, as a `Flow` has them. */
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
  /** Source and destination of what arrives, as they stand in its header. */
  readonly arriving: Uint8Array;
  /** Their sum (RFC 1071). */
  readonly arrivingSum: number;
  /** The sum over the addresses that the peer's checksums cover. */
  readonly coveredSum: number;
  /** A NAT stands between: the peer's checksums cover other addresses (RFC 3948 §3.1.2). */
  readonly translated: boolean;
}

/** Undefined for a tunnel. */
export function hostEnds(
  mode: EncapsulationMode,
  localTs: readonly TrafficSelector[],
  remoteTs: readonly TrafficSelector[],
  peerAddresses: AddressPair | undefined,
): HostEnds | undefined {
  const [local, remote] = [localTs[0]?.range.first, remoteTs[0]?.range.first];
  if (mode === 'tunnel' || !local || !remote) return undefined;
  const arriving = inPacket({ local, remote });
  const covered = peerAddresses ? inPacket(peerAddresses) : arriving;
  return {
    family: local.family,
    headerLength: headerOctets(local.family),
    source: wordsOf(local),
    destination: wordsOf(remote),
    arriving,
    arrivingSum: sumOctets(arriving, 0, arriving.length),
    coveredSum: sumOctets(covered, 0, covered.length),
    translated: peerAddresses !== undefined,
  };
}

/** Octets of an IP header without options or extension headers. */
export function headerOctets(family: number): number {
  return family === 4 ? IPV4_HEADER : IPV6_HEADER;
}

/** The checksum of a packet from the peer is right, whose upper layer sums up to `bodySum`. */
export function isSoundSum(
  ends: HostEnds,
  bodySum: number,
  protocol: number,
  length: number,
): boolean {
  return foldSum(bodySum + ends.coveredSum + protocol + length) === 0xffff;
}

/** The packet is from one end to the other: its header is made of that alone where it arrives. */
export function isBetween({ source, destination }: HostEnds, flow: Flow): boolean {
  for (let word = 0; word < 4; word++) {
    if (flow.source[word] !== source[word]) return false;
    if (flow.destination[word] !== destination[word]) return false;
  }
  return true;
}

function wordsOf(address: IpAddress): Uint32Array {
  const words = new Uint32Array(4);
  addressToWords(address, words, 0);
  return words;
}

/** Of a packet from the peer: it is the source. */
function inPacket({ local, remote }: { local: IpAddress; remote: IpAddress }): Uint8Array {
  return Uint8Array.of(...remote.octets, ...local.octets);
}
