/**
 * A node as a voter: which claims of others it accepts, and when an owner's time is over.
 *
 * Accepting a heartbeat is a promise to its sender: as long as this voter hears it, and for the wait of a
 * take-over afterwards, it accepts nobody else for the segments that the heartbeat claimed.
 */
import { NOBODY, type Segment, type Sid } from './ballot.ts';
import type { AlonePolicy } from './cluster-settings.ts';
import type { HeartbeatMessage } from './coordinator-message.ts';
import type { Membership } from './membership.ts';
import type { OwnClaims } from './own-claims.ts';
import type { SafetyRule } from './safety-rule.ts';
import { type Claim, type Precedence, type Refusal, SegmentRecords } from './segment-records.ts';

export interface VoterParts {
  readonly segments: number;
  readonly takeOver: number;
  /** Of two nodes without a witness; undefined otherwise. */
  readonly alone: AlonePolicy | undefined;
  readonly own: Sid;
  readonly membership: Membership;
  readonly claims: OwnClaims;
  readonly without: ReadonlySet<SafetyRule>;
}

export interface Judgement {
  readonly refused: readonly Refusal[];
  readonly precedence: readonly Precedence[];
}

export class Voter {
  readonly records: SegmentRecords;
  readonly #parts: VoterParts;
  /** Of one heartbeat: which segments it names. */
  readonly #named: Uint8Array;

  constructor(parts: VoterParts) {
    this.#parts = parts;
    this.records = new SegmentRecords(parts.segments);
    this.#named = new Uint8Array(parts.segments);
  }

  /** Judges all claims of a heartbeat, and notes what its sender let go. */
  judge({ sid, counter, claims }: HeartbeatMessage, now: number): Judgement {
    const { without } = this.#parts;
    const refused: Refusal[] = [];
    const precedence: Precedence[] = [];
    this.#named.fill(0);
    for (const claim of claims) {
      if (claim.segment >= this.records.count) continue;
      this.#named[claim.segment] = 1;
      const { segment, epoch, owned } = claim;
      if (this.#accepts(claim, sid, now)) {
        if (!owned && without.has('claims-bind')) continue;
        this.records.record(segment, { epoch, sid }, counter, now);
        this.records.reached(segment, claim);
        const previous = this.records.previous(segment);
        if (!owned) precedence.push({ segment, epoch, previous });
      } else if (!without.has('refusal')) {
        const isOwned = this.records.isOwned(segment);
        refused.push({ segment, epoch, standing: this.records.ballot(segment), isOwned });
      }
    }
    for (let segment = 0; segment < this.records.count; segment++) {
      if (this.#named[segment] === 0) this.records.notClaimed(segment, sid, counter);
    }
    return { refused, precedence };
  }

  /** Whether whoever has a segment can not transmit for it any more, as far as this node can tell. */
  isOver(segment: Segment, now: number): boolean {
    const { membership, own, claims, alone, takeOver, without } = this.#parts;
    const sid = this.records.sid(segment);
    if (this.records.isFree(segment) || membership.isDead(sid)) return true;
    if (sid === own) return claims.get(segment) === undefined;
    if (without.has('take-over-wait')) return true;
    if (alone === 'hold') return false;
    if (now < this.records.heardAt(segment) + takeOver) return false;
    const peer = membership.bySid(sid);
    return peer === undefined
      ? now >= membership.listenSince + takeOver
      : membership.isSilent(peer, now);
  }

  /** Whether nobody has a segment, by our ear and, where it is about silence, by those of a majority. */
  isOrphan(segment: Segment, now: number, isAlone: boolean): boolean {
    const { membership, without } = this.#parts;
    if (!this.isOver(segment, now)) return false;
    const sid = this.records.sid(segment);
    if (isAlone || sid === NOBODY || this.records.isFree(segment) || membership.isDead(sid))
      return true;
    const peer = membership.bySid(sid);
    if (peer === undefined || without.has('majority')) return true;
    return membership.majorityMisses(peer.node, now);
  }

  #accepts(claim: Claim, sid: Sid, now: number): boolean {
    return this.records.accepts(claim, sid, (segment) => this.isOver(segment, now));
  }
}
