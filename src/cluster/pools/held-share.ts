/**
 * A share whose holder this node is: which of its addresses are its own to lease, with no word to anybody.
 *
 * They are all that are at home in the segment, but for those listed in the register or about to be. `listed`
 * grows before a change is proposed and shrinks when it is certain that it does not count.
 */
import type { Piece } from './home-segments.ts';
import type { LeaseTable } from './lease-table.ts';

export class HeldShare {
  /** Of the revision that made this node the holder: the epoch of what it leases. */
  readonly epoch: number;
  readonly listed: Set<number>;
  readonly #piece: Piece;
  readonly #isStatic: (place: number) => boolean;
  /** Below it every place was leased once, or is listed. */
  #unused: number;

  constructor(
    epoch: number,
    listed: Iterable<number>,
    piece: Piece,
    isStatic: (place: number) => boolean,
  ) {
    this.epoch = epoch;
    this.listed = new Set(listed);
    this.#piece = piece;
    this.#isStatic = isStatic;
    this.#unused = piece.first;
  }

  isPrivate(place: number): boolean {
    const { first, size } = this.#piece;
    const isHome = place >= first && place < first + size;
    return isHome && !this.listed.has(place) && !this.#isStatic(place);
  }

  /** A private place that nobody ever had. */
  unused(leases: LeaseTable): number | undefined {
    const end = this.#piece.first + this.#piece.size;
    for (; this.#unused < end; this.#unused++) {
      if (this.isFresh(this.#unused, leases)) return this.#unused;
    }
    return undefined;
  }

  /** Up to so many of them. */
  someUnused(most: number, leases: LeaseTable): readonly number[] {
    const found: number[] = [];
    const first = this.unused(leases);
    const end = this.#piece.first + this.#piece.size;
    for (let place = first ?? end; place < end && found.length < most; place++) {
      if (this.isFresh(place, leases)) found.push(place);
    }
    return found;
  }

  isFresh(place: number, leases: LeaseTable): boolean {
    return this.isPrivate(place) && leases.get(place) === undefined;
  }

  /** A place may be private again. */
  unlist(place: number): void {
    this.listed.delete(place);
    this.#unused = Math.min(this.#unused, place);
  }
}
