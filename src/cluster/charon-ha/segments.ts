/**
 * Which segments this node of a strongSwan HA cluster serves, and who is right when both nodes think so
 * or neither does. Segments count from 1.
 */

/** What the rule says of a segment that both nodes serve, or neither. */
export interface HaVerdict {
  readonly segment: number;
  readonly take: boolean;
}

export const MOST_HA_SEGMENTS = 16;

export class HaSegments {
  readonly count: number;
  readonly #active = new Set<number>();
  /** 1 or 0: whose address is the greater text. */
  readonly #node: number;

  /** Addresses as both configurations write them: charon compares the texts. */
  constructor(count: number, local: string, remote: string) {
    this.count = count;
    this.#node = local > remote ? 1 : 0;
  }

  get active(): readonly number[] {
    return [...this.#active].sort((one, other) => one - other);
  }

  isActive(segment: number): boolean {
    return this.#active.has(segment);
  }

  has(segment: number): boolean {
    return segment >= 1 && segment <= this.count;
  }

  get all(): readonly number[] {
    return Array.from({ length: this.count }, (_, index) => index + 1);
  }

  take(segment: number): void {
    this.#active.add(segment);
  }

  drop(segment: number): void {
    this.#active.delete(segment);
  }

  /** What to do about a heartbeat that names these segments as the other's. */
  verdicts(theirs: readonly number[]): readonly HaVerdict[] {
    return this.all
      .filter((segment) => this.isActive(segment) === theirs.includes(segment))
      .map((segment) => ({ segment, take: segment % 2 === this.#node }));
  }

  /** The segment to claim while this node serves less than its half, one each time. */
  toBalance(): number | undefined {
    if (this.#active.size >= Math.floor(this.count / 2)) return undefined;
    return this.all.find((segment) => !this.isActive(segment));
  }
}
