/**
 * Who has a segment, and since when in the order of all owners: an epoch and a sender id.
 *
 * A later owner has a higher epoch. Two nodes that could not see each other may have chosen the same
 * epoch; then the higher SID is the later one, by agreement, so that all nodes order all owners alike.
 */

/** 0 to count-1. */
export type Segment = number;

/** Counts the owners of one segment; 0 when it never had one. */
export type Epoch = number;

/** 16 bits that name a node and one life of its process (`sid.ts`); 0 is nobody. */
export type Sid = number;

export const NOBODY: Sid = 0;

export interface Ballot {
  readonly epoch: Epoch;
  readonly sid: Sid;
}

export const NO_BALLOT: Ballot = { epoch: 0, sid: NOBODY };

/** Negative when `a` is the earlier owner. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.epoch - b.epoch || a.sid - b.sid;
}
