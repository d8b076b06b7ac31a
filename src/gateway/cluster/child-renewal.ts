/**
 * Child SAs of this node that get new keys because it took them over without knowing all of them, or because
 * another node used them too: at a bounded rate, those first that may send nothing before.
 *
 * A Child SA is named by its inbound SPI.
 */
import { type RekeyReason, RekeySchedule } from '../../cluster/rekey-schedule.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import type { Action } from '../../ike/action.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { readU32 } from '../../wire/field.ts';
import type { Instant } from '../../wire/instant.ts';

export interface ChildRenewalParts {
  readonly random: RandomBytes;
  /** How many in a second at most. */
  readonly perSecond: number;
}

export class ChildRenewal {
  readonly #random: RandomBytes;
  readonly #schedule: RekeySchedule<Spi>;

  constructor({ random, perSecond }: ChildRenewalParts) {
    this.#random = random;
    this.#schedule = new RekeySchedule(perSecond);
  }

  /** Those that wait for their turn. */
  get size(): number {
    return this.#schedule.size;
  }

  nextDeadline(): Instant | undefined {
    return this.#schedule.nextDeadline;
  }

  /** What the engine wants done with Child SAs. */
  note(action: Action, now: Instant): void {
    switch (action.kind) {
      case 'activate-child-sa': {
        const { outbound, spiIn } = action.childSa;
        // Nobody vouches for its numbers: it sends nothing until it has new keys.
        if (outbound === 'never') this.#schedule.markFirst(spiIn, 'gap', now);
        break;
      }
      case 'deactivate-child-sa':
      case 'remove-child-sa':
        this.#schedule.forget(action.childSa.spiIn);
        break;
      default:
        break;
    }
  }

  /** In the background: neither we nor the peers shall meet them all at once. */
  mark(spisIn: Iterable<Spi>, reason: RekeyReason, now: Instant): void {
    for (const spiIn of spisIn) {
      const chance = readU32(this.#random(4), 0) / 2 ** 32;
      this.#schedule.mark(spiIn, reason, chance, now);
    }
  }

  /** As soon as the rate allows it. */
  markFirst(spisIn: Iterable<Spi>, reason: RekeyReason, now: Instant): void {
    for (const spiIn of spisIn) this.#schedule.markFirst(spiIn, reason, now);
  }

  /** Those whose turn it is. */
  take(now: Instant): readonly Spi[] {
    return this.#schedule.take(now);
  }
}
