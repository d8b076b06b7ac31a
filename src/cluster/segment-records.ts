/**
 * What one node knows, as a voter, of the owner of each segment: the highest ballot it accepted.
 *
 * A ballot stands from the moment it is claimed, not only once it has its majority: a claim that was
 * accepted binds its voter. It gives way when its owner let go of it, is dead, or is silent for long
 * enough that its lease has ended (what that is, the caller says).
 */
import {
  type Ballot,
  compareBallots,
  type Epoch,
  NO_BALLOT,
  NOBODY,
  type Segment,
  type Sid,
} from './ballot.ts';

/** That `sid` has a segment, or wants it. */
export interface Claim {
  readonly segment: Segment;
  readonly epoch: Epoch;
  /** A majority accepted it: every lower ballot is over. */
  readonly owned: boolean;
  /** Its owner has all that the former one left, or has made it anew. */
  readonly settled: boolean;
  /** The owner before, who handed the segment over: up to this ballot, all let go. */
  readonly after: Ballot | undefined;
}

/** A claim that is not accepted, and what stands against it. */
export interface Refusal {
  readonly segment: Segment;
  readonly epoch: Epoch;
  readonly standing: Ballot;
  /** A majority accepted what stands, as far as this voter heard. */
  readonly isOwned: boolean;
}

const SETTLED = 2;

/** An accepted claim, and what it follows at this voter. */
export interface Precedence {
  readonly segment: Segment;
  readonly epoch: Epoch;
  readonly previous: Ballot;
}

export class SegmentRecords {
  readonly count: number;
  #highestEpoch = 0;
  readonly #epochs: Float64Array;
  readonly #sids: Int32Array;
  readonly #heardOf: Float64Array;
  /** The heartbeat of the owner that named the ballot last: only a later one can take it back. */
  readonly #counters: Float64Array;
  /** The highest ballot of another than the present one's node. */
  readonly #previous: Ballot[];
  readonly #letGo: Uint8Array;
  readonly #owned: Uint8Array;
  /** When the ballot was heard of: its owner may have been alive then. */
  readonly #heardAt: Float64Array;

  constructor(count: number) {
    this.count = count;
    this.#epochs = new Float64Array(count);
    this.#sids = new Int32Array(count);
    this.#heardOf = new Float64Array(count);
    this.#counters = new Float64Array(count);
    this.#previous = new Array(count).fill(NO_BALLOT);
    this.#letGo = new Uint8Array(count);
    this.#owned = new Uint8Array(count);
    this.#heardAt = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  }

  get highestEpoch(): Epoch {
    return this.#highestEpoch;
  }

  epoch(segment: Segment): Epoch {
    return this.#epochs[segment] ?? 0;
  }

  sid(segment: Segment): Sid {
    return this.#sids[segment] ?? NOBODY;
  }

  ballot(segment: Segment): Ballot {
    return { epoch: this.epoch(segment), sid: this.sid(segment) };
  }

  /** What this voter had accepted before whoever stands: that one may have been an owner. */
  previous(segment: Segment): Ballot {
    return this.#previous[segment] ?? NO_BALLOT;
  }

  /** Nobody has it, or whoever had it said that it does not any more. */
  isFree(segment: Segment): boolean {
    return this.#sids[segment] === NOBODY || this.#letGo[segment] === 1;
  }

  heardAt(segment: Segment): number {
    return this.#heardAt[segment] ?? Number.NEGATIVE_INFINITY;
  }

  /** Negative when the ballot is lower than what stands. */
  compare(segment: Segment, epoch: Epoch, sid: Sid): number {
    return epoch - this.epoch(segment) || sid - this.sid(segment);
  }

  /** Whether a claim may be accepted. `isOver`: the owner that stands can not transmit any more. */
  accepts(claim: Claim, sid: Sid, isOver: (segment: Segment) => boolean): boolean {
    const order = this.compare(claim.segment, claim.epoch, sid);
    if (order <= 0) return order === 0;
    // The owner itself may raise its epoch.
    if (claim.owned || this.isFree(claim.segment) || this.sid(claim.segment) === sid) return true;
    if (claim.after && compareBallots(this.ballot(claim.segment), claim.after) <= 0) return true;
    return isOver(claim.segment);
  }

  /** Takes a ballot in, from a heartbeat of its owner or from a refusal. Lower ones are left out. */
  record(segment: Segment, ballot: Ballot, counter: number, now: number): void {
    const order = this.compare(segment, ballot.epoch, ballot.sid);
    if (order < 0) return;
    this.#counters[segment] = Math.max(order === 0 ? (this.#counters[segment] ?? 0) : 0, counter);
    if (order === 0) return;
    if (this.sid(segment) !== ballot.sid) this.#previous[segment] = this.ballot(segment);
    this.#epochs[segment] = ballot.epoch;
    this.#highestEpoch = Math.max(this.#highestEpoch, ballot.epoch);
    this.#sids[segment] = ballot.sid;
    this.#letGo[segment] = 0;
    this.#owned[segment] = 0;
    this.#heardAt[segment] = now;
  }

  /**
   * Somebody else accepted this epoch. It is no promise of ours, so that it changes nothing but the number
   * that a next claim must exceed.
   */
  heardOf(segment: Segment, epoch: Epoch): void {
    this.#heardOf[segment] = Math.max(this.#heardOf[segment] ?? 0, epoch);
  }

  /** The highest epoch that anybody is known to have accepted. */
  highest(segment: Segment): Epoch {
    return Math.max(this.epoch(segment), this.#heardOf[segment] ?? 0);
  }

  /** What the ballot that stands has reached. */
  reached(segment: Segment, { owned, settled }: Pick<Claim, 'owned' | 'settled'>): void {
    if (owned) this.#owned[segment] = settled ? SETTLED : Math.max(1, this.#owned[segment] ?? 0);
  }

  isOwned(segment: Segment): boolean {
    return (this.#owned[segment] ?? 0) > 0;
  }

  isSettled(segment: Segment): boolean {
    return this.#owned[segment] === SETTLED && !this.isFree(segment);
  }

  /** A heartbeat of `sid` does not name this segment: unless it is older than the claim, it let go. */
  notClaimed(segment: Segment, sid: Sid, counter: number): void {
    if (this.#sids[segment] !== sid || counter <= (this.#counters[segment] ?? 0)) return;
    this.#letGo[segment] = 1;
  }

  /** This very ballot is over. */
  letGo(segment: Segment, ballot: Ballot): void {
    if (this.compare(segment, ballot.epoch, ballot.sid) === 0) this.#letGo[segment] = 1;
  }

  /** A process is gone: all it had is free. */
  buried(sid: Sid): void {
    for (let segment = 0; segment < this.count; segment++) {
      if (this.#sids[segment] === sid) this.#letGo[segment] = 1;
    }
  }
}
