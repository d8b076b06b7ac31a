/**
 * What must be known elsewhere before something leaves: records in order, and who has them.
 *
 * Every node writes one log; the others acknowledge positions in it, each without a gap. A position counts
 * when as many others as needed have it: one of two nodes, a majority of more. A node that knows of a later
 * owner of the segment reads the record and refuses the acknowledgement. What waits too long leaves
 * flagged, unless it is told to wait for ever.
 */
import type { Instant } from '../wire/instant.ts';
import type { Sid } from './ballot.ts';
import type { NodeId } from './node-id.ts';

/** Another node's answer: everything up to `position`, but for what it refused. */
export interface Acknowledgement {
  readonly node: NodeId;
  /** The process that answers. */
  readonly by: Sid;
  readonly position: number;
  readonly refused: readonly number[];
}

/** Something that waits for its record. */
export interface Waiting<Thing> {
  readonly thing: Thing;
  readonly position: number;
  /** When it leaves without; never, when undefined. */
  readonly until: Instant | undefined;
}

/** What may leave now. `isSynced`: others have its record. */
export interface Released<Thing> {
  readonly thing: Thing;
  readonly isSynced: boolean;
}

export class WriteAhead<Thing> {
  readonly #needed: number;
  readonly #processes = new Map<NodeId, Sid>();
  readonly #positions = new Map<NodeId, number>();
  readonly #refused = new Map<NodeId, Set<number>>();
  #waiting: Waiting<Thing>[] = [];
  #written = 0;

  /** `needed` others must have a record. */
  constructor(needed: number) {
    this.#needed = needed;
  }

  /** The position of the last record. */
  get written(): number {
    return this.#written;
  }

  /** Records that some of the others have not acknowledged: for the metric. */
  get unacknowledged(): number {
    let least = this.#written;
    for (const position of this.#positions.values()) least = Math.min(least, position);
    return this.#written - least;
  }

  get nextDeadline(): Instant | undefined {
    let first: Instant | undefined;
    for (const { until } of this.#waiting) {
      if (until !== undefined && (first === undefined || until < first)) first = until;
    }
    return first;
  }

  /** A record is written; answers its position. */
  write(): number {
    this.#written++;
    return this.#written;
  }

  /** Another process of a node: it has acknowledged nothing. */
  peerStarted(node: NodeId, sid: Sid): void {
    this.#processes.set(node, sid);
    this.#positions.set(node, 0);
    this.#refused.delete(node);
  }

  /** A node is gone: nobody waits for it. */
  peerGone(node: NodeId): void {
    this.#processes.delete(node);
    this.#positions.delete(node);
    this.#refused.delete(node);
  }

  /** The first record that a node has not acknowledged. */
  nextFor(node: NodeId): number {
    return (this.#positions.get(node) ?? 0) + 1;
  }

  acknowledged({ node, by, position, refused }: Acknowledgement): void {
    if (this.#processes.get(node) !== by || position > this.#written) return;
    this.#positions.set(node, Math.max(this.#positions.get(node) ?? 0, position));
    if (refused.length === 0) return;
    const known = this.#refused.get(node) ?? new Set();
    for (const one of refused) known.add(one);
    this.#refused.set(node, known);
  }

  /** Whether enough others have this record. */
  isKnown(position: number): boolean {
    let having = 0;
    for (const [node, at] of this.#positions) {
      if (at >= position && !this.#refused.get(node)?.has(position)) having++;
    }
    return having >= this.#needed;
  }

  wait(waiting: Waiting<Thing>): void {
    this.#waiting.push(waiting);
  }

  /** What need not wait any more, in the order in which it came. */
  release(now: Instant): readonly Released<Thing>[] {
    const released: Released<Thing>[] = [];
    const waiting: Waiting<Thing>[] = [];
    for (const one of this.#waiting) {
      const isSynced = this.isKnown(one.position);
      if (isSynced || (one.until !== undefined && now >= one.until)) {
        released.push({ thing: one.thing, isSynced });
      } else {
        waiting.push(one);
      }
    }
    this.#waiting = waiting;
    return released;
  }
}
