/**
 * What the IKE SAs of a node and those of others make each other do: `IkeMirror` asks and answers in these words.
 */
import type { Epoch, Segment, Sid } from '../../cluster/ballot.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { SnapshotOf } from '../../cluster/ownership.ts';
import type { SegmentHash } from '../../cluster/segment-hash.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import type { Edges } from '../../events/edge-digest.ts';
import type { Action } from '../../ike/action.ts';
import type { IkeEndpoint } from '../../ike/endpoint.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import type { WriteAheadSettings } from '../../ike/write-ahead.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { Instant } from '../../wire/instant.ts';
import type { StateMessage } from './state-message.ts';

/** What the mirror asks of the engine. */
export type MirroredEngine = Pick<
  IkeEndpoint,
  | 'handle'
  | 'takeChanges'
  | 'activeSpis'
  | 'passiveSpis'
  | 'passiveSnapshots'
  | 'snapshotOf'
  | 'ikeSas'
>;

/** What the mirror asks of who knows the cluster. */
export interface ClusterView {
  /** Nodes that can be told something. */
  readonly reachable: () => readonly NodeId[];
  /** Not much waits for it that can wait. */
  readonly hasRoom: (node: NodeId) => boolean;
  /** Nobody is heard: nothing waits. */
  readonly isForsaken: () => boolean;
  readonly mayTransmit: (segment: Segment, now: Instant) => boolean;
  readonly owns: (segment: Segment) => boolean;
  readonly ownerOf: (segment: Segment) => NodeId | undefined;
  /** The highest epoch that was heard of. */
  readonly epoch: (segment: Segment) => Epoch;
  /** Under which this node has, or last had, a segment. */
  readonly ownEpoch: (segment: Segment) => Epoch;
  readonly head: () => SnapshotOf;
  /** It still needs to hear of others what they own. */
  readonly isCatchingUp: () => boolean;
}

export interface IkeMirrorParts {
  readonly engine: MirroredEngine;
  readonly sid: Sid;
  readonly hash: SegmentHash;
  /** How many others must have a record. */
  readonly needed: number;
  readonly view: ClusterView;
  readonly random: RandomBytes;
  /** How many Child SAs get new keys in a second at most, after a take-over that was not clean. */
  readonly rekeysPerSecond: number;
  /** How long messages wait until others have what they depend on; unset: as is usual. */
  readonly writeAhead?: Partial<WriteAheadSettings>;
}

export type IkeMirrorAction =
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly message: StateMessage;
      readonly delivery: Delivery;
    }
  | { readonly kind: 'ike'; readonly action: Action }
  /** Outbound numbers of one of our Child SAs are known elsewhere up to this one. */
  | { readonly kind: 'grant'; readonly spiIn: Spi; readonly upTo: SequenceHalves }
  /** Nobody is there to know of them. */
  | { readonly kind: 'go-alone'; readonly spiIn: Spi }
  /** Where the windows of other nodes' Child SAs are. */
  | { readonly kind: 'follow-edges'; readonly edges: Edges }
  /** The log of a process is here up to a position. */
  | { readonly kind: 'applied'; readonly sid: Sid; readonly position: number }
  /** What a node said of itself behind all that it sent. */
  | { readonly kind: 'head'; readonly head: SnapshotOf }
  /** What was to be fetched is here, or nobody has it. */
  | { readonly kind: 'settled'; readonly segment: Segment }
  /** Their last state is not known: they go on as far as that is safe, and get new keys. */
  | { readonly kind: 'unsure'; readonly spis: readonly IkeSpi[] };

/** Takes what is to be done, in order. */
export type Perform = (action: IkeMirrorAction) => void;
