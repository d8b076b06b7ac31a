/**
 * Which segments this node should have, and how they come and go: orphans by claim, planned moves by
 * hand-over in batches.
 *
 * SEG_GIVE (offer) → SEG_TAKE (yes) → freeze here → SEG_FREEZE (let go, with the final state) → the
 * successor claims, naming whom it follows → SEG_DONE. Clients wait from the freeze to the claim's majority.
 */
import type { Segment, Sid } from './ballot.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type {
  DoneMessage,
  FreezeMessage,
  GiveMessage,
  SegmentAtEpoch,
  TakeMessage,
} from './coordinator-message.ts';
import { type AdvertOf, compareAdverts } from './demotion.ts';
import { BATCH, GIVE_UP, HandOver, type Successor } from './hand-over.ts';
import type { Membership } from './membership.ts';
import type { NodeId } from './node-id.ts';
import type { OwnClaim } from './own-claims.ts';
import type { Ownership, Turn } from './ownership.ts';
import type { Peer } from './peer.ts';

/** How long a segment may wait for the node that should claim it, before another does. */
const SECOND_CHOICE = 100;
/** How long the final state of an offered segment is waited for before it is claimed without. */
const STATE_WAIT = 120;
/** A segment that came stays for so long, unless this node is unfit: no two nodes play ball with it. */
const HOLD = 500;
/** Before a claim that found no majority is tried again. */
const RETRY = 40;

export interface TransferParts {
  readonly settings: ClusterSettings;
  readonly sid: Sid;
  readonly membership: Membership;
  readonly ownership: Ownership;
}

/** What this node says of itself. */
export interface OwnAdvert extends AdvertOf {
  readonly weight: number;
  readonly isDraining: boolean;
}

interface Receiving {
  readonly from: Peer;
  readonly batch: number;
  readonly segments: readonly SegmentAtEpoch[];
}

export class Transfer {
  readonly #parts: TransferParts;
  readonly #handOver = new HandOver();
  /** Segments that a hand-over will bring, and until when we wait for it. */
  readonly #expected = new Map<Segment, number>();
  readonly #received = new Map<NodeId, Receiving>();
  readonly #orphanSince: Float64Array;
  readonly #notBefore: Float64Array;
  #placed: readonly NodeId[] = [];
  #placedFor: readonly AdvertOf[] = [];
  /** When an orphan may be claimed that has to wait. */
  #orphanAt = Number.POSITIVE_INFINITY;
  #isDrained = false;

  constructor(parts: TransferParts) {
    this.#parts = parts;
    const { segments } = parts.settings;
    this.#orphanSince = new Float64Array(segments).fill(Number.POSITIVE_INFINITY);
    this.#notBefore = new Float64Array(segments).fill(Number.NEGATIVE_INFINITY);
  }

