/**
 * Who is there, as it changes: nodes that fall silent or say goodbye, and what that means for two nodes
 * of which one may go on alone.
 */
import type { Sid } from './ballot.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { Membership } from './membership.ts';
import type { NodeId } from './node-id.ts';
import type { OwnCondition } from './own-condition.ts';
import type { Ownership, Turn } from './ownership.ts';
import type { Peer } from './peer.ts';

export interface PresenceParts {
  readonly settings: ClusterSettings;
  readonly membership: Membership;
  readonly ownership: Ownership;
  readonly condition: OwnCondition;
  /** Until when a node that has just started only listens. */
  readonly listensUntil: number;
  /** Until when it waits for the other one of two, if it never heard of it. */
  readonly expectsUntil: number;
}

export class Presence {
  readonly #parts: PresenceParts;
  /** Who fell silent: the process, and when it was last heard. */
  readonly #lost = new Map<NodeId, { readonly sid: Sid; readonly lastHeard: number }>();
  #view: readonly NodeId[] = [];

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** Nodes that are heard, this one left out. */
  get view(): readonly NodeId[] {
    return this.#view;
  }

  /** When somebody that is heard is silent for too long. */
  get deadline(): number {
    const { membership } = this.#parts;
    let at = Number.POSITIVE_INFINITY;
    for (const peer of membership.peers) {
      if (this.#view.includes(peer.node)) at = Math.min(at, membership.silentAt(peer));
    }
    return at;
  }

  /** Whoever was promised something before may still count on it. */
  isListening(now: number): boolean {
    return now < this.#parts.listensUntil;
  }

  /**
   * Of two that may go on alone: when the answers stop because the other is silent too, what is ours
   * stays ours. What was the other's still waits for the whole time of a take-over.
   */
  keepAlone(turn: Turn): void {
    const { membership, ownership, settings } = this.#parts;
    const { other, listenSince } = membership;
    if (!other || settings.alone === 'hold' || turn.now < ownership.until) return;
    if (ownership.claims.owned === 0 || ownership.isAlone) return;
    const heard = Math.max(other.lastHeard, listenSince);
    if (turn.now < heard + 2 * settings.timings.heartbeat) return;
    ownership.setAlone(true, turn);
    ownership.publish(turn);
  }

  /** It said goodbye, or an operator says that it is gone. */
  gone(peer: Peer, turn: Turn): void {
    const { membership, ownership } = this.#parts;
    const { node } = peer;
    if (peer.isGone) return;
    peer.isGone = true;
    ownership.bury(peer.sid);
    this.#view = this.#view.filter((one) => one !== node);
    ownership.isUrgent = true;
    turn.actions.push({ kind: 'emit', event: { kind: 'node-down', node, reason: 'bye' } });
    // The other one of two is not there: no message of it can be under way to somebody else.
    if (membership.other === peer && !this.isListening(turn.now)) ownership.setAlone(true, turn);
  }

  /** Another process says hello; the same one is only heard again. */
  #noticeReturn({ actions }: Turn): void {
    for (const [node, { sid, lastHeard }] of this.#lost) {
      const peer = this.#parts.membership.peer(node);
      const isSame = peer?.sid === sid && !peer.isGone;
      if (isSame && peer.lastHeard <= lastHeard) continue;
      this.#lost.delete(node);
      if (isSame) actions.push({ kind: 'emit', event: { kind: 'node-back', node, sid } });
    }
  }

  /** Who fell silent, and whether that leaves us alone. */
  notice(turn: Turn): void {
    const { condition, membership, ownership, settings } = this.#parts;
    const { now } = turn;
    const view = membership.view(now);
    for (const node of this.#view) {
      if (view.includes(node)) continue;
      turn.actions.push({ kind: 'emit', event: { kind: 'node-down', node, reason: 'silent' } });
      const peer = membership.peer(node);
      if (peer) this.#lost.set(node, { sid: peer.sid, lastHeard: peer.lastHeard });
    }
    if (this.#lost.size > 0) this.#noticeReturn(turn);
    if (view.length !== this.#view.length || view.some((node, at) => node !== this.#view[at])) {
      ownership.isUrgent = true;
      this.#view = view;
    }
    const { other, listenSince } = membership;
    if (!other || this.isListening(now)) return;
    const isSilent = membership.isSilent(other, now);
    if (settings.alone === 'hold') {
      // Perhaps it goes on, and we do not hear how.
      const isLost = !other.isGone && Number.isFinite(other.lastHeard);
      if (isLost && isSilent) condition.missed('unheard', turn);
      return;
    }
    // Two that start at once, or one beside a busy one, may take a while to hear each other: who goes on
    // alone then, knowing nothing, takes from the other what it has.
    const isExpected = other.lastHeard === Number.NEGATIVE_INFINITY && !other.isGone;
    if (isExpected && now < this.#parts.expectsUntil) return;
    const listened = now >= listenSince + settings.timings.takeOver;
    if (listened && isSilent) ownership.setAlone(true, turn);
  }
}
