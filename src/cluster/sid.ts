/**
 * Sender ids: 16 bits that name one life of one node's process (RFC 6054 §3 for AEAD IVs).
 *
 * The high bits are the node, the low bits count its starts. The count is kept on disk and written
 * before it is used; a majority of the nodes confirms that it saw no higher one, so that a disk that
 * was restored from an old copy does not bring an old SID back. An SID must not come back while an SA
 * lives that knew it before: when the count has gone round, all SAs are rekeyed first.
 */
import type { Sid } from './ballot.ts';
import type { NodeId } from './node-id.ts';

const SID_BITS = 16;

/** How the 16 bits are shared; the same on all nodes, or they refuse each other. */
export interface SidLayout {
  readonly nodeBits: number;
  /** Starts that can be told apart. */
  readonly lives: number;
}

/** One bit for two nodes, up to six for sixty-four. */
export function sidLayout(highestNode: NodeId): SidLayout {
  const nodeBits = Math.max(1, Math.ceil(Math.log2(highestNode)));
  return { nodeBits, lives: 2 ** (SID_BITS - nodeBits) };
}

/**
 * The SID of a node's `boot`-th start, counted from 1. The first node's SIDs must not be 0 (nobody),
 * so that its count leaves out the multiples of `lives`.
 */
export function sidOf(layout: SidLayout, node: NodeId, boot: number): Sid {
  if (!Number.isSafeInteger(boot) || boot < 1) throw new RangeError(`start number ${boot}`);
  return (node - 1) * layout.lives + ((boot - 1) % (layout.lives - 1)) + 1;
}

/** Whether a start takes up an SID that an earlier one had: then no SA may be older than this start. */
export function sidReturns(layout: SidLayout, boot: number): boolean {
  return boot > layout.lives - 1;
}

export function nodeOfSid(layout: SidLayout, sid: Sid): NodeId {
  return Math.floor(sid / layout.lives) + 1;
}