  get deadline(): number {
    return Math.min(this.#handOver.deadline, this.#orphanAt);
  }

  /** An operator's order: these of our segments to that node. */
  give(segments: readonly Segment[], to: NodeId): void {
    for (const segment of segments) this.#handOver.wishes.set(segment, { to, pinned: true });
  }

  /** An operator's order: these to us. */
  want(segments: readonly Segment[], turn: Turn): void {
    const { ownership, membership } = this.#parts;
    const byOwner = new Map<Peer, SegmentAtEpoch[]>();
    for (const segment of segments) {
      const { records } = ownership.voter;
      const owner = membership.bySid(records.sid(segment));
      if (!owner || records.isFree(segment) || ownership.claims.get(segment)) continue;
      byOwner.set(owner, [
        ...(byOwner.get(owner) ?? []),
        { segment, epoch: records.epoch(segment) },
      ]);
    }
    for (const [owner, wanted] of byOwner) {
      const message = { ...this.#sender, batch: undefined, segments: wanted };
      turn.actions.push({
        kind: 'send',
        to: owner.node,
        message: { kind: 'segment-take', ...message },
      });
    }
  }

  /** Operators' orders are over. */
  unpin(): void {
    this.#handOver.wishes.clear();
    this.#parts.ownership.claims.unpin();
  }

  /** The owner offers segments: we say yes where we would have them. */
  offered(peer: Peer, message: GiveMessage, turn: Turn): void {
    const { ownership } = this.#parts;
    if (!ownership.hasContact(turn.now)) return;
    // Whoever gave them would get them back, and nobody could tell whether more went past us.
    if (!ownership.isSynced) return;
    const segments = message.segments.filter(
      ({ segment, epoch }) =>
        ownership.voter.records.compare(segment, epoch, message.sid) >= 0 &&
        !ownership.claims.get(segment),
    );
    if (segments.length < message.segments.length) return;
    for (const { segment } of segments) this.#expected.set(segment, turn.now + STATE_WAIT);
    const answer = { ...this.#sender, batch: message.batch, segments };
    turn.actions.push({
      kind: 'send',
      to: peer.node,
      message: { kind: 'segment-take', ...answer },
    });
  }

  /** Yes to our offer, or another node's wish. */
  taken(peer: Peer, message: TakeMessage, turn: Turn): void {
    if (message.batch === undefined) {
      for (const { segment, epoch } of message.segments) {
        if (this.#parts.ownership.claims.get(segment)?.epoch !== epoch) continue;
        this.#handOver.wishes.set(segment, { to: peer.node, pinned: true });
      }
      return;
    }
    const giving = this.#handOver.accepted(message.batch, message.sid, turn.now);
    if (!giving) return;
    const { batch, to, segments } = giving;
    turn.actions.push({ kind: 'freeze', batch, to: to.node, segments });
  }

  /** Our data plane stands still for the batch, and this is all that the successor needs. */
  frozen(batch: number, state: Uint8Array, turn: Turn): void {
    const giving = this.#handOver.giving;
    if (giving?.batch !== batch || !this.#stillOwns(giving.segments)) return;
    if (!this.#handOver.letGo(batch, state, turn.now)) return;
    for (const { segment } of giving.segments) {
      this.#parts.ownership.drop(segment, 'handed-over', turn);
      this.#notBefore[segment] = turn.now + GIVE_UP;
    }
    this.#sendState(turn);
  }

  /** The owner let go of segments that it offered us. */
  received(peer: Peer, message: FreezeMessage, turn: Turn): void {
    const { ownership } = this.#parts;
    const segments = message.segments.filter(({ segment, epoch }) => {
      const order = ownership.voter.records.compare(segment, epoch, message.sid);
      return order >= 0 && segment < ownership.voter.records.count;
    });
    if (segments.length > 0) {
      const { state } = message;
      turn.actions.push({ kind: 'install', segments, from: message.sid, state });
      for (const { segment, epoch } of segments) {
        const after = { epoch, sid: message.sid };
        ownership.voter.records.record(segment, after, 0, turn.now);
        ownership.voter.records.letGo(segment, after);
        ownership.installed(segment, after);
        this.#expected.delete(segment);
        ownership.claim(segment, { pinned: message.pinned, after }, turn);
      }
      this.#received.set(peer.node, { from: peer, batch: message.batch, segments });
    } else {
      this.#reportDone(turn);
    }
  }

  /** The successor has everything. */
  done(_peer: Peer, message: DoneMessage): void {
    this.#handOver.done(message.batch, message.sid);
  }

  /** A heartbeat was judged: perhaps the successor claims what we gave. */
  noticed({ now }: Turn): void {
    const giving = this.#handOver.giving;
    if (giving?.stage !== 'let-go') return;
    const { records } = this.#parts.ownership.voter;
    const arrived = giving.segments.every(({ segment, epoch }) => {
      return records.epoch(segment) > epoch && !records.isFree(segment);
    });
    if (arrived) this.#handOver.done(giving.batch, giving.to.sid);
    else if (now >= giving.until) this.#handOver.abandon(now);
  }

  /** Time passed, or something changed. */
  progress(own: OwnAdvert, isListening: boolean, turn: Turn): void {
    const candidates = this.#parts.membership.candidates(own, turn.now);
    this.#place(candidates);
    this.#reportDone(turn);
    if (!isListening) this.#claimOrphans(candidates, turn);
    this.#advance(turn);
    // Who missed something cannot vouch for what it gives: its successor would not go on with it.
    const { isSynced } = this.#parts.ownership;
    if (isSynced && this.#handOver.isReady(turn.now)) this.#offerNext(candidates, turn);
    this.#reportDrained(own.isDraining, turn);
  }

  #place(candidates: readonly AdvertOf[]): void {
    const isSame =
      candidates.length === this.#placedFor.length &&
      candidates.every((one, at) => compareAdverts(one, this.#placedFor[at] ?? one) === 0);
    if (isSame) return;
    this.#placedFor = candidates;
    this.#placed = candidates.length === 0 ? [] : this.#parts.settings.place(candidates);
  }

  #claimOrphans(candidates: readonly AdvertOf[], turn: Turn): void {
    const { ownership, settings } = this.#parts;
    const { now } = turn;
    this.#orphanAt = Number.POSITIVE_INFINITY;
    if (!ownership.hasContact(now)) return;
    const isFit = candidates.some(({ node }) => node === settings.self);
    const rank = this.#rank(candidates);
    for (let segment = 0; segment < settings.segments; segment++) {
      if (
        ownership.claims.get(segment) ||
        !ownership.voter.isOrphan(segment, now, ownership.isAlone)
      ) {
        this.#orphanSince[segment] = Number.POSITIVE_INFINITY;
        continue;
      }
      const since = Math.min(this.#orphanSince[segment] ?? now, now);
      this.#orphanSince[segment] = since;
      const isFirst = this.#placed[segment] === settings.self;
      if (!isFirst && !isFit) continue;
      const turnAt = isFirst ? since : since + SECOND_CHOICE + RETRY * rank;
      const at = Math.max(turnAt, this.#expected.get(segment) ?? 0, this.#notBefore[segment] ?? 0);
      if (now < at) {
        this.#orphanAt = Math.min(this.#orphanAt, at);
        continue;
      }
      this.#notBefore[segment] = now + RETRY * (1 + rank);
      ownership.claim(segment, { pinned: false, after: undefined }, turn);
    }
  }

  /** So that nodes that want the same do not try again at the same time. */
  #rank(candidates: readonly AdvertOf[]): number {
    return candidates.findIndex(({ node }) => node === this.#parts.settings.self) + 1;
  }

  /** What is under way: resent, thawed, or given up. */
  #advance(turn: Turn): void {
    const giving = this.#handOver.giving;
    if (!giving) return;
    const { now, actions } = turn;
    if (giving.stage !== 'let-go') {
      if (now < giving.until && this.#stillOwns(giving.segments)) return;
      this.#handOver.abandon(now);
      if (giving.stage === 'freezing') actions.push({ kind: 'thaw', segments: giving.segments });
      const { segments } = giving;
      actions.push({ kind: 'emit', event: { kind: 'hand-over-abandoned', segments } });
    } else if (now >= giving.until) {
      this.#handOver.abandon(now);
    } else if (this.#handOver.resend(now)) {
      this.#sendState(turn);
    }
  }

  #stillOwns(segments: readonly SegmentAtEpoch[]): boolean {
    const { claims } = this.#parts.ownership;
    return segments.every(({ segment, epoch }) => {
      return claims.owns(segment) && claims.get(segment)?.epoch === epoch;
    });
  }

  #sendState({ actions }: Turn): void {
    const giving = this.#handOver.giving;
    if (giving?.stage !== 'let-go') return;
    const { batch, pinned, segments, state, to } = giving;
    const message = { ...this.#sender, batch, pinned, segments, state };
    actions.push({ kind: 'send', to: to.node, message: { kind: 'segment-freeze', ...message } });
  }

  /** Our segments that another node should have, those of one node at a time. */
  #offerNext(candidates: readonly AdvertOf[], turn: Turn): void {
    const { ownership } = this.#parts;
    const isFit = candidates.some(({ node }) => node === this.#parts.settings.self);
    let to: Successor | undefined;
    let pinned = false;
    const segments: SegmentAtEpoch[] = [];
    for (const claim of ownership.claims.values()) {
      const { segment, epoch, settled } = claim;
      if (!settled || segments.length === BATCH) continue;
      const wish = this.#handOver.wishes.get(segment);
      const node = wish?.to ?? this.#placement(claim, isFit, turn.now);
      const peer = this.#successor(node, turn);
      if (!peer || (to && (to.node !== peer.node || pinned !== (wish?.pinned ?? false)))) continue;
      to = { node: peer.node, sid: peer.sid };
      pinned = wish?.pinned ?? false;
      segments.push({ segment, epoch });
    }
    if (!to) return;
    const { batch } = this.#handOver.offer(to, segments, pinned, turn.now);
    const message = { ...this.#sender, batch, segments };
    turn.actions.push({ kind: 'send', to: to.node, message: { kind: 'segment-give', ...message } });
  }

  /** Where a segment of ours should be; undefined where it is. */
  #placement(
    { segment, pinned, claimedAt }: OwnClaim,
    isFit: boolean,
    now: number,
  ): NodeId | undefined {
    const { preempt, self } = this.#parts.settings;
    if (isFit && (pinned || !preempt || now < claimedAt + HOLD)) return undefined;
    const node = this.#placed[segment];
    return node === self ? undefined : node;
  }

  #successor(node: NodeId | undefined, { now }: Turn): Peer | undefined {
    const { membership, settings } = this.#parts;
    const peer = node === undefined ? undefined : membership.peer(node);
    if (!peer || membership.isSilent(peer, now)) return undefined;
    return peer.view.has(settings.self) ? peer : undefined;
  }

  #reportDone({ actions }: Turn): void {
    const { claims } = this.#parts.ownership;
    for (const [node, { batch, segments }] of this.#received) {
      if (!segments.every(({ segment }) => claims.owns(segment))) continue;
      this.#received.delete(node);
      const message = { ...this.#sender, batch, segments };
      actions.push({ kind: 'send', to: node, message: { kind: 'segment-done', ...message } });
    }
  }

  #reportDrained(isDraining: boolean, { actions }: Turn): void {
    const isEmpty = this.#parts.ownership.claims.size === 0 && !this.#handOver.giving;
    if (isDraining && isEmpty && !this.#isDrained) {
      actions.push({ kind: 'emit', event: { kind: 'drained' } });
    }
    this.#isDrained = isDraining && isEmpty;
  }

  get #sender(): { readonly node: NodeId; readonly sid: Sid } {
    return { node: this.#parts.settings.self, sid: this.#parts.sid };
  }
}
