/**
 * Which inner addresses are in which segment: those that peers have, as the selectors of their Child SAs say
 * (RFC 4301 §4.4.1.1). Packets for them are for the node that has the segment.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { PinnedRange } from '../../cluster/segment-sets.ts';
import type { ChildSa } from '../../ipsec/child-sa.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { compareAddresses } from '../../wire/address.ts';

/**
 * None of them overlaps with another: of two that do, the one that begins first stays, of two that begin alike
 * the smaller one. What is left out goes by the hash of the address, and from there to the node that has the SA.
 */
export function pinnedRanges(
  childSas: readonly Pick<ChildSa, 'spiIn' | 'remoteTs'>[],
  segmentOf: (spiIn: Spi) => Segment,
): readonly PinnedRange[] {
  const all = childSas.flatMap(({ spiIn, remoteTs }) =>
    remoteTs.map(({ range }) => ({ range, segment: segmentOf(spiIn) })),
  );
  const kept: PinnedRange[] = [];
  for (const one of all.toSorted(inOrder)) {
    const before = kept.at(-1)?.range;
    if (!before || compareAddresses(before.last, one.range.first) < 0) kept.push(one);
  }
  return kept;
}

function inOrder({ range: a }: PinnedRange, { range: b }: PinnedRange): number {
  return compareAddresses(a.first, b.first) || compareAddresses(a.last, b.last);
}
