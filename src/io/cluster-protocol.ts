/**
 * What the control thread and a packet loop's worker say to each other about SAs that several nodes of a
 * cluster may carry. Structured-clone data, a part of `packet-loop-protocol.ts`.
 */
import type { SequenceHalves } from '../ipsec/sequence-number.ts';

export type ClusterCommand =
  /** Another node acknowledged outbound numbers up to this one. */
  | { readonly kind: 'grant'; readonly id: number; readonly upTo: SequenceHalves }
  /** No other node is there to acknowledge any: the SA goes on until the next grant. */
  | { readonly kind: 'go-alone'; readonly id: number };

export type ClusterReport =
  /** The SA will soon need outbound numbers up to this one, acknowledged by another node. */
  { readonly kind: 'sequence-wanted'; readonly id: number; readonly upTo: SequenceHalves };
