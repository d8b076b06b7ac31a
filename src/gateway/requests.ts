/**
 * Operators' requests under way: a number goes into the engine, its outcome settles a promise.
 */
import type { Outcome } from '../ike/action.ts';

export class Requests {
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #last = 0;

  /** `start` gets the number to pass on; the promise settles when it completes. */
  open(start: (request: number) => void): Promise<Outcome> {
    const request = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      start(request);
    });
  }

  complete(request: number, outcome: Outcome): void {
    this.#waiting.get(request)?.(outcome);
    this.#waiting.delete(request);
  }
}
