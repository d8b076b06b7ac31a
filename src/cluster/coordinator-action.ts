/**
 * What goes into the coordinator and what comes out of it.
 *
 * The order of actions counts: a `release` stands before the `lease` that would allow it again.
 */
import type { Instant } from '../wire/instant.ts';
import type { Epoch, Segment, Sid } from './ballot.ts';
import type { CoordinatorMessage, Legs, SegmentAtEpoch } from './coordinator-message.ts';
import type { DemotionReason } from './demotion.ts';
import type { NodeId } from './node-id.ts';
import type { TakeReason } from './own-claims.ts';

export type CoordinatorInput =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: CoordinatorMessage }
  /** The final state of a batch that `freeze` asked for: its segments do not transmit any more. */
  | { readonly kind: 'frozen'; readonly batch: number; readonly state: Uint8Array }
  /** State that process `sid` sent is here without a gap up to `position`. */
  | { readonly kind: 'applied'; readonly sid: Sid; readonly position: number }
  /** What `behind` of a `take` named is fetched, or the SAs are made anew. */
  | { readonly kind: 'settled'; readonly segment: Segment }
  /** The snapshot and its tail are here, and the digests agree: this node may have segments. */
  | { readonly kind: 'synced' }
  /** Something is missing, or the operator wants it all anew. */
  | { readonly kind: 'resync' }
  | { readonly kind: 'legs'; readonly legs: Legs }
  | { readonly kind: 'load'; readonly load: number }
  | { readonly kind: 'demote'; readonly amount: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'undrain' }
  | { readonly kind: 'give'; readonly segments: readonly Segment[]; readonly to: NodeId }
  | { readonly kind: 'take'; readonly segments: readonly Segment[] }
  /** Segments that an operator placed go where placement wants them again. */
  | { readonly kind: 'unpin' }
  /** An operator, or a fence, vouches that the process of this node does not run. */
  | { readonly kind: 'declare-dead'; readonly node: NodeId }
  /** This process ends. */
  | { readonly kind: 'stop' };

/** Why a segment is not ours any more. */
export type ReleaseReason = 'lapsed' | 'superseded' | 'handed-over' | 'withdrawn' | 'stopped';

/** How state went past us: we slept, the other one of two won, or it went on without hearing us. */
export type ResyncReason = 'stall' | 'superseded' | 'unheard';

export type ClusterEvent =
  | { readonly kind: 'node-up'; readonly node: NodeId; readonly sid: Sid }
  /** A process that fell silent is heard again. */
  | { readonly kind: 'node-back'; readonly node: NodeId; readonly sid: Sid }
  | { readonly kind: 'node-down'; readonly node: NodeId; readonly reason: 'silent' | 'bye' }
  | {
      readonly kind: 'configuration-differs';
      readonly node: NodeId;
      readonly fields: readonly string[];
      readonly refused: boolean;
    }
  | { readonly kind: 'version-refused'; readonly node: NodeId; readonly version: number }
  | { readonly kind: 'alone'; readonly alone: boolean }
  | { readonly kind: 'demoted'; readonly reason: DemotionReason; readonly demotion: number }
  | { readonly kind: 'hand-over-abandoned'; readonly segments: readonly SegmentAtEpoch[] }
  | { readonly kind: 'drained' };

export type CoordinatorAction =
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: CoordinatorMessage }
  /** Until when the data plane may transmit; to be put where it looks at each batch. */
  | { readonly kind: 'lease'; readonly until: Instant }
  | {
      readonly kind: 'take';
      readonly segment: Segment;
      readonly epoch: Epoch;
      readonly from: Sid;
      readonly reason: TakeReason;
      /** Nodes that have state of others which this node has not: to be fetched before it goes on. */
      readonly behind: readonly NodeId[];
      /** No majority can say what the former owners' last state was: nothing may be carried on. */
      readonly gap: boolean;
    }
  /** A segment of ours goes on with a higher epoch. */
  | { readonly kind: 'epoch'; readonly segment: Segment; readonly epoch: Epoch }
  | { readonly kind: 'release'; readonly segment: Segment; readonly reason: ReleaseReason }
  /** Stop transmitting for these at once and answer with `frozen`. */
  | {
      readonly kind: 'freeze';
      readonly batch: number;
      /** Who is about to have them. */
      readonly to: NodeId;
      readonly segments: readonly SegmentAtEpoch[];
    }
  /** The hand-over does not happen: go on. */
  | { readonly kind: 'thaw'; readonly segments: readonly SegmentAtEpoch[] }
  /** The final state of segments that are about to be ours. */
  | {
      readonly kind: 'install';
      readonly segments: readonly SegmentAtEpoch[];
      readonly from: Sid;
      readonly state: Uint8Array;
    }
  /** To be on disk before the actions after it: the next start is given it. */
  | { readonly kind: 'keep'; readonly epochFloor: number }
  /** State of the other node is missing: fetch all of it, then say `synced`. */
  | { readonly kind: 'resync'; readonly reason: ResyncReason }
  /** Our start number was used before: write one that is at least this, and start anew. */
  | { readonly kind: 'sid-refused'; readonly boot: number }
  | { readonly kind: 'emit'; readonly event: ClusterEvent };
