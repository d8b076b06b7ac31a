/**
 * Where every shared address has a master of its own: which segments belong to an address, so that an IKE SA that a peer
 * has with it is at the node its packets come to. In other modes, and with one address, all segments belong to each.
 */
import type { Segment } from '../../cluster/ballot.ts';
import { groupCount, groupOfSegment, segmentInGroup } from '../../cluster/segment-groups.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import { formatAddress, type IpAddress } from '../../wire/address.ts';

export class AddressGroups {
  readonly #segments: number;
  readonly #groups: number;
  /** Of addresses as text. */
  readonly #groupOf: ReadonlyMap<string, number>;

  constructor({
    mode,
    segments,
    addresses,
  }: Pick<ClusterConfig, 'mode' | 'segments' | 'addresses'>) {
    const wan = mode === 'active-passive' ? addresses.filter(({ side }) => side === 'wan') : [];
    this.#segments = segments;
    this.#groups = groupCount(segments, wan.length);
    const groups = wan.flatMap((one, index) =>
      one.addresses.map((each) => [formatAddress(each), index % this.#groups] as const),
    );
    this.#groupOf = new Map(groups);
  }

  /** A segment of the address for one of all; itself where the address is none that has a master. */
  segmentAt(local: IpAddress, segment: Segment): Segment {
    const group = this.#groupOf.get(formatAddress(local));
    if (group === undefined) return segment;
    return segmentInGroup(segment, group, this.#groups, this.#segments);
  }

  /** Those of the address; all of them where it has none. */
  among(local: IpAddress, segments: readonly Segment[]): readonly Segment[] {
    const group = this.#groupOf.get(formatAddress(local));
    const own = segments.filter((one) => groupOfSegment(one, this.#groups) === group);
    return own.length > 0 ? own : segments;
  }
}
