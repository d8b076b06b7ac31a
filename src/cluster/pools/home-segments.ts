/**
 * The segment that each address of a pool is at home in: the range is cut into as many pieces as there are
 * segments, equal to one address, and a permutation that all nodes compute alike says whose each is.
 *
 * Pieces and not single addresses are dealt out, so that a packet filter needs one interval for a segment
 * and pool (`PinnedRange`), however large the pool. In a pool with fewer addresses than segments some
 * segments have none; the permutation sees to it that they are others in other pools. Addresses go by their
 * place in the range, from 0.
 */
import {
  type AddressRange,
  addressAfter,
  addressDistance,
  type IpAddress,
  rangeContains,
} from '../../wire/address.ts';
import { OctetWriter, octetsOfLatin1 } from '../../wire/octets.ts';
import type { Segment } from '../ballot.ts';
import { jhash, type SegmentHash } from '../segment-hash.ts';

/** Places in a range: from `first`, `size` of them. */
export interface Piece {
  readonly first: number;
  readonly size: number;
}

export class HomeSegments {
  readonly size: number;
  readonly #range: AddressRange;
  /** By piece, whose it is; and the other way. */
  readonly #segmentOf: readonly Segment[];
  readonly #pieceOf: readonly number[];

  /** Throws `RangeError` for more addresses than a pool may have. */
  constructor(name: string, range: AddressRange, hash: SegmentHash) {
    const size = addressDistance(range.first, range.last) + 1n;
    if (size < 1n || size > MOST_ADDRESSES) {
      throw new RangeError(`pool ${name}: ${size} addresses, not 1 to ${MOST_ADDRESSES}`);
    }
    this.size = Number(size);
    this.#range = range;
    this.#segmentOf = permutation(name, hash);
    const pieces: number[] = [];
    this.#segmentOf.forEach((segment, piece) => {
      pieces[segment] = piece;
    });
    this.#pieceOf = pieces;
  }

  get segments(): number {
    return this.#segmentOf.length;
  }

  home(place: number): Segment {
    const { least, larger } = this.#pieces;
    const inLarger = larger * (least + 1);
    const piece =
      place < inLarger
        ? Math.floor(place / (least + 1))
        : larger + Math.floor((place - inLarger) / least);
    return this.#segmentOf[piece] ?? 0;
  }

  /** The places at home in a segment; none, where there are fewer places than segments. */
  piece(segment: Segment): Piece {
    const piece = this.#pieceOf[segment];
    if (piece === undefined) throw new RangeError(`segment ${segment} of ${this.segments}`);
    const { least, larger } = this.#pieces;
    const first = piece * least + Math.min(piece, larger);
    return { first, size: least + (piece < larger ? 1 : 0) };
  }

  address(place: number): IpAddress {
    return addressAfter(this.#range.first, place);
  }

  /** Undefined for an address that is none of the pool. */
  place(address: IpAddress): number | undefined {
    if (!rangeContains(this.#range, address)) return undefined;
    return Number(addressDistance(this.#range.first, address));
  }

  /** The first `larger` pieces have one address more than the `least` of the others. */
  get #pieces(): { readonly least: number; readonly larger: number } {
    const count = this.segments;
    return { least: Math.floor(this.size / count), larger: this.size % count };
  }
}

function permutation(name: string, { count, seed }: SegmentHash): readonly Segment[] {
  const label = octetsOfLatin1(encodeURIComponent(name));
  const ranked = Array.from({ length: count }, (_, segment) => {
    const key = new OctetWriter().u32(segment).octets(label).finish();
    return { segment, rank: jhash(key, seed) };
  });
  ranked.sort((one, other) => one.rank - other.rank || one.segment - other.segment);
  return ranked.map(({ segment }) => segment);
}

/** Places are numbers of 32 bits on the wire; `ipsec/address-pool.ts` leases fewer. */
const MOST_ADDRESSES = 2n ** 32n;
