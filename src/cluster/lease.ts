/**
 * How long this node may transmit: contact with a majority, each counted from when we asked.
 *
 * A voter that answers a heartbeat promises to accept no other owner until it has heard nothing of us for
 * the wait of a take-over. The answer counts from the moment the heartbeat left, on our clock, so that
 * the time it was under way, or we slept, is time of the lease that is gone.
 */
import type { Instant } from '../wire/instant.ts';
import type { NodeId } from './node-id.ts';

/** Heartbeats whose answers still count. */
const REMEMBERED = 256;

const NEVER = Number.NEGATIVE_INFINITY;

export class Lease {
  readonly #others: number;
  /** The last heartbeat that each voter answered. */
  readonly #answered = new Map<NodeId, number>();
  readonly #sentAt = new Float64Array(REMEMBERED).fill(NEVER);
  readonly #sorted: number[] = [];
  #counter = 0;
  #majority = 0;

  /** `majority` of the nodes, this one included. */
  constructor(majority: number) {
    this.#others = majority - 1;
  }

  /** The number of the last heartbeat that left. */
  get counter(): number {
    return this.#counter;
  }

  /** A heartbeat leaves; answers its number. */
  sent(now: Instant): number {
    this.#counter++;
    this.#sentAt[this.#counter % REMEMBERED] = now;
    return this.#counter;
  }

  /** A voter answered a heartbeat and refused nothing that we still claim. */
  answered(voter: NodeId, counter: number): void {
    if (counter > this.#counter || counter <= (this.#answered.get(voter) ?? 0)) return;
    this.#answered.set(voter, counter);
    this.#majority = this.#countMajority();
  }

  /** Whether a voter answered this heartbeat or a later one. */
  hasAnswered(voter: NodeId, counter: number): boolean {
    return (this.#answered.get(voter) ?? 0) >= counter;
  }

  /** The last heartbeat that a whole majority has answered, this node included; 0 when none. */
  majorityAnswered(): number {
    if (this.#others === 0) return this.#counter;
    return this.#majority;
  }

  /** When that heartbeat left; never, for one that is forgotten. */
  sentAt(counter: number): number {
    if (counter === 0 || counter <= this.#counter - REMEMBERED) return NEVER;
    return this.#sentAt[counter % REMEMBERED] ?? NEVER;
  }

  #countMajority(): number {
    const sorted = this.#sorted;
    sorted.length = 0;
    for (const counter of this.#answered.values()) sorted.push(counter);
    if (sorted.length < this.#others) return 0;
    sorted.sort((a, b) => b - a);
    return sorted[this.#others - 1] ?? 0;
  }
}
