/**
 * The segments of this node: claiming, owning by majority, and giving up when the lease ends.
 *
 * The safety argument, in one breath: whoever owns has a majority that answered a heartbeat naming the
 * claim; a later owner has another majority, and the two share a voter; that voter either heard nothing
 * of the first owner for longer than its lease lasts, or tells it of the later claim before it answers
 * again. And since a lease that ended once gives everything up, no late answer brings an owner back.
 */
import { type Instant, instant } from '../wire/instant.ts';
import { type Ballot, compareBallots, NOBODY, type Segment, type Sid } from './ballot.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { CoordinatorAction, ReleaseReason } from './coordinator-action.ts';
import type { Applied, LeaseMessage, SegmentAtEpoch } from './coordinator-message.ts';
import { Lease } from './lease.ts';
import type { Membership } from './membership.ts';
import type { NodeId } from './node-id.ts';
import { type OwnClaim, OwnClaims, type TakeReason } from './own-claims.ts';
import type { SafetyRule } from './safety-rule.ts';
import { Voter } from './voter.ts';

/** A claim that found no majority in this time is taken back. In milliseconds. */
const CLAIM_WAIT = 60;

/** Nothing was lost on the way. */
const CARRIES_ON: readonly TakeReason[] = ['handed-over', 'regained'];

/** What one call of `handle` collects. */
export interface Turn {
  readonly now: Instant;
  readonly actions: CoordinatorAction[];
}

export interface OwnershipParts {
  readonly settings: ClusterSettings;
  readonly sid: Sid;
  readonly membership: Membership;
  /** No epoch that was accepted before this start was higher. */
  readonly epochFloor: number;
  readonly without: ReadonlySet<SafetyRule>;
}

export class Ownership {
  readonly claims = new OwnClaims();
  readonly voter: Voter;
  readonly lease: Lease;
  readonly #parts: OwnershipParts;
  readonly #holds: boolean;
  /** How far the state of other processes is here. */
  readonly #applied = new Map<Sid, number>();
  #positions: readonly Applied[] | undefined;
  /** Exact states that are here: as long as nobody had the segment since, they are the last. */
  readonly #resumable = new Map<Segment, Resumable>();
  #until = Number.NEGATIVE_INFINITY;
  #alone = false;
  /** This node has all state that others acknowledged for it. */
  isSynced = false;
  /** Something changed that other nodes should hear of at once. */
  isUrgent = false;

  constructor(parts: OwnershipParts) {
    this.#parts = parts;
    const { settings, sid, membership, without } = parts;
    const two = membership.other !== undefined;
    this.#holds = two && settings.alone === 'hold';
    this.lease = new Lease(without.has('majority') ? 1 : membership.majority);
    this.voter = new Voter({
      segments: settings.segments,
      takeOver: settings.timings.takeOver,
      alone: two ? settings.alone : undefined,
      own: sid,
      membership,
      claims: this.claims,
      without,
    });
  }

  /** Until when the data plane may transmit. */
  get until(): number {
    return this.#until;
  }

  /** One of two nodes that does not hear the other, and whose policy or operator lets it go on alone. */
  get isAlone(): boolean {
    return this.#alone;
  }

