/**
 * One node's part in the cluster: who is there, who has which segment, and for how long.
 *
 * Every node sends a HEARTBEAT to every other, which claims segments and asks for a lease; the others
 * answer with LEASE. A majority of answers makes a claim an owner and keeps it one (`ownership.ts`,
 * `voter.ts`); what moves on purpose moves by a hand-over (`transfer.ts`). No I/O: actions come out, in
 * the order in which they must be performed.
 */
import { type Instant, instant } from '../wire/instant.ts';
import type { Epoch, Segment, Sid } from './ballot.ts';
import { type ClusterSettings, checkClusterSettings } from './cluster-settings.ts';
import type { CoordinatorAction, CoordinatorInput } from './coordinator-action.ts';
import type { CoordinatorMessage, HeartbeatMessage, LeaseMessage } from './coordinator-message.ts';
import { DEMOTION_OF, type Demotion } from './demotion.ts';
import { Introductions } from './introductions.ts';
import { Membership } from './membership.ts';
import type { NodeId } from './node-id.ts';
import { OwnCondition } from './own-condition.ts';
import { Ownership, type SnapshotOf, type Turn } from './ownership.ts';
import type { Peer } from './peer.ts';
import { Presence } from './presence.ts';
import type { SafetyRule } from './safety-rule.ts';
import { nodeOfSid, sidLayout, sidOf } from './sid.ts';
import { Transfer } from './transfer.ts';

/** One life of one node. */
export interface CoordinatorParts {
  readonly settings: ClusterSettings;
  /** Counts the starts of this node; written down before this one. */
  readonly boot: number;
  /** What the last `keep` of this node's former lives said; 0 at first. */
  readonly epochFloor: number;
  /** What the next life is given if this one says nothing; unset: the same. */
  readonly keptFloor?: number;
  /** 32 random bits. */
  readonly nonce: number;
  readonly now: Instant;
  /** For tests: rules that are switched off. */
  readonly without?: ReadonlySet<SafetyRule>;
}

/** A break between two calls, in heartbeats, after which silence of others may be our own. */
const STALL = 1.5;

/** How long a node that starts waits for the other one of two, in times of a take-over. */
const FIRST_CONTACT = 10;

/** How many epochs a note on disk is good for: hand-overs of all segments, thousands of times. */
export const EPOCH_STEP = 2 ** 20;

export class Coordinator {
  readonly sid: Sid;
  readonly #settings: ClusterSettings;
  readonly #without: ReadonlySet<SafetyRule>;
  readonly #membership: Membership;
  readonly #ownership: Ownership;
  readonly #transfer: Transfer;
  readonly #condition: OwnCondition;
  readonly #presence: Presence;
  readonly #introductions: Introductions;
  #epochFloor: number;
  #lastCall: number;
  #heartbeatAt: number;
  #isStopped = false;
  /** The input of this turn says nothing new: it moves leases and claims and nothing else. */
  #isQuiet = false;
  #hadContact = false;
  /** A node that has just started may expect to have it soon. */
  #everHadContact = false;

  constructor(parts: CoordinatorParts) {
    const { boot, nonce, now, epochFloor, without = new Set() } = parts;
    const settings = checkClusterSettings(parts.settings);
    const layout = sidLayout(Math.max(...settings.members.map(({ node }) => node)));
    const sid = sidOf(layout, settings.self, without.has('one-life') ? 1 : boot);
    const membership = new Membership(settings, now);
    const ownership = new Ownership({ settings, sid, membership, epochFloor, without });
    const condition = new OwnCondition(settings, membership, ownership);
    const listensUntil = without.has('quarantine') ? now : now + settings.timings.takeOver;
    this.sid = sid;
    this.#settings = settings;
    this.#without = without;
    this.#membership = membership;
    this.#ownership = ownership;
    this.#condition = condition;
    const expectsUntil = now + FIRST_CONTACT * settings.timings.takeOver;
    const times = { listensUntil, expectsUntil };
    this.#presence = new Presence({ settings, membership, ownership, condition, ...times });
    this.#introductions = new Introductions({ settings, sid, boot, nonce, ownership });
    this.#transfer = new Transfer({ settings, sid, membership, ownership });
    this.#epochFloor = parts.keptFloor ?? epochFloor;
    this.#lastCall = now;
    this.#heartbeatAt = now;
  }

  /** Until when this node may transmit for what it owns. */
  get leaseUntil(): number {
    return this.#ownership.until;
  }

  get demotion(): Demotion {
    return this.#condition.demotion;
  }

  get peers(): Iterable<Peer> {
    return this.#membership.peers;
  }

  /** Nodes that are heard, this one left out. */
  get view(): readonly NodeId[] {
    return this.#presence.view;
  }

  get isAlone(): boolean {
    return this.#ownership.isAlone;
  }

  owns(segment: Segment): boolean {
    return this.#ownership.claims.owns(segment);
  }

  get owned(): number {
    return this.#ownership.claims.owned;
  }

