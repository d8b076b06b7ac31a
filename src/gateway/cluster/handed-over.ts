/**
 * Segments that were handed over a moment ago: until the successor has them, its packet filter drops their packets,
 * so they still come in here and are handed on.
 *
 * A packet of a client that two nodes take is one too many for the replay window of its SA, and is dropped there. What hosts
 * of the LAN send has no such window: it comes in here hardly longer than it takes the successor to know.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';

/** From when this node, which votes, sees that the successor is to have it: that one takes it a little later. */
export const LAN_MILLISECONDS = 2;
export const WAN_MILLISECONDS = 50;
/** A successor that nobody hears of in this time is gone. */
export const LINGER_MILLISECONDS = 100;

interface Lingering {
  readonly until: Instant;
  /** When it was first seen that another node has it. */
  seen: Instant | undefined;
}

export class HandedOver {
  readonly #lingering = new Map<Segment, Lingering>();
  readonly #ownerOf: (segment: Segment) => NodeId | undefined;
  #lan: ReadonlySet<Segment> = new Set();

  /** `ownerOf` a segment that nobody has is undefined. */
  constructor(ownerOf: (segment: Segment) => NodeId | undefined) {
    this.#ownerOf = ownerOf;
  }

  /** Their packets from clients come in. */
  get wan(): ReadonlySet<Segment> {
    return new Set(this.#lingering.keys());
  }

  /** Their packets from hosts come in. */
  get lan(): ReadonlySet<Segment> {
    return this.#lan;
  }

  /** When to look again, whatever happens. */
  nextDeadline(): Instant | undefined {
    const times = [...this.#lingering].map(([segment, { until, seen }]) => {
      if (seen === undefined) return until;
      return after(seen, this.#lan.has(segment) ? LAN_MILLISECONDS : WAN_MILLISECONDS);
    });
    return earliest(...times);
  }

  add(segments: Iterable<Segment>, now: Instant): void {
    for (const segment of segments) {
      this.#lingering.set(segment, { until: after(now, LINGER_MILLISECONDS), seen: undefined });
    }
    this.look(now);
  }

  /** They are ours again. */
  remove(segments: Iterable<Segment>): void {
    const lan = new Set(this.#lan);
    for (const segment of segments) {
      this.#lingering.delete(segment);
      lan.delete(segment);
    }
    this.#lan = lan;
  }

  /** Something may have happened, or it is time; answers whether anything is different now. */
  look(now: Instant): boolean {
    const before = [this.#lingering.size, this.#lan.size].join();
    const lan = new Set<Segment>();
    for (const [segment, one] of this.#lingering) {
      if (one.seen === undefined && this.#ownerOf(segment) !== undefined) one.seen = now;
      const since = one.seen === undefined ? 0 : now - one.seen;
      if (now >= one.until || since >= WAN_MILLISECONDS) this.#lingering.delete(segment);
      else if (since < LAN_MILLISECONDS) lan.add(segment);
    }
    this.#lan = lan;
    return [this.#lingering.size, lan.size].join() !== before;
  }
}
