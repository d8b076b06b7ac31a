/**
 * Outer path MTU of one SA (RFC 4301 §8.2, RFC 1191, RFC 8201): what is assumed, what was learned
 * and when that grows old.
 *
 * The arithmetic between outer and inner MTU stands in `ipsec/path-mtu.ts`. Holds no clock.
 */
import type { MeasuredMtu } from '../ipsec/path-mtu.ts';
import { after, type Instant } from '../wire/instant.ts';

/** RFC 1191 §6.3: a learned value is tried again after ten minutes. */
export const PATH_MTU_AGE = 600_000;

export class PathMtu {
  /** What our own links carry. */
  readonly #most: number;
  readonly #floor: number;
  /** What counts until something is learned, and again when that is old: all, or what was measured. */
  #assumed: number;
  #learned: number;
  #expires: Instant | undefined;
  /** The learned value is our guess after a refused send, not a router's word. */
  #guessed = false;

  constructor(assumed: number, family: 4 | 6) {
    this.#most = assumed;
    this.#assumed = assumed;
    this.#floor = Math.min(assumed, family === 4 ? FLOOR_4 : FLOOR_6);
    this.#learned = assumed;
  }

  /** Octets of the largest outer packet the path is believed to carry. */
  get octets(): number {
    return this.#learned;
  }

  /** A router's word; 0 from one that knows no RFC 1191. Answers whether `octets` changed. */
  learn(mtu: number, now: Instant): boolean {
    if (mtu <= 0) return this.guess(this.#learned, now);
    const heard = Math.max(this.#floor, Math.min(this.#assumed, mtu));
    // A router's word replaces a guess also upwards; otherwise only time raises the value.
    const value = this.#guessed ? heard : Math.min(this.#learned, heard);
    this.#guessed = false;
    return this.#set(value, now);
  }

  /**
   * It does not grow old: a path that loses large packets without a word would lose them again. Between
   * the sizes that were tried, a router's word is closer. Answers whether `octets` changed.
   */
  measure({ octets, lost = this.#most + 1 }: MeasuredMtu): boolean {
    const before = this.#learned;
    const told = this.#expires !== undefined && !this.#guessed && before > octets && before < lost;
    this.#assumed = told ? before : Math.max(this.#floor, Math.min(this.#most, octets));
    this.#learned = this.#assumed;
    this.#expires = undefined;
    this.#guessed = false;
    return this.#learned !== before;
  }

  /** A packet of `octets` did not fit and nobody said what would: the next plateau below it. */
  guess(octets: number, now: Instant): boolean {
    const below = PLATEAUS.find((plateau) => plateau < octets) ?? this.#floor;
    const value = Math.max(this.#floor, below);
    if (value >= this.#learned) return false;
    this.#guessed = true;
    return this.#set(value, now);
  }

  /** Forgets what is too old. Answers whether `octets` changed. */
  age(now: Instant): boolean {
    if (this.#expires === undefined || now < this.#expires) return false;
    this.#expires = undefined;
    this.#guessed = false;
    const changed = this.#learned !== this.#assumed;
    this.#learned = this.#assumed;
    return changed;
  }

  #set(value: number, now: Instant): boolean {
    const changed = value !== this.#learned;
    this.#learned = value;
    this.#expires = after(now, PATH_MTU_AGE);
    return changed;
  }
}

/** Below this an ICMP error is more likely forged than true; Linux has the same bound. */
const FLOOR_4 = 552;
// RFC 8200 §5: every IPv6 link carries 1280 octets.
const FLOOR_6 = 1280;

/** RFC 1191 §7.1, the steps that occur between a jumbo frame and the floor. */
const PLATEAUS = [8166, 4352, 2002, 1492, 1280, 1006, FLOOR_4] as const;
