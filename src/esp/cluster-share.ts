/**
 * What an SA has besides where several nodes of a cluster may carry it, one at a time: the IVs and the
 * outbound sequence numbers that are this node's (RFC 4303 §3.3.3, RFC 6054 §2).
 */
import { IvPartition } from '../ipsec/iv-partition.ts';
import type { SequenceHalves } from '../ipsec/sequence-number.ts';
import { SequenceReservation } from '../ipsec/sequence-reservation.ts';
import type { Instant } from '../wire/instant.ts';

/** How an SA of a cluster is installed at one of its nodes. */
export interface ClusterParameters {
  /** Who this node is among all that ever seal with the key: 16 bits. */
  readonly sid: number;
  /** The last outbound number that may have been used. */
  readonly used: SequenceHalves;
  /** The last outbound number that another node acknowledged. */
  readonly reserved: SequenceHalves;
  /** No other node is there to acknowledge any. */
  readonly solo: boolean;
}

export class ClusterShare {
  readonly ivs: IvPartition;
  readonly reservation: SequenceReservation;

  /** `sealed`: no packet has a higher count in its IV. */
  constructor(cluster: ClusterParameters, esn: boolean, sealed: number, now: Instant) {
    this.ivs = new IvPartition(cluster.sid, sealed);
    this.reservation = new SequenceReservation(esn, cluster, now);
  }

  /** No further packet is ever sealed here. */
  get ended(): boolean {
    return this.reservation.ended || this.ivs.left === 0;
  }
}
