/**
 * What the cluster is asked over vici, and how it is shown. Plain data: names as in the configuration,
 * times in milliseconds.
 */

/** Implemented by the gateway where the configuration has a cluster. */
export interface ClusterControl {
  status(): ClusterView;
  /** One row each, in order. */
  segments(): readonly SegmentView[];
  /** Settles when what was ordered is done or will not be. Nodes and segments that it names exist. */
  order(order: ClusterOrder): Promise<ClusterOutcome>;
}

export interface ClusterView {
  /** Of the cluster. */
  readonly name: string;
  readonly node: string;
  readonly nodeId: number;
  readonly mode: string;
  readonly bus: string;
  /** Of this process among all that ever ran as a node of the cluster. */
  readonly sid: number;
  readonly segments: number;
  readonly owned: number;
  readonly alone: boolean;
  /** It has the state of the others, and may have segments. */
  readonly synced: boolean;
  /** Whether this node may transmit; `unlimited`: one of two that holds what it has. */
  readonly lease: 'valid' | 'over' | 'unlimited';
  /** How long ago the majority answered that lets this node transmit, and how long it still may. */
  readonly leaseAge?: number;
  readonly leaseLeft?: number;
  readonly demotion: number;
  /** What each reason adds. */
  readonly demotions: Readonly<Record<string, number>>;
  /** All that are configured, this node among them. */
  readonly members: readonly MemberView[];
  readonly ikeSas: SharedSasView;
  readonly addresses: readonly ClusterAddressView[];
  /** What does not work, in words; empty = all is well. */
  readonly troubles: readonly string[];
  /** Figures for monitoring, by the names that `tsgw help cluster status` explains. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Octets of the bus that were not taken as they came, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface SharedSasView {
  /** IKE SAs that this node serves. */
  readonly active: number;
  /** Those of other nodes that it could go on with. */
  readonly passive: number;
  /** Active ones whose newest state no other node has. */
  readonly unsynced: number;
  /** Child SAs that send numbers which no other node knows of. */
  readonly solo: number;
}

export type MemberState =
  | 'self'
  | 'up'
  /** Was heard, and is not any more. */
  | 'silent'
  /** Said goodbye, or was declared dead. */
  | 'gone'
  | 'unheard'
  /** Is heard, and not let in. */
  | 'refused';

export interface MemberView {
  readonly name: string;
  readonly nodeId: number;
  readonly state: MemberState;
  readonly sid?: number;
  readonly weight: number;
  readonly demotion?: number;
  readonly advbase?: number;
  readonly advskew?: number;
  readonly alone?: boolean;
  readonly synced?: boolean;
  /** Which of its legs are well. */
  readonly wan?: boolean;
  readonly lan?: boolean;
  readonly sync?: boolean;
  readonly load?: number;
  /** Since it was last heard. */
  readonly heard?: number;
  /** Segments it has, as far as this node knows. */
  readonly owned: number;
  /** How far this node's log is there. */
  readonly applied?: number;
  /** Names of settings that are not as here. */
  readonly differences: readonly string[];
}

export interface ClusterAddressView {
  readonly name: string;
  readonly address: string;
  readonly device: string;
  readonly side: 'wan' | 'lan';
  /** This node speaks for it now. */
  readonly here: boolean;
  /** The node that has it, where one has (`active-passive`). */
  readonly master?: string;
  readonly mac?: string;
}

export interface SegmentView {
  readonly segment: number;
  /** Unset = nobody has it. */
  readonly owner?: string;
  readonly here: boolean;
  readonly epoch: number;
  /** IKE SAs and Child SAs of it that this node knows. */
  readonly ikeSas: number;
  readonly childSas: number;
}

/** Kinds of failure that can be simulated. */
export const FAILURES = ['stop', 'crash'] as const;
export type Failure = (typeof FAILURES)[number];

export type ClusterOrder =
  | { readonly kind: 'take'; readonly segments: readonly number[] }
  | { readonly kind: 'give'; readonly segments: readonly number[]; readonly node: string }
  | { readonly kind: 'rekey'; readonly segments: readonly number[] }
  /** Segments that operators placed go where placement wants them. */
  | { readonly kind: 'unpin' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'undrain' }
  | { readonly kind: 'demote'; readonly amount: number }
  | { readonly kind: 'resync' }
  | { readonly kind: 'rotate-key' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'declare-dead'; readonly node: string }
  /** Falls silent for so long as if it were stopped, or ends at once without a word. */
  | {
      readonly kind: 'simulate-failure';
      readonly failure: Failure;
      readonly milliseconds: number;
    };

export type ClusterOutcome =
  | {
      readonly kind: 'done';
      /** In words, for people. */
      readonly what: string;
      readonly milliseconds: number;
      /** What a probe found, node by node. */
      readonly nodes?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'failed'; readonly what: string };
