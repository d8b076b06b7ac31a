/**
 * SAs that are replaced in the background after a take-over, at a bounded rate.
 *
 * What was carried on without certainty (`gap`), beyond what others knew (`solo`) or with an answer that
 * nobody else had (`unsynced`) serves on and gets new keys, spread at random over half a minute, so that
 * neither the node nor its peers meet all at once. What may not send before it has them comes first. A clean
 * return of a node marks nothing.
 */
import { after, type Instant, instant } from '../wire/instant.ts';

export type RekeyReason = 'solo' | 'unsynced' | 'gap' | 'order';

/** In milliseconds. */
const SPREAD = 30_000;
/** A call that comes late makes good for so much. */
const CATCH_UP = 50;

interface Due<Sa> {
  readonly sa: Sa;
  readonly reason: RekeyReason;
  /** Their order. */
  readonly at: Instant;
  /** No turn was missed before. */
  readonly ready: Instant;
}

export class RekeySchedule<Sa> {
  readonly #perSecond: number;
  readonly #marked = new Map<Sa, Due<Sa>>();
  /** The earliest last, once sorted; those that were forgotten stay until their turn. */
  #due: Due<Sa>[] = [];
  #isSorted = true;
  #nextAt = instant(Number.NEGATIVE_INFINITY);

  constructor(perSecond = 200) {
    this.#perSecond = perSecond;
  }

  get size(): number {
    return this.#marked.size;
  }

  get nextDeadline(): Instant | undefined {
    const first = this.#first();
    return first && instant(Math.max(first.at, this.#nextAt));
  }

  reason(sa: Sa): RekeyReason | undefined {
    return this.#marked.get(sa)?.reason;
  }

  /** `chance` is 0 to 1 and random. What is marked already keeps its turn. */
  mark(sa: Sa, reason: RekeyReason, chance: number, now: Instant): void {
    const at = after(now, chance * SPREAD);
    if (!this.#marked.has(sa)) this.#add({ sa, reason, at, ready: at });
  }

  /** Service depends on it: before all that is marked by chance. */
  markFirst(sa: Sa, reason: RekeyReason, now: Instant): void {
    const at = after(now, -SPREAD);
    const marked = this.#marked.get(sa);
    if (!marked || marked.at > now) this.#add({ sa, reason, at, ready: now });
  }

  /** It was replaced or is gone, for whatever reason. */
  forget(sa: Sa): void {
    this.#marked.delete(sa);
  }

  /** Those whose turn it is; called again at `nextDeadline`. */
  take(now: Instant): readonly Sa[] {
    const taken: Sa[] = [];
    while (this.#nextAt <= now) {
      const first = this.#first();
      if (!first || first.at > now) break;
      this.#due.pop();
      this.#marked.delete(first.sa);
      taken.push(first.sa);
      const from = instant(Math.max(this.#nextAt, first.ready, now - CATCH_UP));
      this.#nextAt = after(from, 1000 / this.#perSecond);
    }
    return taken;
  }

  #add(due: Due<Sa>): void {
    this.#marked.set(due.sa, due);
    this.#due.push(due);
    this.#isSorted = false;
  }

  #first(): Due<Sa> | undefined {
    if (!this.#isSorted) this.#due.sort((a, b) => b.at - a.at);
    this.#isSorted = true;
    for (let last = this.#due.at(-1); last; last = this.#due.at(-1)) {
      if (this.#marked.get(last.sa) === last) return last;
      this.#due.pop();
    }
    return undefined;
  }
}
