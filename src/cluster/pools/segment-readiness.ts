/**
 * Whether a node knows all leases of a segment that it took: what a majority has is here, as every answer
 * waited for a majority.
 */
import { after, type Instant, instant } from '../../wire/instant.ts';
import type { Segment } from '../ballot.ts';
import type { NodeId } from '../node-id.ts';

interface Taken {
  readonly at: Instant;
  /** Nodes all of whose records are here, as they were after it was taken. */
  readonly heard: Set<NodeId>;
  isReady: boolean;
}

export class SegmentReadiness {
  now: Instant = instant(0);
  readonly #nodes: number;
  readonly #taken = new Map<Segment, Taken>();
  #isWaiting = false;

  /** How many are configured. */
  constructor(nodes: number) {
    this.#nodes = nodes;
  }

  get ready(): readonly Segment[] {
    return [...this.#taken].flatMap(([segment, { isReady }]) => (isReady ? [segment] : []));
  }

  /** Some are taken and not ready. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  isTaken(segment: Segment): boolean {
    return this.#taken.has(segment);
  }

  isReady(segment: Segment): boolean {
    return this.#taken.get(segment)?.isReady === true;
  }

  /** Its IKE SAs have had time to come. */
  isSettled(segment: Segment, now: Instant): boolean {
    const taken = this.#taken.get(segment);
    return taken?.isReady === true && now >= after(taken.at, SETTLED_MS);
  }

  /** Everybody is to be compared with from now on. */
  take(segments: Iterable<Segment>, now: Instant): void {
    for (const segment of segments) {
      this.#taken.set(segment, { at: now, heard: new Set(), isReady: false });
      this.#isWaiting = true;
    }
  }

  release(segment: Segment): void {
    this.#taken.delete(segment);
  }

  compared(by: NodeId): void {
    for (const { heard } of this.#taken.values()) heard.add(by);
  }

  /**
   * Those that have become ready. `knows`: this node has what was agreed upon in its former lives; `isLast`:
   * nobody else runs.
   */
  become(connected: number, knows: boolean, isLast: boolean): readonly Segment[] {
    if (!this.#isWaiting || !knows) return [];
    // With itself a majority; of two the other one, if it is there.
    const others = this.#nodes <= 2 ? connected : Math.floor(this.#nodes / 2);
    const needed = isLast ? 0 : others;
    const some: Segment[] = [];
    this.#isWaiting = false;
    for (const [segment, taken] of this.#taken) {
      if (taken.isReady) continue;
      taken.isReady = taken.heard.size >= needed;
      if (taken.isReady) some.push(segment);
      else this.#isWaiting = true;
    }
    return some;
  }
}

const SETTLED_MS = 500;
