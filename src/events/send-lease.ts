/**
 * Until when this node knows that it is the one to send for its part of a cluster: one word that the control
 * thread moves on and every packet loop looks at before each batch, by the same monotonic clock.
 *
 * A process that was stopped wakes up with packets and intentions of long ago; by then the word is in the past.
 */
import type { Instant } from '../wire/instant.ts';

export class SendLease {
  /** For the threads that look at it. */
  readonly memory: Float64Array;

  /** Without memory of another lease: one that is over until it is extended. */
  constructor(memory: Float64Array = new Float64Array(new SharedArrayBuffer(8))) {
    this.memory = memory;
  }

  get until(): number {
    return this.memory[0] ?? 0;
  }

  /** It holds until then, be that sooner or later than before. */
  extend(until: Instant): void {
    this.memory[0] = until;
  }

  /** Nothing is sent from now on. */
  end(): void {
    this.memory[0] = 0;
  }

  holds(now: Instant): boolean {
    return now < this.until;
  }
}