  setAlone(alone: boolean, { actions }: Turn): void {
    if (this.#alone === alone) return;
    this.#alone = alone;
    this.isUrgent = true;
    actions.push({ kind: 'emit', event: { kind: 'alone', alone } });
  }

  applied(sid: Sid, position: number): void {
    this.#applied.set(sid, position);
    this.#positions = undefined;
  }

  /** For answers to heartbeats. */
  positions(): readonly Applied[] {
    this.#positions ??= [...this.#applied].map(([sid, position]) => ({ sid, position }));
    return this.#positions;
  }

  /** First of all at each call: has the lease ended, then nothing is ours any more. */
  checkLapse(turn: Turn): void {
    if (this.claims.size === 0 || turn.now < this.#until) return;
    if (this.#parts.without.has('lapse-gives-up')) return;
    for (const { segment } of [...this.claims.values()]) this.drop(segment, 'lapsed', turn);
    this.setAlone(false, turn);
  }

  /** Whether a majority is in contact, so that a claim has a chance. */
  hasContact(now: Instant): boolean {
    return this.#alone || now < this.#contactUntil();
  }

  /** Claims a segment: the next heartbeat, which leaves at once, names it. */
  claim(segment: Segment, how: ClaimManner, { now }: Turn): void {
    const { records } = this.voter;
    const standing = records.ballot(segment);
    const previous = standing.sid === this.#parts.sid ? records.previous(segment) : standing;
    const resumable = this.#resumable.get(segment);
    const epoch = Math.max(records.highest(segment), this.#parts.epochFloor) + 1;
    const ballot = { epoch, sid: this.#parts.sid };
    this.claims.add({
      segment,
      epoch,
      owned: false,
      settled: false,
      after: how.after ?? (resumable?.reason === 'handed-over' ? resumable.ballot : undefined),
      counter: this.lease.counter + 1,
      claimedAt: now,
      pinned: how.pinned,
      from: standing.sid,
      reason: resumable?.reason ?? this.#reason(segment, standing.sid),
      previous,
    });
    records.record(segment, ballot, this.lease.counter + 1, now);
    this.isUrgent = true;
  }

  /** The final state of a segment is here, as its owner left it at this ballot. */
  installed(segment: Segment, ballot: Ballot): void {
    this.#resumable.set(segment, { ballot, reason: 'handed-over' });
  }

  /** An answer to one of our heartbeats. */
  answered(message: LeaseMessage, turn: Turn): void {
    const { records } = this.voter;
    let stillClaimed = false;
    for (const refusal of message.refused) {
      const { segment, epoch, standing, isOwned } = refusal;
      const claim = this.claims.get(segment);
      if (claim?.owned && !isOwned) this.#raise(claim, standing, turn);
      else if (standing.sid !== this.#parts.sid) this.yield(segment, standing, turn);
      // A claim without a majority that another voter accepted binds that voter and not this one.
      if (isOwned) records.record(segment, standing, 0, turn.now);
      else records.heardOf(segment, standing.epoch);
      if (claim?.epoch === epoch && this.claims.get(segment) === claim) stillClaimed = true;
    }
    if (stillClaimed) return;
    for (const { segment, epoch, previous } of message.precedence) {
      const claim = this.claims.get(segment);
      if (claim?.epoch !== epoch || compareBallots(previous, claim.previous) <= 0) continue;
      claim.previous = previous;
    }
    this.lease.answered(message.node, message.counter);
    // One that stood still answers at first what it was asked then: nothing follows from that now. The lease that
    // takes the place of being alone must hold until the next answer.
    const { lease, heartbeat } = this.#parts.settings.timings;
    const since = this.lease.sentAt(this.lease.majorityAnswered());
    if (turn.now < since + lease - heartbeat) this.setAlone(false, turn);
  }

  /**
   * A voter accepted a claim that can not get a majority, as we have one and our lease: our epoch goes
   * above it.
   */
  #raise(claim: OwnClaim, standing: Ballot, { now, actions }: Turn): void {
    const { records } = this.voter;
    const { segment } = claim;
    if (compareBallots(standing, { epoch: claim.epoch, sid: this.#parts.sid }) < 0) return;
    this.claims.raise(claim, standing.epoch + 1);
    records.record(
      segment,
      { epoch: claim.epoch, sid: this.#parts.sid },
      this.lease.counter + 1,
      now,
    );
    records.reached(segment, claim);
    this.isUrgent = true;
    actions.push({ kind: 'epoch', segment, epoch: claim.epoch });
  }

  /** Another owner stands against us: the lower ballot yields. */
  yield(segment: Segment, other: Ballot, turn: Turn): void {
    const claim = this.claims.get(segment);
    if (!claim || this.#parts.without.has('lower-yields')) return;
    if (compareBallots(other, { epoch: claim.epoch, sid: this.#parts.sid }) < 0) return;
    this.drop(segment, 'superseded', turn);
  }

  /** A process is over: nothing of it is waited for. */
  bury(sid: Sid): void {
    if (this.#parts.without.has('one-life')) return;
    this.#parts.membership.bury(sid);
    this.voter.records.buried(sid);
  }

  drop(segment: Segment, reason: ReleaseReason, { actions }: Turn): void {
    const claim = this.claims.drop(segment);
    if (!claim) return;
    const ballot = { epoch: claim.epoch, sid: this.#parts.sid };
    this.voter.records.letGo(segment, ballot);
    this.isUrgent = true;
    if (claim.owned) this.#resumable.set(segment, { ballot, reason: 'regained' });
    if (claim.owned) actions.push({ kind: 'release', segment, reason });
  }

  /** Claims that a majority has accepted by now are owned; those that wait too long are taken back. */
  confirm(turn: Turn): void {
    const contact = this.#alone ? this.lease.counter : this.lease.majorityAnswered();
    const isFresh = this.#alone || turn.now < this.#contactUntil();
    for (const claim of [...this.claims.values()]) {
      if (claim.owned) continue;
      if (isFresh && claim.counter <= contact) this.#own(claim, turn);
      else if (turn.now >= claim.claimedAt + CLAIM_WAIT)
        this.drop(claim.segment, 'withdrawn', turn);
    }
  }

  /** Tells the data plane until when it may transmit. */
  publish({ actions }: Turn): void {
    const until = this.#holds ? Number.POSITIVE_INFINITY : this.#contactUntil();
    if (until === this.#until) return;
    this.#until = until;
    actions.push({ kind: 'lease', until: instant(until) });
  }

  /** When a claim is to be taken back. */
  get claimDeadline(): number {
    let deadline = Number.POSITIVE_INFINITY;
    if (this.claims.pending === 0) return deadline;
    for (const claim of this.claims.values()) {
      if (!claim.owned) deadline = Math.min(deadline, claim.claimedAt + CLAIM_WAIT);
    }
    return deadline;
  }

  #contactUntil(): number {
    const counter = this.#alone ? this.lease.counter : this.lease.majorityAnswered();
    return this.lease.sentAt(counter) + this.#parts.settings.timings.lease;
  }

  #own(claim: OwnClaim, { actions }: Turn): void {
    this.claims.confirm(claim);
    this.isUrgent = true;
    const { segment, epoch, from } = claim;
    const reason = this.#confirmedReason(claim);
    this.#resumable.delete(segment);
    const carriesOn = CARRIES_ON.includes(reason);
    const behind = carriesOn ? [] : this.#behind();
    const gap = !carriesOn && !this.#isKnown(claim);
    actions.push({ kind: 'take', segment, epoch, from, reason, behind, gap });
    if (behind.length === 0) this.settle(segment);
    this.voter.records.reached(segment, claim);
  }

  /** All that is known of a segment is here: from now on it can be handed over. */
  settle(segment: Segment): void {
    const claim = this.claims.get(segment);
    if (!claim?.owned || claim.settled) return;
    this.claims.settle(claim);
    this.voter.records.reached(segment, claim);
    this.isUrgent = true;
  }

  /**
   * Whether a node that lost its state, or missed some, has all of it again: from the owner of each segment,
   * or from so many nodes that lost nothing that any majority is among them or was us.
   */
  isCovered(snapshots: readonly SnapshotOf[]): boolean {
    const { settings, membership } = this.#parts;
    const whole = snapshots.filter(({ synced }) => synced).length;
    if (whole > settings.members.length - membership.majority) return true;
    const { records } = this.voter;
    for (let segment = 0; segment < records.count; segment++) {
      if (this.claims.get(segment)?.settled) continue;
      const epoch = records.epoch(segment);
      const isThere = snapshots.some(({ node, owns }) => {
        if (membership.bySid(records.sid(segment))?.node !== node) return false;
        return owns.some((one) => one.segment === segment && one.epoch === epoch);
      });
      if (!isThere || !records.isSettled(segment)) return false;
    }
    return true;
  }

  /** Voters that have more of anybody's state than we. */
  #behind(): readonly NodeId[] {
    const { membership } = this.#parts;
    return [...membership.peers]
      .filter(({ applied }) => applied.some((one) => one.position > this.#position(one.sid)))
      .map(({ node }) => node);
  }

  #position(sid: Sid): number {
    return sid === this.#parts.sid ? Number.POSITIVE_INFINITY : (this.#applied.get(sid) ?? 0);
  }

  /**
   * Whatever a majority acknowledged is known to one of any other majority, of those that lost nothing:
   * nodes that started and were not told everything yet do not count.
   */
  #isKnown({ counter }: OwnClaim): boolean {
    const { membership } = this.#parts;
    let knowing = this.isSynced ? 1 : 0;
    if (this.#alone) return knowing === 1;
    for (const peer of membership.peers) {
      if (peer.synced && this.lease.hasAnswered(peer.node, counter)) knowing++;
    }
    return knowing >= membership.majority;
  }

  /**
   * A majority said whom we follow: a state that is here is the last one only if nobody came after it, and
   * only if that majority has not lost its memory.
   */
  #confirmedReason(claim: OwnClaim): TakeReason {
    const { segment, previous, reason, from } = claim;
    const resumable = this.#resumable.get(segment);
    const isLast = resumable && compareBallots(previous, resumable.ballot) <= 0;
    if (isLast && this.#isKnown(claim)) return resumable.reason;
    return reason === 'handed-over' || reason === 'regained' ? this.#reason(segment, from) : reason;
  }

  #reason(segment: Segment, from: Sid): TakeReason {
    if (from === NOBODY) return 'free';
    if (this.#parts.membership.isDead(from)) return 'dead';
    return this.voter.records.isFree(segment) ? 'let-go' : 'silent';
  }
}

interface Resumable {
  readonly ballot: Ballot;
  readonly reason: 'handed-over' | 'regained';
}

/** A whole snapshot that arrived, and what its sender said of itself as it made it. */
export interface SnapshotOf {
  readonly node: NodeId;
  readonly synced: boolean;
  /** Settled segments of the sender. */
  readonly owns: readonly SegmentAtEpoch[];
}

export interface ClaimManner {
  readonly pinned: boolean;
  /** The ballot of whoever handed it over. */
  readonly after: Ballot | undefined;
}
