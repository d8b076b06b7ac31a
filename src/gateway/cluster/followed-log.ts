/**
 * How much of another process's log is here without a gap: what may be acknowledged.
 *
 * Records come in order as long as a session lasts. What was written before the first of them, or between
 * two sessions, comes with a whole snapshot.
 */
import type { Sid } from '../../cluster/ballot.ts';

export class FollowedLog {
  readonly sid: Sid;
  #applied: number | undefined;
  /** Records that came in a row, while something before them is missing. */
  #run: { readonly first: number; last: number } | undefined;

  constructor(sid: Sid) {
    this.sid = sid;
  }

  /** Everything up to here; undefined while something is missing. */
  get applied(): number | undefined {
    return this.#applied;
  }

  /** A record is here. Answers whether something before it is missing. */
  record(position: number): boolean {
    if (this.#applied !== undefined) {
      if (position <= this.#applied) return false;
      if (position === this.#applied + 1) {
        this.#applied = position;
        return false;
      }
      this.#applied = undefined;
    }
    if (this.#run && position === this.#run.last + 1) this.#run.last = position;
    else if (!this.#run || position > this.#run.last)
      this.#run = { first: position, last: position };
    return !this.#join(0);
  }

  /** Everything up to here was in a whole snapshot. Answers whether something is still missing. */
  snapshot(position: number): boolean {
    return !this.#join(Math.max(position, this.#applied ?? 0));
  }

  /** Something went past us. */
  forget(): void {
    this.#applied = undefined;
    this.#run = undefined;
  }

  #join(position: number): boolean {
    if (this.#run && this.#run.first > position + 1) return false;
    this.#applied = Math.max(position, this.#run?.last ?? 0);
    this.#run = undefined;
    return true;
  }
}
