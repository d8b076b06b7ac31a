/**
 * The segments this node has or wants, each with its epoch.
 *
 * A claim begins `pending` and is `owned` once a majority accepted it. What is dropped is dropped for
 * good: to have the segment again takes a higher epoch and a majority again.
 */
import type { Ballot, Epoch, Segment, Sid } from './ballot.ts';
import type { Claim } from './segment-records.ts';

/** Why a segment has a new owner. */
export type TakeReason = 'free' | 'silent' | 'dead' | 'let-go' | 'handed-over' | 'regained';

export interface OwnClaim extends Claim {
  epoch: Epoch;
  owned: boolean;
  settled: boolean;
  /** The first heartbeat that named it. */
  readonly counter: number;
  readonly claimedAt: number;
  /** Given here by an operator: placement does not move it on. */
  pinned: boolean;
  readonly from: Sid;
  reason: TakeReason;
  /** The highest ballot of others that any voter accepted before. */
  previous: Ballot;
}

export class OwnClaims {
  readonly #claims = new Map<Segment, OwnClaim>();
  #owned = 0;
  /** What heartbeats carry: made anew when something changed. */
  #listed: readonly Claim[] | undefined;

  get size(): number {
    return this.#claims.size;
  }

  get owned(): number {
    return this.#owned;
  }

  get pending(): number {
    return this.#claims.size - this.#owned;
  }

  get(segment: Segment): OwnClaim | undefined {
    return this.#claims.get(segment);
  }

  owns(segment: Segment): boolean {
    return this.#claims.get(segment)?.owned === true;
  }

  values(): Iterable<OwnClaim> {
    return this.#claims.values();
  }

  add(claim: OwnClaim): void {
    this.#claims.set(claim.segment, claim);
    this.#listed = undefined;
  }

  /** A majority accepted it. */
  confirm(claim: OwnClaim): void {
    if (claim.owned) return;
    claim.owned = true;
    this.#owned++;
    this.#listed = undefined;
  }

  settle(claim: OwnClaim): void {
    if (claim.settled || !claim.owned) return;
    claim.settled = true;
    this.#listed = undefined;
  }

  /** What is owned goes on with a higher epoch. */
  raise(claim: OwnClaim, epoch: Epoch): void {
    claim.epoch = epoch;
    this.#listed = undefined;
  }

  drop(segment: Segment): OwnClaim | undefined {
    const claim = this.#claims.get(segment);
    if (!claim) return undefined;
    this.#claims.delete(segment);
    if (claim.owned) this.#owned--;
    this.#listed = undefined;
    return claim;
  }

  unpin(): void {
    for (const claim of this.#claims.values()) claim.pinned = false;
  }

  /** For a heartbeat; never changed afterwards. */
  list(): readonly Claim[] {
    this.#listed ??= [...this.#claims.values()].map(
      ({ segment, epoch, owned, settled, after }) => ({
        segment,
        epoch,
        owned,
        settled,
        after: owned ? undefined : after,
      }),
    );
    return this.#listed;
  }
}
