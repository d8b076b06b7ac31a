/**
 * How far the outbound numbers of Child SAs may have gone, as every node knows it: whoever takes one over
 * begins behind that (RFC 4303 §3.3.3: never repeat a number).
 *
 * A Child SA is named by its inbound SPI.
 */
import type { ChildSequences } from '../../ike/snapshot.ts';
import { laterNumber, numbersBetween, type SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { Reservation } from './state-message.ts';

export class ReservedNumbers {
  readonly #known = new Map<Spi, Reservation>();
  /** Of ours, what is asked for and neither granted nor taken without. */
  readonly #awaited = new Map<Spi, SequenceHalves>();

  /** Of ours, where this node began to use them. */
  readonly #begun = new Map<Spi, SequenceHalves>();

  /** All that is known, of this node's SAs and of others'. */
  get all(): readonly Reservation[] {
    return [...this.#known.values()];
  }

  note(reservation: Reservation): void {
    const { spiIn, upTo } = reservation;
    const known = this.#known.get(spiIn);
    this.#known.set(spiIn, { ...reservation, upTo: known ? laterNumber(known.upTo, upTo) : upTo });
  }

  ask(reservation: Reservation): void {
    this.note(reservation);
    this.#awaited.set(reservation.spiIn, reservation.upTo);
  }

  /** Enough others know of it. */
  granted({ spiIn, upTo }: Reservation): void {
    if (this.#awaited.get(spiIn) === upTo) this.#awaited.delete(spiIn);
  }

  /** What no answer has come to. */
  get awaited(): Iterable<readonly [Spi, SequenceHalves]> {
    return [...this.#awaited];
  }

  /** SAs that wait for an answer, which nobody is there to give. */
  takeAwaited(): readonly Spi[] {
    const spis = [...this.#awaited.keys()];
    this.#awaited.clear();
    return spis;
  }

  /** What a snapshot said of a Child SA, and what was heard since. */
  since(spiIn: Spi, then: ChildSequences): ChildSequences {
    const known = this.#known.get(spiIn);
    if (!known) return then;
    return { ...then, outboundReserved: laterNumber(then.outboundReserved, known.upTo) };
  }

  /** This node sends numbers behind these from now on. */
  begin(spiIn: Spi, behind: SequenceHalves): void {
    this.#begun.set(spiIn, behind);
  }

  /** Another node does. */
  end(spiIn: Spi): void {
    this.#begun.delete(spiIn);
    this.#awaited.delete(spiIn);
  }

  /** Somebody else may have used numbers that this node uses. */
  isShared({ spiIn, upTo }: Reservation): boolean {
    const begun = this.#begun.get(spiIn);
    return begun !== undefined && numbersBetween(begun, upTo) > 0;
  }

  forget(spiIn: Spi): void {
    this.#begun.delete(spiIn);
    this.#known.delete(spiIn);
    this.#awaited.delete(spiIn);
  }
}
