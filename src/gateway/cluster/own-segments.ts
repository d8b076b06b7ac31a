/**
 * The segments of this node, and what changed of them since the shared addresses were told.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { ReleaseReason } from '../../cluster/coordinator-action.ts';

export class OwnSegments {
  readonly #own = new Set<Segment>();
  /** Segments came or went since the last `changes`. */
  #isChanged = false;
  /** Of those that went: another node is about to have them. */
  #handedOver = new Set<Segment>();

  /** As it is now; it follows. */
  get all(): ReadonlySet<Segment> {
    return this.#own;
  }

  has(segment: Segment): boolean {
    return this.#own.has(segment);
  }

  take(segment: Segment): void {
    this.#own.add(segment);
    this.#isChanged = true;
  }

  release(segment: Segment, reason: ReleaseReason): void {
    this.#own.delete(segment);
    if (reason === 'handed-over') this.#handedOver.add(segment);
    this.#isChanged = true;
  }

  /** What was handed over since the last call; undefined where nothing changed at all. */
  changes(): ReadonlySet<Segment> | undefined {
    if (!this.#isChanged) return undefined;
    const handedOver = this.#handedOver;
    this.#isChanged = false;
    this.#handedOver = new Set();
    return handedOver;
  }
}
