/**
 * The giving side of a planned hand-over: offer, freeze, let go, and hear that the successor has it.
 *
 * One batch at a time, of at most eight segments for one successor. Until the segments are let go every
 * step can be abandoned without loss; afterwards the final state is sent again until the successor claims
 * them, and when it never does they are free for whoever is there.
 */
import type { Segment, Sid } from './ballot.ts';
import type { SegmentAtEpoch } from './coordinator-message.ts';
import type { NodeId } from './node-id.ts';

/** Segments of one batch. */
export const BATCH = 8;

/** In milliseconds. */
const OFFER_WAIT = 50;
/** What a freeze may take until the state is there, 5 ms for each segment: then they go on as they were. */
export const FREEZE_WAIT = 5 * BATCH;
const RESEND = 10;
export const GIVE_UP = 100;
/** Before the same is tried again. */
const PAUSE = 200;

export interface Successor {
  readonly node: NodeId;
  readonly sid: Sid;
}

interface BatchHead {
  readonly batch: number;
  readonly to: Successor;
  readonly pinned: boolean;
  readonly segments: readonly SegmentAtEpoch[];
}

/** What is under way. */
export type Giving =
  | (BatchHead & { readonly stage: 'offered'; readonly until: number })
  | (BatchHead & { readonly stage: 'freezing'; readonly until: number })
  | (BatchHead & {
      readonly stage: 'let-go';
      readonly until: number;
      readonly resendAt: number;
      readonly state: Uint8Array;
    });

/** An operator's wish: these segments to that node. */
export interface Wish {
  readonly to: NodeId;
  readonly pinned: boolean;
}

export class HandOver {
  readonly wishes = new Map<Segment, Wish>();
  #giving: Giving | undefined;
  #batches = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  get giving(): Giving | undefined {
    return this.#giving;
  }

  /** When something is to be done again or given up. */
  get deadline(): number {
    const giving = this.#giving;
    if (!giving) return Number.POSITIVE_INFINITY;
    return giving.stage === 'let-go' ? Math.min(giving.resendAt, giving.until) : giving.until;
  }

  get pausedUntil(): number {
    return this.#pausedUntil;
  }

  isReady(now: number): boolean {
    return this.#giving === undefined && now >= this.#pausedUntil;
  }

  offer(to: Successor, segments: readonly SegmentAtEpoch[], pinned: boolean, now: number): Giving {
    this.#batches++;
    const head = { batch: this.#batches, to, pinned, segments };
    this.#giving = { ...head, stage: 'offered', until: now + OFFER_WAIT };
    return this.#giving;
  }

  /** The successor said yes. */
  accepted(batch: number, from: Sid, now: number): Giving | undefined {
    const giving = this.#giving;
    if (giving?.stage !== 'offered' || giving.batch !== batch || giving.to.sid !== from) {
      return undefined;
    }
    this.#giving = { ...giving, stage: 'freezing', until: now + FREEZE_WAIT };
    return this.#giving;
  }

  /** The final state is there: from now on the segments are not ours. */
  letGo(batch: number, state: Uint8Array, now: number): Giving | undefined {
    const giving = this.#giving;
    if (giving?.stage !== 'freezing' || giving.batch !== batch) return undefined;
    const times = { until: now + GIVE_UP, resendAt: now + RESEND };
    this.#giving = { ...giving, ...times, stage: 'let-go', state };
    return this.#giving;
  }

  /** The final state goes out once more, if it is time. */
  resend(now: number): Giving | undefined {
    const giving = this.#giving;
    if (giving?.stage !== 'let-go' || now < giving.resendAt) return undefined;
    this.#giving = { ...giving, resendAt: now + RESEND };
    return this.#giving;
  }

  /** The successor has it all. */
  done(batch: number, from: Sid): boolean {
    if (this.#giving?.batch !== batch || this.#giving.to.sid !== from) return false;
    if (this.#giving.stage !== 'let-go') return false;
    for (const { segment } of this.#giving.segments) this.wishes.delete(segment);
    this.#giving = undefined;
    return true;
  }

  /** What was under way is given up: time is over, the segments are lost, or the successor is gone. */
  abandon(now: number): Giving | undefined {
    const giving = this.#giving;
    this.#giving = undefined;
    this.#pausedUntil = now + PAUSE;
    return giving;
  }
}