  /** The highest epoch that was heard of: a message about this segment with a lower one is dropped. */
  epoch(segment: Segment): Epoch {
    return this.#ownership.voter.records.epoch(segment);
  }

  /** Who has a segment as far as this node knows; undefined when nobody. */
  ownerOf(segment: Segment): { readonly node: NodeId; readonly sid: Sid } | undefined {
    const { records } = this.#ownership.voter;
    if (records.isFree(segment)) return undefined;
    const sid = records.sid(segment);
    const highest = Math.max(...this.#settings.members.map(({ node }) => node));
    return { node: nodeOfSid(sidLayout(highest), sid), sid };
  }

  /** What a snapshot of ours says of its maker. */
  snapshotHead(): SnapshotOf {
    const owns = [...this.#ownership.claims.values()].filter(({ settled }) => settled);
    return { node: this.#settings.self, synced: this.#ownership.isSynced, owns };
  }

  /** Whether these snapshots are all that this node needs to say `synced`. */
  isCovered(snapshots: readonly SnapshotOf[]): boolean {
    return this.#ownership.isCovered(snapshots);
  }

  handle(input: CoordinatorInput, now: Instant): readonly CoordinatorAction[] {
    const turn: Turn = { now, actions: [] };
    this.#isQuiet = false;
    if (this.#isStopped) return turn.actions;
    this.#noticeStall(turn);
    this.#presence.keepAlone(turn);
    this.#ownership.checkLapse(turn);
    this.#take(input, turn);
    if (!this.#isStopped && !IDLE.has(input.kind)) this.#progress(turn);
    this.#keepEpochs(turn);
    return turn.actions;
  }

  /** When to call with `tick` at the latest. */
  nextDeadline(): Instant {
    const ownership = this.#ownership;
    if (ownership.isUrgent) return instant(this.#lastCall);
    let at = Math.min(this.#heartbeatAt, this.#transfer.deadline, ownership.claimDeadline);
    if (ownership.claims.size > 0 && ownership.until > this.#lastCall) {
      at = Math.min(at, ownership.until);
    }
    return instant(Math.min(at, this.#presence.deadline));
  }

  /** Written down before anybody hears that an epoch was accepted, and rarely. */
  #keepEpochs({ actions }: Turn): void {
    const { highestEpoch } = this.#ownership.voter.records;
    if (highestEpoch <= this.#epochFloor) return;
    this.#epochFloor = highestEpoch + EPOCH_STEP;
    actions.unshift({ kind: 'keep', epochFloor: this.#epochFloor });
  }

  #noticeStall(turn: Turn): void {
    const { now } = turn;
    const { heartbeat, lease } = this.#settings.timings;
    const gap = now - this.#lastCall;
    this.#lastCall = now;
    if (gap <= heartbeat * STALL || this.#without.has('listen-after-stall')) return;
    this.#membership.listenSince = now;
    // The other one of two may have gone on alone, without a voter that could tell us.
    if (gap > lease && this.#membership.other) this.#condition.missed('stall', turn);
  }

  #take(input: CoordinatorInput, turn: Turn): void {
    switch (input.kind) {
      case 'tick':
        break;
      case 'message':
        this.#receive(input.message, turn);
        break;
      case 'frozen':
        this.#transfer.frozen(input.batch, input.state, turn);
        break;
      case 'applied':
        this.#ownership.applied(input.sid, input.position);
        break;
      case 'settled':
        this.#ownership.settle(input.segment);
        break;
      case 'synced':
        this.#condition.told();
        break;
      case 'resync':
        this.#condition.setSynced(false, turn);
        break;
      case 'legs':
        this.#condition.setLegs(input.legs, turn);
        break;
      case 'load':
        this.#condition.load = input.load;
        break;
      case 'demote':
        this.#condition.demote('operator', input.amount, turn);
        break;
      case 'drain':
        this.#condition.demote('drain', DEMOTION_OF.drain, turn);
        break;
      case 'undrain':
        this.#condition.demote('drain', 0, turn);
        break;
      case 'give':
        this.#transfer.give(input.segments, input.to);
        break;
      case 'take':
        this.#transfer.want(input.segments, turn);
        break;
      case 'unpin':
        this.#transfer.unpin();
        break;
      case 'declare-dead':
        this.#declareDead(input.node, turn);
        break;
      case 'stop':
        this.#stop(turn);
        break;
    }
  }

  #receive(message: CoordinatorMessage, turn: Turn): void {
    const peer = this.#membership.peer(message.node);
    if (!peer) return;
    if (message.kind === 'hello') {
      this.#introductions.received(peer, message, turn);
      return;
    }
    if (!peer.isSender(message.sid)) return;
    switch (message.kind) {
      case 'heartbeat':
        this.#heartbeat(peer, message, turn);
        break;
      case 'lease':
        this.#answer(peer, message, turn);
        break;
      case 'bye':
        this.#presence.gone(peer, turn);
        break;
      case 'segment-give':
        if (!this.#presence.isListening(turn.now)) this.#transfer.offered(peer, message, turn);
        break;
      case 'segment-take':
        this.#transfer.taken(peer, message, turn);
        break;
      case 'segment-freeze':
        this.#transfer.received(peer, message, turn);
        break;
      case 'segment-done':
        this.#transfer.done(peer, message);
        break;
    }
  }

  #heartbeat(peer: Peer, message: HeartbeatMessage, turn: Turn): void {
    const wasSilent = this.#membership.isSilent(peer, turn.now);
    const wasLost = wasSilent && Number.isFinite(peer.lastHeard);
    const news = peer.heartbeat(message, turn.now);
    this.#isQuiet = news !== 'changed' && !wasSilent;
    if (news === 'old') return;
    const owned = this.#ownership.claims.owned;
    for (const claim of message.claims) {
      if (claim.owned) {
        this.#ownership.yield(claim.segment, { epoch: claim.epoch, sid: message.sid }, turn);
      }
    }
    if (this.#membership.other) {
      if (this.#ownership.claims.owned < owned) this.#condition.missed('superseded', turn);
      else if (wasLost || peer.goesOnWithout(this.#settings.self))
        this.#condition.missed('unheard', turn);
    }
    const judgement = this.#ownership.voter.judge(message, turn.now);
    if (this.#presence.isListening(turn.now)) return;
    this.#transfer.noticed(turn);
    const applied = this.#ownership.positions();
    const { counter } = message;
    this.#send(
      peer.node,
      { kind: 'lease', ...this.#sender, to: message.sid, counter, ...judgement, applied },
      turn,
    );
  }

  #answer(peer: Peer, message: LeaseMessage, turn: Turn): void {
    if (message.to !== this.sid) return;
    peer.applied = message.applied;
    this.#isQuiet = true;
    this.#ownership.answered(message, turn);
  }

  #declareDead(node: NodeId, turn: Turn): void {
    const peer = this.#membership.peer(node);
    if (peer) this.#presence.gone(peer, turn);
  }

  #stop(turn: Turn): void {
    for (const { segment } of [...this.#ownership.claims.values()]) {
      this.#ownership.drop(segment, 'stopped', turn);
    }
    for (const peer of this.#membership.peers) {
      this.#send(peer.node, { kind: 'bye', ...this.#sender }, turn);
    }
    this.#isStopped = true;
  }

  #progress(turn: Turn): void {
    const { now } = turn;
    if (this.#isQuiet) {
      this.#ownership.confirm(turn);
      this.#ownership.publish(turn);
      if (!this.#ownership.isUrgent && !this.#contactChanged(now)) return;
    }
    this.#contactChanged(now);
    this.#presence.notice(turn);
    this.#condition.noticeTold(turn);
    const isDraining = this.#condition.demotion.has('drain');
    const own = { ...this.#condition.advert, isDraining };
    this.#transfer.progress(own, this.#presence.isListening(now), turn);
    this.#ownership.confirm(turn);
    if (this.#ownership.isUrgent || now >= this.#heartbeatAt) this.#sendHeartbeats(turn);
    if (this.#ownership.isAlone) this.#ownership.confirm(turn);
    this.#ownership.publish(turn);
  }

  /** A majority answers again, or not any more: others must hear of it, and orphans can be claimed. */
  #contactChanged(now: Instant): boolean {
    const hasContact = this.#ownership.hasContact(now);
    if (hasContact === this.#hadContact) return false;
    this.#everHadContact = true;
    this.#hadContact = hasContact;
    this.#ownership.isUrgent = true;
    return true;
  }

  #sendHeartbeats(turn: Turn): void {
    const { now } = turn;
    const ownership = this.#ownership;
    ownership.isUrgent = false;
    this.#heartbeatAt = now + this.#settings.timings.heartbeat;
    const message: HeartbeatMessage = {
      kind: 'heartbeat',
      ...this.#sender,
      counter: ownership.lease.sent(now),
      view: this.#presence.view,
      claims: ownership.claims.list(),
      advert: this.#condition.advert,
      legs: this.#condition.legs,
      load: this.#condition.load,
      alone: ownership.isAlone,
      contact: ownership.hasContact(now) || !this.#everHadContact,
      synced: ownership.isSynced,
    };
    for (const peer of this.#membership.peers) {
      const knowsUs = peer.view.has(this.#settings.self);
      if (!knowsUs) this.#introductions.introduce(peer, turn);
      this.#send(peer.node, message, turn);
    }
  }

  get #sender(): { readonly node: NodeId; readonly sid: Sid } {
    return { node: this.#settings.self, sid: this.sid };
  }

  #send(to: NodeId, message: CoordinatorMessage, { actions }: Turn): void {
    actions.push({ kind: 'send', to, message });
  }
}

/** Inputs that are only remembered. */
const IDLE: ReadonlySet<CoordinatorInput['kind']> = new Set(['applied', 'load']);
