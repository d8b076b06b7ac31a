/**
 * What a peer may make of one IKE SA: how many Child SAs, of how many selectors, with which SPIs
 * (RFC 7296 §1.3, §2.8, §2.9; RFC 4303 §2.1).
 */
import { type Proposal, ProtocolId } from '../ipsec/proposal.ts';
import { isReservedSpi, type Spi, spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { HeldChild } from './held-child.ts';
import { type PeerFault, peerFault } from './peer-fault.ts';

/** An IKE SA, as far as its Child SAs go. */
export interface ChildHolder {
  readonly children: ReadonlyMap<number, HeldChild>;
  /** Those that carry traffic and stay. */
  readonly childrenUp: readonly HeldChild[];
}

/**
 * While both ends rekey a Child SA there are the old one and two successors; what was replaced
 * before drains a few seconds more.
 */
const REKEYING_SHARE = 3;
const DRAINING = 16;
/** Pairs of selectors of one Child SA beyond those that are configured: each packet may ask all. */
export const MAX_SELECTOR_PAIRS = 1024;

/**
 * Why there is no room for one more Child SA. What carries traffic counts; what is on its way out
 * only where a peer makes more of it than rekeying ever does.
 */
export function noRoomForChild(
  sa: ChildHolder,
  replaces: HeldChild | undefined,
  maxChildren: number,
): PeerFault | undefined {
  const up = sa.childrenUp.length;
  const all = sa.children.size;
  const crowded = all >= maxChildren * REKEYING_SHARE + DRAINING;
  const what = `${up} Child SAs and ${all - up} on their way out, gateway.max_children is ${maxChildren}`;
  // RFC 7296 §1.3: no more of them, but those there are can be rekeyed.
  if (replaces) return crowded ? peerFault('temporary-failure', what) : undefined;
  return crowded || up >= maxChildren ? peerFault('no-additional-sas', what) : undefined;
}

/** ESP SPIs that the peer of these IKE SAs receives with. */
export function peerSpisInUse(sas: readonly ChildHolder[]): ReadonlySet<Spi> {
  const held = sas.flatMap(({ children }) => [...children.values()]);
  return new Set(held.filter((one) => one.isHeldByPeer).map(({ childSa }) => childSa.spiOut));
}

/** Proposals for ESP whose SPI an SA can have: the others are none. */
export function usableOffers(
  proposals: readonly Proposal[],
  inUse: ReadonlySet<Spi>,
): readonly Proposal[] {
  return proposals.filter((one) => {
    const spiOut = one.protocol === ProtocolId.ESP ? peerSpi(one.spi) : undefined;
    return spiOut !== undefined && !inUse.has(spiOut);
  });
}

// RFC 4303 §2.1: SPIs 0-255 are reserved; a peer that picks one gets no SA.
export function peerSpi(octets: Uint8Array): Spi | undefined {
  if (octets.length !== 4) return undefined;
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  return isReservedSpi(value) ? undefined : spi(value);
}

/** Selectors of both ends of a Child SA. */
export interface SelectorEnds {
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
}

/** More pairs than we configured, and more than an honest peer narrows them to. */
export function hasTooManyPairs(agreed: SelectorEnds, configured: SelectorEnds): boolean {
  return pairs(agreed) > mostPairs(configured);
}

/** As many of the selectors as one Child SA may have pairs of; RFC 7296 §2.9 leaves us the choice. */
export function boundPairs(agreed: SelectorEnds, configured: SelectorEnds): SelectorEnds {
  const most = mostPairs(configured);
  if (pairs(agreed) <= most) return agreed;
  const { localTs, remoteTs } = agreed;
  const side = Math.floor(Math.sqrt(most));
  const local = Math.min(localTs.length, Math.max(side, Math.floor(most / remoteTs.length)));
  return {
    localTs: localTs.slice(0, local),
    remoteTs: remoteTs.slice(0, Math.floor(most / local)),
  };
}

function mostPairs(configured: SelectorEnds): number {
  return Math.max(MAX_SELECTOR_PAIRS, pairs(configured));
}

function pairs({ localTs, remoteTs }: SelectorEnds): number {
  return localTs.length * remoteTs.length;
}
