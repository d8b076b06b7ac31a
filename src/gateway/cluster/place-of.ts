/**
 * Where a cluster's configuration wants its segments.
 */
import type { PlaceSegments } from '../../cluster/cluster-settings.ts';
import { groupsToMasters, sharedAmongAll } from '../../cluster/segment-shares.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';

/** Every node a share by its weight, or, where addresses have masters, each address's group its master. */
export function placeOf({ mode, nodes, segments, addresses }: ClusterConfig): PlaceSegments {
  if (mode !== 'active-passive') {
    const members = nodes.map(({ id, name, weight }) => ({ node: id, name, weight }));
    return sharedAmongAll(members, segments);
  }
  const wan = addresses.filter(({ side }) => side === 'wan');
  return groupsToMasters(
    segments,
    wan.map(({ preferred }) => preferred),
  );
}
