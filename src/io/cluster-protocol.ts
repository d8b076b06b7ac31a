/**
 * What the control thread and a packet loop's worker say to each other about SAs that several nodes of a
 * cluster may carry. Structured-clone data, a part of `packet-loop-protocol.ts`.
 */
import type { ForeignPacket } from '../esp/foreign-packets.ts';
import type { GivenSa, TakenSa, TakeOver } from '../esp/sa-ownership.ts';
import type { Edges } from '../events/edge-digest.ts';
import type { Sampling } from '../ipsec/replay-sampling.ts';
import type { SequenceHalves } from '../ipsec/sequence-number.ts';

/** About one SA, by its Child SA's number. */
export type ClusterSaCommand =
  /** Another node acknowledged outbound numbers up to this one. */
  | { readonly kind: 'grant'; readonly id: number; readonly upTo: SequenceHalves }
  /** No other node is there to acknowledge any: the SA goes on until the next grant. */
  | { readonly kind: 'go-alone'; readonly id: number }
  /** This node carries the SA from now on. */
  | { readonly kind: 'take'; readonly id: number; readonly how: TakeOver }
  /** Another node does. */
  | { readonly kind: 'give'; readonly id: number }
  /** Other packets of it come by while another node has it. */
  | { readonly kind: 'sample'; readonly id: number; readonly sampling: Sampling };

export type ClusterCommand =
  | ClusterSaCommand
  /** Another node received or read packets of SAs that are carried here. */
  | { readonly kind: 'foreign-packets'; readonly packets: readonly ForeignPacket[] }
  /** The control thread took this many such packets off its queue. */
  | { readonly kind: 'foreign-taken'; readonly count: number }
  /** Packets of SAs that are not here go to the control thread, at most so many in a second. */
  | { readonly kind: 'hand-on-unknown'; readonly perSecond: number }
  /** Other nodes say where the windows of their SAs are. */
  | { readonly kind: 'follow-edges'; readonly edges: Edges };

export interface HandedOn {
  /** The Child SA's number; unset where no SA is here, and another node may have it. */
  readonly id: number | undefined;
  readonly packet: ForeignPacket;
}

export type ClusterReport =
  /** Packets of SAs that other nodes have, for those nodes: all of one turn. */
  | { readonly kind: 'foreign-packets'; readonly packets: readonly HandedOn[] }
  /** The SA will soon need outbound numbers up to this one, acknowledged by another node. */
  | { readonly kind: 'sequence-wanted'; readonly id: number; readonly upTo: SequenceHalves }
  /** It is carried here, from there on. */
  | ({ readonly kind: 'taken'; readonly id: number } & TakenSa)
  /** It is not carried here any more; no packet of it leaves behind these numbers. */
  | ({ readonly kind: 'given'; readonly id: number } & GivenSa);
