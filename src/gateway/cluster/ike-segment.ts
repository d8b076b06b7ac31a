/**
 * Which segment of a cluster an IKE message is about, by its header alone (RFC 7296 §3.1): that of our SPI, which is
 * the responder's where flag I says that the peer began the IKE SA, and the initiator's where we did.
 *
 * A request that begins an IKE SA has no SPI of ours yet; its segment is that of the address it comes from, among those
 * of the address it came to.
 */
import type { Segment } from '../../cluster/ballot.ts';
import { type SegmentHash, segmentOfAddress, segmentOfIkeSpi } from '../../cluster/segment-hash.ts';
import { decodeHeader, HEADER_OCTETS } from '../../ike/message/header.ts';
import { NO_IKE_SPI } from '../../ike/message/message.ts';
import type { Endpoint } from '../../wire/address.ts';
import { fromHex } from '../../wire/octets.ts';
import type { AddressGroups } from './address-groups.ts';

export interface SegmentSeeds {
  readonly hash: SegmentHash;
  /** See `sourceSeed`; of all nodes the same. */
  readonly sourceSeed: number;
  /** Where shared addresses have segments of their own. */
  readonly groups?: AddressGroups;
}

/** A datagram, from whom, and the address of ours it came to. */
export interface ArrivedIke {
  readonly octets: Uint8Array;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** Undefined for what is no message of IKEv2: any node can say so. */
export function segmentOfIke(
  { octets, local, remote }: ArrivedIke,
  { hash, sourceSeed, groups }: SegmentSeeds,
): Segment | undefined {
  if (octets.length < HEADER_OCTETS) return undefined;
  const { majorVersion, fromInitiator, initiatorSpi, responderSpi } = decodeHeader(octets);
  if (majorVersion !== 2) return undefined;
  const own = fromInitiator ? responderSpi : initiatorSpi;
  if (own !== NO_IKE_SPI) return segmentOfIkeSpi(fromHex(own), hash);
  const segment = segmentOfAddress(remote.address, { ...hash, seed: sourceSeed });
  return groups?.segmentAt(local.address, segment) ?? segment;
}
