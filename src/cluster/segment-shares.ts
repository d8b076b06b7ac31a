/**
 * Who should have which segment, in the two ways there are: all candidates a share, or each group of segments one
 * master.
 */
import type { Member, PlaceSegments } from './cluster-settings.ts';
import { compareAdverts } from './demotion.ts';
import type { NodeId } from './node-id.ts';
import { placeSegments } from './placement.ts';
import { groupCount, groupOfSegment } from './segment-groups.ts';

/** Active-active: weighted shares (`placement.ts`). */
export function sharedAmongAll(members: readonly Member[], segments: number): PlaceSegments {
  const nodes = members.map(({ node, weight }) => ({ node, weight }));
  return (candidates) => {
    const present = new Set(candidates.map(({ node }) => node));
    return placeSegments({ segments, nodes, present });
  };
}

/**
 * Active-passive: each group of segments (`segment-groups.ts`) goes as a whole to the node that is preferred for it, while
 * that one is a candidate, and else to the best advert.
 */
export function groupsToMasters(
  segments: number,
  preferred: readonly (NodeId | undefined)[],
): PlaceSegments {
  const groups = groupCount(segments, preferred.length);
  return (candidates) => {
    const [best] = candidates.toSorted(compareAdverts);
    const masters = Array.from({ length: groups }, (_, group) => {
      const wanted = candidates.find(({ node }) => node === preferred[group]);
      return (wanted ?? best)?.node ?? 0;
    });
    const all = Array.from({ length: segments }, (_, segment) => segment);
    return all.map((segment) => masters[groupOfSegment(segment, groups)] ?? 0);
  };
}
