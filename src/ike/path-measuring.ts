/**
 * One measurement of a path, from the operator's request to its outcome: what `exchange/path-probe.ts`
 * and the window of the IKE SA know of it.
 */
import type { Instant } from '../wire/instant.ts';
import type { Outcome } from './action.ts';
import type { Path } from './path.ts';
import { PathSearch } from './path-search.ts';
import type { Turn } from './turn.ts';

export class PathMeasuring {
  readonly request: number;
  readonly search: PathSearch;
  readonly path: Path;
  readonly since: Instant;
  /** Milliseconds that an answer took at most; undefined before there was one. */
  #roundTrip: number | undefined;
  #octets = 0;
  #sentAt: Instant;
  #lost = false;
  #over = false;

  constructor(request: number, search: PathSearch, path: Path, now: Instant) {
    this.request = request;
    this.search = search;
    this.path = path;
    this.since = now;
    this.#sentAt = now;
  }

  get over(): boolean {
    return this.#over;
  }

  /** How long each of the two packets with DF is waited for, in milliseconds. */
  get waits(): readonly number[] {
    const wait = this.#roundTrip === undefined ? LONGEST_WAIT : 2 * this.#roundTrip + 100;
    const bounded = Math.max(SHORTEST_WAIT, Math.min(LONGEST_WAIT, wait));
    return [bounded, bounded];
  }

  /** A packet of `octets` is on its way. */
  sent(octets: number, now: Instant): void {
    this.#octets = octets;
    this.#sentAt = now;
    this.#lost = false;
  }

  /** It goes out again without DF: it was too long, or nobody is there. */
  lose(): void {
    this.#lost = true;
  }

  /** It was answered: whole, unless DF had to go first. */
  heard(now: Instant): void {
    if (!this.#lost) this.#roundTrip = Math.max(this.#roundTrip ?? 0, now - this.#sentAt);
    this.search.conclude(this.#octets, !this.#lost);
  }

  /** One whose operator asked another process: only its packet is still on its way. */
  static orphaned(path: Path, now: Instant): PathMeasuring {
    const measuring = new PathMeasuring(0, new PathSearch(0, 0), path, now);
    measuring.#over = true;
    return measuring;
  }

  end(turn: Turn, outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    turn.push({ kind: 'complete', request: this.request, outcome });
  }
}

const SHORTEST_WAIT = 250;
const LONGEST_WAIT = 1000;
