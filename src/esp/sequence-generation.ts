/**
 * Sequence number generation (RFC 4303 §3.3.3): the number of each packet that leaves, counted against
 * the lifetime of its SA (RFC 4301 §4.4.2.1).
 *
 * In a cluster a number is used only once another node acknowledged it; there may be none for a while.
 * Nothing here allocates per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { SaCounter, type SharedCounters } from '../events/shared-counters.ts';
import { type Instant, instant } from '../wire/instant.ts';
import type { ClusterShare } from './cluster-share.ts';
import type { EspSa } from './esp-sa.ts';
import { renewShare, type ShareKeepers } from './sa-ownership.ts';
import type { SaWatch } from './sa-watch.ts';
import { Limit } from './traffic-meter.ts';

export class SequenceGeneration {
  readonly #counters: SharedCounters;
  readonly #watch: SaWatch;
  readonly #keepers: ShareKeepers;
  /** Of the packets that are being numbered. */
  #now: Instant = instant(0);

  constructor(keepers: ShareKeepers, watch: SaWatch) {
    this.#counters = keepers.counters;
    this.#watch = watch;
    this.#keepers = keepers;
  }

  /** Packets of this time follow. */
  begin(now: Instant): void {
    this.#now = now;
  }

  /** Moves the SA to its next number, for a packet of so many octets; answers why there is none. */
  advance(sa: EspSa, octets: number): number {
    const exhausted = this.#use(sa, octets);
    if (exhausted !== DropReason.NONE) return exhausted;
    this.#counters.sas[sa.countersOut + SaCounter.SEQUENCE] =
      sa.sequence.high * 0x1_0000_0000 + sa.sequence.low;
    return DropReason.NONE;
  }

  #use(sa: EspSa, octets: number): number {
    // RFC 4301 §4.4.2.1: an SA at its hard limit carries nothing more.
    if (sa.meterOut.ended) return DropReason['outbound-hard-limit'];
    // RFC 4303 §3.3.3: a sequence number is never used twice; the last one ends the SA.
    if (!sa.sequence.advance()) {
      const { share } = sa;
      if (share === undefined || !this.#renew(sa, share)) return this.#numberless(sa);
    }
    if (sa.sequence.nearlyUsed) this.#watch.limited(sa, Limit.SOFT);
    const limit = sa.meterOut.count(octets);
    if (limit !== Limit.NONE) this.#watch.limited(sa, limit);
    return DropReason.NONE;
  }

  /** In a cluster: goes on with numbers that others acknowledged meanwhile. */
  #renew(sa: EspSa, share: ClusterShare): boolean {
    const renewed = renewShare(sa, share, this.#keepers, this.#now);
    if (share.reservation.nearlyUsed(sa.sequence)) this.#watch.limited(sa, Limit.SOFT);
    return renewed && sa.sequence.advance();
  }

  /** Why there is no sequence number for a packet. */
  #numberless(sa: EspSa): number {
    if (sa.share?.ended === false) return DropReason['sequence-unreserved'];
    this.#watch.limited(sa, Limit.HARD);
    return DropReason['sequence-exhausted'];
  }
}
