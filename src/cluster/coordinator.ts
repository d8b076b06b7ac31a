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
import type {
  ClusterEvent,
  CoordinatorAction,
  CoordinatorInput,
  ResyncReason,
} from './coordinator-action.ts';
import type {
  CoordinatorMessage,
  HeartbeatMessage,
  HelloMessage,
  LeaseMessage,
  Legs,
} from './coordinator-message.ts';
import { DEMOTION_OF, Demotion, type DemotionReason } from './demotion.ts';
import { Membership } from './membership.ts';
import type { NodeId } from './node-id.ts';
import { Ownership, type SnapshotOf, type Turn } from './ownership.ts';
import { type Introduction, OLDEST_VERSION, type Peer, VERSION } from './peer.ts';
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
  /** 32 random bits. */
  readonly nonce: number;
  readonly now: Instant;
  /** For tests: rules that are switched off. */
  readonly without?: ReadonlySet<SafetyRule>;
}

/** A break between two calls, in heartbeats, after which silence of others may be our own. */
const STALL = 1.5;

/** How many epochs a note on disk is good for. */
const EPOCH_STEP = 1024;

export class Coordinator {
  readonly sid: Sid;
  readonly #settings: ClusterSettings;
  readonly #boot: number;
  readonly #nonce: number;
  readonly #without: ReadonlySet<SafetyRule>;
  readonly #membership: Membership;
  readonly #ownership: Ownership;
  readonly #transfer: Transfer;
  readonly #demotion = new Demotion();
  readonly #listensUntil: number;
  #epochFloor: number;
  #lastCall: number;
  #heartbeatAt: number;
  #legs: Legs = { wan: true, lan: true, sync: true };
  #load = 0;
  #view: readonly NodeId[] = [];
  #isStopped = false;
  /** The input of this turn says nothing new: it moves leases and claims and nothing else. */
  #isQuiet = false;
  #hadContact = false;
  /** A node that has just started may expect to have it soon. */
  #everHadContact = false;
  /** The caller has all state, which counts once nobody goes on without us. */
  #isTold = false;

