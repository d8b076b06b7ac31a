/**
 * Groups of segments, where every shared address has a master of its own (`active-passive`): the segments whose
 * numbers leave the address's index as remainder. A client's IKE SA is in the group of the address it connected to,
 * so that its packets come to the node that has its segment.
 *
 * Addresses of the LAN have no groups of their own: each goes with the one of the WAN that has its index.
 */
import type { Segment } from './ballot.ts';

/** How many groups there are: one for each address of the WAN, as far as there are segments, and at least one. */
export function groupCount(segments: number, addresses: number): number {
  return Math.max(1, Math.min(segments, addresses));
}

export function groupOfSegment(segment: Segment, groups: number): number {
  return segment % groups;
}

/** Of the WAN or of the LAN, by its place among those of its side. */
export function groupOfAddress(index: number, groups: number): number {
  return index % groups;
}

/** Whoever has this one is the master of the group's addresses. */
export function firstOfGroup(group: number): Segment {
  return group;
}

/** The segment of the group that stands for one of all: the nearest, so that each group's are hit alike. */
export function segmentInGroup(
  segment: Segment,
  group: number,
  groups: number,
  segments: number,
): Segment {
  const inGroup = segment - groupOfSegment(segment, groups) + group;
  return inGroup < segments ? inGroup : inGroup - groups;
}
