/**
 * What happens in a cluster of gateways, as its operator sees it: nodes that come and go, segments that
 * move, and what is wrong. A turn that moves many segments is one event with their ranges.
 */

/** Another node, by its name and number in the configuration. */
export interface NodeSubject {
  readonly node: string;
  readonly nodeId: number;
}

/** `0-63,70`, how many that are, and how many this node has now. */
export interface SegmentsMoved {
  readonly segments: string;
  readonly count: number;
  readonly owned: number;
}

/** A part of the machine that a cluster stands on. */
export type ClusterPart = 'filter' | 'address' | 'flooding' | 'bus' | 'state' | 'fifo';

/** Something the cluster stands on does not work. */
export interface Trouble {
  readonly part: ClusterPart;
  readonly what: string;
}

export type ClusterEvent =
  | ({ readonly kind: 'cluster-node-up'; readonly sid: number } & NodeSubject)
  | ({ readonly kind: 'cluster-node-down'; readonly reason: 'silent' | 'bye' } & NodeSubject)
  | ({
      readonly kind: 'cluster-configuration-differs';
      readonly fields: readonly string[];
      /** It is not let in; else it serves nobody, or the difference does no harm. */
      readonly refused: boolean;
    } & NodeSubject)
  | ({ readonly kind: 'cluster-version-refused'; readonly version: number } & NodeSubject)
  | ({
      readonly kind: 'cluster-segments-taken';
      readonly reason: string;
      /** Of how many nobody knows the last state: their SAs are made anew. */
      readonly gaps: number;
    } & SegmentsMoved)
  | ({ readonly kind: 'cluster-segments-released'; readonly reason: string } & SegmentsMoved)
  /** Segments of a node that is gone were taken. */
  | ({
      readonly kind: 'cluster-take-over';
      readonly count: number;
      /** From the last that was heard of it until the last segment was ours. */
      readonly milliseconds: number;
    } & NodeSubject)
  | {
      readonly kind: 'cluster-demoted';
      readonly reason: string;
      /** What this reason adds now; 0 = it is over. */
      readonly amount: number;
      /** The sum of all reasons. */
      readonly demotion: number;
    }
  | { readonly kind: 'cluster-alone'; readonly alone: boolean }
  | { readonly kind: 'cluster-resync'; readonly reason: string }
  /** This node has the state of all others. */
  | { readonly kind: 'cluster-synced'; readonly milliseconds: number }
  | { readonly kind: 'cluster-drained'; readonly milliseconds: number }
  | {
      readonly kind: 'cluster-hand-over-abandoned';
      readonly segments: string;
      readonly count: number;
    }
  /** Both of two nodes went on alone, and hear each other again. */
  | ({ readonly kind: 'cluster-split-brain-healed'; readonly seconds: number } & NodeSubject)
  /** IKE SAs whose newest state no other node has, Child SAs whose numbers none has; 0 and 0 = it is over. */
  | {
      readonly kind: 'cluster-unsynced';
      readonly ikeSas: number;
      readonly childSas: number;
    }
  | ({ readonly kind: 'cluster-trouble' } & Trouble)
  /** What was wrong with it is not any more. */
  | ({ readonly kind: 'cluster-mended' } & Trouble)
  /** What an operator or a script told this node to do. */
  | {
      readonly kind: 'cluster-order';
      readonly order: string;
      readonly by: 'vici' | 'fifo';
      readonly segments?: string;
      readonly node?: string;
    };
