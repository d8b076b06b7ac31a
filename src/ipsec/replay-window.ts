/**
 * Anti-replay window of one inbound SA (RFC 4303 §3.4.3, Appendix A; bitmap of RFC 6479).
 *
 * `check` before the ICV is verified, `update` after; never the other way round. `update` judges
 * again, because packets of one batch are checked before any of them is verified.
 * Sequence numbers are two 32-bit halves. Holds no clock and allocates only in its constructor.
 */
import { smallWords } from '../wire/small-words.ts';
import { NEARLY_USED } from './sequence-number.ts';

export const ReplayVerdict = { FRESH: 0, REPLAYED: 1, LEFT_OF_WINDOW: 2 } as const;

/** Packets of the largest window. */
export const MAX_REPLAY_WINDOW = 65_536;

/** Where ESN's high half is inferred although nothing is checked. */
const INFERENCE_WINDOW = 65_536;

const HALF = 0x1_0000_0000;
const BLOCKS_PER_HALF = HALF / 32;

export class ReplayWindow {
  readonly #size: number;
  readonly #esn: boolean;
  /** One bit for each number; a power of two of blocks, at least one more than the window needs. */
  readonly #blocks: Uint32Array;
  readonly #mask: number;
  #topHigh = 0;
  #topLow = 0;
  #high = 0;
  #advanced = false;

  /** `size` in packets, 0 = accept everything. */
  constructor(size: number, esn: boolean) {
    if (!Number.isInteger(size) || size < 0 || size > MAX_REPLAY_WINDOW) {
      throw new RangeError(`a replay window of ${size} packets`);
    }
    this.#size = size;
    this.#esn = esn;
    let blocks = 2;
    while (blocks < Math.ceil(size / 32) + 1) blocks *= 2;
    this.#blocks = smallWords(blocks);
    this.#mask = blocks - 1;
  }

  /** High half of the highest number accepted. */
  get topHigh(): number {
    return this.#topHigh;
  }

  /** Low half of the highest number accepted; 0 and 0 before the first packet. */
  get topLow(): number {
    return this.#topLow;
  }

  /** High half that the last `check` inferred; 0 without ESN. It enters the ICV. */
  get high(): number {
    return this.#high;
  }

  /** Whether the last `update` took in a number above all before it. */
  get advanced(): boolean {
    return this.#advanced;
  }

  /** Whether the peer has a sixteenth of its numbers left, or less. */
  get nearlyUsed(): boolean {
    return (this.#esn ? this.#topHigh : this.#topLow) >= NEARLY_USED;
  }

  /** Judges the 32 bits of a packet and infers `high`. Changes nothing else. */
  check(low: number): number {
    this.#high = this.#esn ? this.#inferHigh(low) : 0;
    return this.#judge(this.#high, low);
  }

  /** Judges again and, when fresh, takes the number in. Only for packets whose ICV is verified. */
  update(high: number, low: number): number {
    if (high === this.#topHigh && low === this.#topLow + 1) return this.#next(low);
    const verdict = this.#judge(high, low);
    this.#advanced = false;
    if (verdict !== ReplayVerdict.FRESH) return verdict;
    this.#advanced = high > this.#topHigh || (high === this.#topHigh && low > this.#topLow);
    if (this.#advanced) this.#advance(high, low);
    const block = (low >>> 5) & this.#mask;
    this.#blocks[block] = this.#blocks[block]! | (1 << (low & 31));
    return ReplayVerdict.FRESH;
  }

  /**
   * Continues after a number that another keeper of this SA accepted: which of those before it
   * arrived is not known, so that none of them is accepted.
   */
  resumeAfter(high: number, low: number): void {
    this.#topHigh = high;
    this.#topLow = low;
    this.#blocks.fill(0xffff_ffff);
    // Those above the top within its block are still to come.
    const block = (low >>> 5) & this.#mask;
    this.#blocks[block] = 0xffff_ffff >>> (31 - (low & 31));
  }

  /** The usual packet: the one after the last. */
  #next(low: number): number {
    const block = (low >>> 5) & this.#mask;
    const bit = 1 << (low & 31);
    this.#blocks[block] = bit === 1 ? bit : this.#blocks[block]! | bit;
    this.#topLow = low;
    this.#advanced = true;
    return ReplayVerdict.FRESH;
  }

  /** RFC 4303 Appendix A2.2: the high half that puts the number nearest to the window. */
  #inferHigh(low: number): number {
    const size = this.#size === 0 ? INFERENCE_WINDOW : this.#size;
    const bottom = this.#topLow - size + 1;
    if (bottom >= 0) return low >= bottom ? this.#topHigh : this.#topHigh + 1;
    return low >= bottom + HALF ? this.#topHigh - 1 : this.#topHigh;
  }

  #judge(high: number, low: number): number {
    // Beyond either end of the sequence space, and zero, which no sender uses (RFC 4303 §3.3.3).
    if (high < 0 || high >= HALF || (high === 0 && low === 0)) return ReplayVerdict.LEFT_OF_WINDOW;
    if (this.#size === 0) return ReplayVerdict.FRESH;
    const behind = (this.#topHigh - high) * HALF + (this.#topLow - low);
    if (behind < 0) return ReplayVerdict.FRESH;
    if (behind >= this.#size) return ReplayVerdict.LEFT_OF_WINDOW;
    const bits = this.#blocks[(low >>> 5) & this.#mask]!;
    return (bits & (1 << (low & 31))) === 0 ? ReplayVerdict.FRESH : ReplayVerdict.REPLAYED;
  }

  /** Moves the top and clears the blocks it moves into (RFC 6479 §2). */
  #advance(high: number, low: number): void {
    const from = this.#topLow >>> 5;
    const moved = (high - this.#topHigh) * BLOCKS_PER_HALF + ((low >>> 5) - from);
    const cleared = Math.min(moved, this.#blocks.length);
    for (let step = 1; step <= cleared; step++) this.#blocks[(from + step) & this.#mask] = 0;
    this.#topHigh = high;
    this.#topLow = low;
  }
}