  constructor(parts: CoordinatorParts) {
    const { settings, boot, nonce, now, epochFloor, without = new Set() } = parts;
    this.#settings = checkClusterSettings(settings);
    const layout = sidLayout(Math.max(...settings.members.map(({ node }) => node)));
    this.sid = sidOf(layout, settings.self, without.has('one-life') ? 1 : boot);
    this.#boot = boot;
    this.#nonce = nonce;
    this.#without = without;
    this.#membership = new Membership(settings, now);
    this.#ownership = new Ownership({
      settings,
      sid: this.sid,
      membership: this.#membership,
      epochFloor,
      without,
    });
    this.#transfer = new Transfer({
      settings,
      sid: this.sid,
      membership: this.#membership,
      ownership: this.#ownership,
    });
    this.#demotion.set('boot', DEMOTION_OF.boot);
    this.#listensUntil = without.has('quarantine') ? now : now + settings.timings.takeOver;
    this.#epochFloor = epochFloor;
    this.#lastCall = now;
    this.#heartbeatAt = now;
  }

  /** Until when this node may transmit for what it owns. */
  get leaseUntil(): number {
    return this.#ownership.until;
  }

  get demotion(): Demotion {
    return this.#demotion;
  }

  get peers(): Iterable<Peer> {
    return this.#membership.peers;
  }

  /** Nodes that are heard, this one left out. */
  get view(): readonly NodeId[] {
    return this.#view;
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
    this.#keepAlone(turn);
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
    for (const peer of this.#membership.peers) {
      if (this.#view.includes(peer.node)) at = Math.min(at, this.#membership.silentAt(peer));
    }
    return instant(at);
  }

  /**
   * Of two that may go on alone: when the answers stop because the other is silent too, what is ours
   * stays ours. What was the other's still waits for the whole time of a take-over.
   */
  #keepAlone(turn: Turn): void {
    const { other, listenSince } = this.#membership;
    const { alone, timings } = this.#settings;
    if (!other || alone === 'hold' || turn.now < this.#ownership.until) return;
    if (this.#ownership.claims.owned === 0 || this.#ownership.isAlone) return;
    const heard = Math.max(other.lastHeard, listenSince);
    if (turn.now < heard + 2 * timings.heartbeat) return;
    this.#ownership.setAlone(true, turn);
    this.#ownership.publish(turn);
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
    if (gap > lease && this.#membership.other) this.#missed('stall', turn);
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
        this.#isTold = true;
        break;
      case 'resync':
        this.#setSynced(false, turn);
        break;
      case 'legs':
        this.#setLegs(input.legs, turn);
        break;
      case 'load':
        this.#load = input.load;
        break;
      case 'demote':
        this.#demote('operator', input.amount, turn);
        break;
      case 'drain':
        this.#demote('drain', DEMOTION_OF.drain, turn);
        break;
      case 'undrain':
        this.#demote('drain', 0, turn);
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
      this.#hello(peer, message, turn);
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
        this.#gone(peer, turn);
        break;
      case 'segment-give':
        if (!this.#isListening(turn.now)) this.#transfer.offered(peer, message, turn);
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

  #hello(peer: Peer, message: HelloMessage, turn: Turn): void {
    const { actions } = turn;
    if (
      message.yourBoot > this.#boot ||
      (message.yourBoot === this.#boot && message.yourNonce !== this.#nonce)
    ) {
      actions.push({ kind: 'sid-refused', boot: message.yourBoot + 1 });
    }
    const introduction = peer.introduce(message, this.#settings.configuration);
    if (introduction.kind === 'new') this.#welcome(peer, introduction.dead, turn);
    this.#tellRefusal(peer, message, introduction, turn);
    // It may not have ours yet, or must learn that its number is taken.
    const isAnswered = turn.now < peer.answeredAt + this.#settings.timings.heartbeat;
    if (introduction.kind === 'known' || isAnswered) return;
    peer.answeredAt = turn.now;
    this.#send(peer.node, this.#ownHello(peer), turn);
  }

  #welcome(peer: Peer, dead: Sid, turn: Turn): void {
    const { node, sid, differences } = peer;
    this.#bury(dead);
    peer.answeredAt = Number.NEGATIVE_INFINITY;
    emit(turn, { kind: 'node-up', node, sid });
    if (differences.length === 0) return;
    const fields = differences.map(({ name }) => name);
    emit(turn, { kind: 'configuration-differs', node, fields, refused: false });
  }

  /** Once for each reason, however often it comes. */
  #tellRefusal(peer: Peer, hello: HelloMessage, introduction: Introduction, turn: Turn): void {
    const { node } = peer;
    let event: ClusterEvent | undefined;
    if (introduction.kind === 'version') {
      event = { kind: 'version-refused', node, version: hello.version };
    } else if (introduction.kind === 'mismatch') {
      const { fields } = introduction;
      event = { kind: 'configuration-differs', node, fields, refused: true };
    }
    const reason = event ? JSON.stringify(event) : '';
    if (event && reason !== peer.refusedFor) emit(turn, event);
    peer.refusedFor = reason;
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
      if (this.#ownership.claims.owned < owned) this.#missed('superseded', turn);
      else if (wasLost || this.#goesOnAlone(peer)) this.#missed('unheard', turn);
    }
    const judgement = this.#ownership.voter.judge(message, turn.now);
    if (this.#isListening(turn.now)) return;
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

  #gone(peer: Peer, turn: Turn): void {
    if (peer.isGone) return;
    peer.isGone = true;
    this.#bury(peer.sid);
    this.#view = this.#view.filter((node) => node !== peer.node);
    this.#ownership.isUrgent = true;
    emit(turn, { kind: 'node-down', node: peer.node, reason: 'bye' });
    // The other one of two is not there: no message of it can be under way to somebody else.
    if (this.#membership.other === peer && !this.#isListening(turn.now)) {
      this.#ownership.setAlone(true, turn);
    }
  }

  #declareDead(node: NodeId, turn: Turn): void {
    const peer = this.#membership.peer(node);
    if (peer) this.#gone(peer, turn);
  }

  #bury(sid: Sid): void {
    if (this.#without.has('one-life')) return;
    this.#membership.bury(sid);
    this.#ownership.voter.records.buried(sid);
  }

  #setSynced(synced: boolean, turn: Turn): void {
    this.#ownership.isSynced = synced;
    this.#demote('boot', synced ? 0 : DEMOTION_OF.boot, turn);
  }

  /** Of two: as long as the other goes on alone it does not wait for us, and we may miss what it does. */
  #noticeTold(turn: Turn): void {
    const { other } = this.#membership;
    if (!this.#isTold || (other && this.#goesOnAlone(other))) return;
    this.#isTold = false;
    this.#setSynced(true, turn);
  }

  /** It hears us no more, and waits for no acknowledgement of ours. */
  #goesOnAlone(peer: Peer): boolean {
    if (peer.isGone || peer.lastHeard === Number.NEGATIVE_INFINITY) return false;
    return peer.alone || !peer.view.has(this.#settings.self);
  }

  /** State that went past us is missing: without it we may carry nothing on. */
  #missed(reason: ResyncReason, turn: Turn): void {
    this.#isTold = false;
    if (!this.#ownership.isSynced) return;
    this.#setSynced(false, turn);
    turn.actions.push({ kind: 'resync', reason });
  }

  #setLegs(legs: Legs, turn: Turn): void {
    this.#legs = legs;
    this.#demote('uplink-down', legs.wan ? 0 : DEMOTION_OF['uplink-down'], turn);
    this.#demote('lan-leg-down', legs.lan ? 0 : DEMOTION_OF['lan-leg-down'], turn);
    this.#demote('sync-link-down', legs.sync ? 0 : DEMOTION_OF['sync-link-down'], turn);
  }

  #demote(reason: DemotionReason, amount: number, turn: Turn): void {
    if (!this.#demotion.set(reason, amount)) return;
    this.#ownership.isUrgent = true;
    emit(turn, { kind: 'demoted', reason, demotion: this.#demotion.total });
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

  /** A node that has just started: whoever it promised something before may still count on it. */
  #isListening(now: Instant): boolean {
    return now < this.#listensUntil;
  }

  #progress(turn: Turn): void {
    const { now } = turn;
    if (this.#isQuiet) {
      this.#ownership.confirm(turn);
      this.#ownership.publish(turn);
      if (!this.#ownership.isUrgent && !this.#contactChanged(now)) return;
    }
    this.#contactChanged(now);
    this.#notice(turn);
    this.#noticeTold(turn);
    const isDraining = this.#demotion.has('drain');
    const own = { ...this.#ownAdvert(), isDraining };
    this.#transfer.progress(own, this.#isListening(now), turn);
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

  /** Who fell silent, and whether that leaves us alone. */
  #notice(turn: Turn): void {
    const { now } = turn;
    const view = this.#membership.view(now);
    for (const node of this.#view) {
      if (!view.includes(node)) emit(turn, { kind: 'node-down', node, reason: 'silent' });
    }
    if (view.length !== this.#view.length || view.some((node, at) => node !== this.#view[at])) {
      this.#ownership.isUrgent = true;
      this.#view = view;
    }
    const { other, listenSince } = this.#membership;
    if (!other || this.#isListening(now)) return;
    if (this.#settings.alone === 'hold') {
      // Perhaps it goes on, and we do not hear how.
      const isLost = !other.isGone && Number.isFinite(other.lastHeard);
      if (isLost && this.#membership.isSilent(other, now)) this.#missed('unheard', turn);
      return;
    }
    const listened = now >= listenSince + this.#settings.timings.takeOver;
    if (listened && this.#membership.isSilent(other, now)) this.#ownership.setAlone(true, turn);
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
      view: this.#view,
      claims: ownership.claims.list(),
      advert: this.#ownAdvert(),
      legs: this.#legs,
      load: this.#load,
      alone: ownership.isAlone,
      contact: ownership.hasContact(now) || !this.#everHadContact,
      synced: ownership.isSynced,
    };
    for (const peer of this.#membership.peers) {
      const knowsUs = peer.view.has(this.#settings.self);
      if (!knowsUs) this.#send(peer.node, this.#ownHello(peer), turn);
      this.#send(peer.node, message, turn);
    }
  }

  #ownHello(peer: Peer): HelloMessage {
    return {
      kind: 'hello',
      ...this.#sender,
      boot: this.#boot,
      nonce: this.#nonce,
      version: VERSION,
      oldestVersion: OLDEST_VERSION,
      capabilities: this.#settings.capabilities,
      configuration: this.#settings.configuration,
      yourBoot: peer.boot,
      yourNonce: peer.nonce,
    };
  }

  #ownAdvert() {
    const { self, advbase, advskew, members } = this.#settings;
    const weight = members.find(({ node }) => node === self)?.weight ?? 0;
    return { node: self, weight, advbase, advskew, demotion: this.#demotion.total };
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

function emit({ actions }: Turn, event: ClusterEvent): void {
  actions.push({ kind: 'emit', event });
}
