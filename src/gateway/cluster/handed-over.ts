/**
 * Segments that were handed over a moment ago: until the successor has them, its packet filter drops their packets,
 * so they still come in here and are handed on.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';

/** Looked at so often; the successor's filter is there by the time it is seen to be the owner. */
export const LOOK_MILLISECONDS = 5;
/** A successor that nobody hears of in this time is gone. */
export const LINGER_MILLISECONDS = 100;

export class HandedOver {
  readonly #until = new Map<Segment, Instant>();
  readonly #ownerOf: (segment: Segment) => NodeId | undefined;
  #lookAt: Instant | undefined;

  /** `ownerOf` a segment that nobody has is undefined. */
  constructor(ownerOf: (segment: Segment) => NodeId | undefined) {
    this.#ownerOf = ownerOf;
  }

  get segments(): ReadonlySet<Segment> {
    return new Set(this.#until.keys());
  }

  nextDeadline(): Instant | undefined {
    return this.#lookAt;
  }

  add(segments: Iterable<Segment>, now: Instant): void {
    for (const segment of segments) this.#until.set(segment, after(now, LINGER_MILLISECONDS));
    this.#lookAgain(now);
  }

  /** It is ours again. */
  remove(segments: Iterable<Segment>): void {
    for (const segment of segments) this.#until.delete(segment);
    if (this.#until.size === 0) this.#lookAt = undefined;
  }

  /** Forgets those that have an owner, or nobody wants; answers whether there were any. */
  look(now: Instant): boolean {
    if (this.#lookAt === undefined || now < this.#lookAt) return false;
    const before = this.#until.size;
    for (const [segment, until] of this.#until) {
      if (now >= until || this.#ownerOf(segment) !== undefined) this.#until.delete(segment);
    }
    this.#lookAgain(now);
    return this.#until.size < before;
  }

  #lookAgain(now: Instant): void {
    const next = earliest(...this.#until.values());
    this.#lookAt = next && earliest(next, after(now, LOOK_MILLISECONDS));
  }
}
