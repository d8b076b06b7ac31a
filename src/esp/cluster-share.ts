/**
 * What an SA has besides where several nodes of a cluster may carry it, one at a time: the IVs and the
 * outbound sequence numbers that are this node's, and what it sees of the SA while another node has it
 * (RFC 4303 §3.3.3, §3.4.3, RFC 6054 §2).
 */
import { DropReason } from '../events/drop-reason.ts';
import { IvPartition } from '../ipsec/iv-partition.ts';
import {
  EdgeRate,
  replayExposure,
  type Sampling,
  samplingMask,
  strictLead,
  type TakeOverWindow,
} from '../ipsec/replay-sampling.ts';
import type { SequenceHalves } from '../ipsec/sequence-number.ts';
import { type ReservationStart, SequenceReservation } from '../ipsec/sequence-reservation.ts';
import { type Instant, instant } from '../wire/instant.ts';
import { HeldPackets } from './held-packets.ts';

/** Whether this node carries the SA, or follows it while another does. */
export type SaRole = 'active' | 'passive';

/**
 * What becomes of packets of an SA that another node has, beyond those that are sampled: nothing, or they
 * are handed on, as long as somebody takes them.
 */
export type ForeignPackets = 'discard' | 'hand-on';

/** How an SA of a cluster is installed at one of its nodes. */
export interface ClusterParameters extends ReservationStart {
  readonly role: SaRole;
  /** Who this node is among all that ever seal with the key: 16 bits. */
  readonly sid: number;
  /** The highest inbound number that may have been accepted. */
  readonly edge: SequenceHalves;
  /** What this node sees of the SA while it is passive. */
  readonly sampling: Sampling;
  readonly foreign: ForeignPackets;
  /** What it carried before, wherever that was. */
  readonly carried?: CarriedTraffic;
}

/** For the limits of an SA, and whoever lists it. */
export interface CarriedTraffic {
  readonly packetsIn: number;
  readonly octetsIn: number;
  readonly packetsOut: number;
  readonly octetsOut: number;
}

export class ClusterShare {
  readonly ivs: IvPartition;
  /** Packets that wait for numbers. */
  readonly held = new HeldPackets();
  /** Packets of the SA go to whoever has it. */
  readonly handsOn: boolean;
  readonly #esn: boolean;
  role: SaRole;
  /** Until then no packet is taken for a sample: each of them may be the only copy. */
  handsAllOnUntil: Instant = instant(Number.NEGATIVE_INFINITY);
  reservation: SequenceReservation;
  /** Where the window was. */
  readonly rate: EdgeRate;
  #sampling: Sampling;
  /** Bits of a sampled number, and what they are; -1 = none is. */
  #mask: number;
  #residue: number;

  /** `sealed`: no packet has a higher count in its IV. */
  constructor(cluster: ClusterParameters, esn: boolean, sealed: number, now: Instant) {
    this.#esn = esn;
    this.role = cluster.role;
    this.handsOn = cluster.foreign === 'hand-on';
    this.ivs = new IvPartition(cluster.sid, sealed);
    this.reservation = new SequenceReservation(esn, cluster, now);
    this.rate = new EdgeRate(cluster.edge, now);
    this.#sampling = cluster.sampling;
    this.#mask = samplingMask(cluster.sampling);
    this.#residue = cluster.sampling.every === 0 ? -1 : cluster.sampling.residue;
  }

  /** No further packet is ever sealed here. */
  get ended(): boolean {
    return this.reservation.ended || this.ivs.left === 0;
  }

  /** Why nothing leaves by the SA whatever it is; NONE = something may. */
  get withheld(): number {
    return this.role === 'passive' ? DropReason['outbound-passive'] : DropReason.NONE;
  }

  /** Other numbers are sampled from now on. */
  sample(sampling: Sampling): void {
    this.#mask = samplingMask(sampling);
    this.#residue = sampling.every === 0 ? -1 : sampling.residue;
    this.#sampling = sampling;
  }

  /** Whether the packet of this number is one that a passive SA verifies. */
  samples(low: number): boolean {
    // Without samples the mask is all bits, and no residue is below 0.
    return (low & this.#mask) >>> 0 === this.#residue;
  }

  /** The numbers are this node's from now on, behind those that were used. */
  reserveAnew(start: ReservationStart, now: Instant): void {
    this.reservation = new SequenceReservation(this.#esn, start, now);
  }

  /** Packets that might be accepted twice if this node took the SA over. */
  exposure(window: TakeOverWindow, now: Instant): number {
    return replayExposure(this.#sampling, this.rate.at(now), window);
  }

  /** Where the window of a successor begins that followed the SA up to `top`. */
  edgeLead(window: TakeOverWindow, now: Instant): number {
    return window === 'strict' ? strictLead(this.#sampling, this.rate.at(now)) : 0;
  }
}
