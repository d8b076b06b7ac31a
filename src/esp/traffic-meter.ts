/**
 * Octets and packets of one direction of an SA against its limits (RFC 4301 §4.4.2.1).
 *
 * Exact: the packet that reaches a limit still passes, the next one does not. Allocates nothing
 * after its constructor.
 */
import type { TrafficLimits } from '../ipsec/child-sa.ts';

/** Answers of `count`. */
export const Limit = { NONE: 0, SOFT: 1, HARD: 2 } as const;

export class TrafficMeter {
  readonly #hardPackets: number;
  readonly #hardOctets: number;
  /** Where something happens next: at the soft limits, once told at the hard ones. */
  #nextPackets: number;
  #nextOctets: number;
  #packets = 0;
  #octets = 0;
  #ended = false;

  /** Where there is no limit there is nothing to count: all such directions have one meter. */
  static of(limits: TrafficLimits): TrafficMeter {
    const { softOctets, hardOctets, softPackets, hardPackets } = limits;
    const unlimited = softOctets + hardOctets + softPackets + hardPackets === 0;
    return unlimited ? UNLIMITED : new TrafficMeter(limits);
  }

  constructor({ softOctets, hardOctets, softPackets, hardPackets }: TrafficLimits) {
    this.#hardPackets = orNever(hardPackets);
    this.#hardOctets = orNever(hardOctets);
    this.#nextPackets = Math.min(orNever(softPackets), this.#hardPackets);
    this.#nextOctets = Math.min(orNever(softOctets), this.#hardOctets);
  }

  /** A hard limit was reached: no further packet. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Continues after what another keeper counted; a limit that was reached is told again. */
  resume(packets: number, octets: number): void {
    this.#packets = packets;
    this.#octets = octets;
  }

  /** Counts a packet; answers the limit it reached, SOFT and HARD once each. */
  count(octets: number): number {
    this.#packets++;
    this.#octets += octets;
    if (this.#packets < this.#nextPackets && this.#octets < this.#nextOctets) return Limit.NONE;
    this.#nextPackets = this.#hardPackets;
    this.#nextOctets = this.#hardOctets;
    if (this.#packets < this.#hardPackets && this.#octets < this.#hardOctets) return Limit.SOFT;
    this.#ended = true;
    return Limit.HARD;
  }
}

function orNever(limit: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

const UNLIMITED = new TrafficMeter({
  ...{ softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
});
