/**
 * Who should have which segment, in the two ways there are: all candidates a share, or one everything.
 */
import type { Member, PlaceSegments } from './cluster-settings.ts';
import { compareAdverts } from './demotion.ts';
import { placeSegments } from './placement.ts';

/** Active-active: weighted shares (`placement.ts`). */
export function sharedAmongAll(members: readonly Member[], segments: number): PlaceSegments {
  const nodes = members.map(({ node, weight }) => ({ node, weight }));
  return (candidates) => {
    const present = new Set(candidates.map(({ node }) => node));
    return placeSegments({ segments, nodes, present });
  };
}

/** Active-passive: the best advert is the master of all. */
export function allToMaster(segments: number): PlaceSegments {
  return (candidates) => {
    const [master] = candidates.toSorted(compareAdverts);
    return new Array(segments).fill(master?.node ?? 0);
  };
}
