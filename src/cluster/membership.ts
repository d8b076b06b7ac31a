/**
 * Which nodes are there: heard within the wait of a take-over, and what they say of whom they hear.
 *
 * One node's ear proves little: a node counts as gone when it is silent here and at so many others that
 * no majority is left for it.
 */
import type { Sid } from './ballot.ts';
import { type ClusterSettings, majorityOf } from './cluster-settings.ts';
import { type AdvertOf, leastDemoted } from './demotion.ts';
import type { NodeId } from './node-id.ts';
import { Peer } from './peer.ts';

export class Membership {
  readonly self: NodeId;
  readonly majority: number;
  readonly #takeOver: number;
  readonly #peers = new Map<NodeId, Peer>();
  /** Processes that are over. */
  readonly #dead = new Set<Sid>();
  /** Since when we listen without a break. */
  listenSince: number;

  constructor(settings: ClusterSettings, now: number) {
    this.self = settings.self;
    this.majority = majorityOf(settings.members);
    this.#takeOver = settings.timings.takeOver;
    this.listenSince = now;
    for (const member of settings.members) {
      if (member.node !== settings.self) this.#peers.set(member.node, new Peer(member));
    }
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** The only other node of two. */
  get other(): Peer | undefined {
    if (this.#peers.size !== 1) return undefined;
    for (const peer of this.#peers.values()) return peer;
    return undefined;
  }

  peer(node: NodeId): Peer | undefined {
    return this.#peers.get(node);
  }

  bySid(sid: Sid): Peer | undefined {
    for (const peer of this.#peers.values()) if (peer.sid === sid) return peer;
    return undefined;
  }

  bury(sid: Sid): void {
    this.#dead.add(sid);
  }

  isDead(sid: Sid): boolean {
    return this.#dead.has(sid);
  }

  /** Nothing of this peer for so long that no lease of it is left; a time we slept does not count. */
  isSilent(peer: Peer, now: number): boolean {
    return peer.isGone || now >= this.silentAt(peer);
  }

  silentAt(peer: Peer): number {
    if (peer.lastHeard === Number.NEGATIVE_INFINITY) return peer.lastHeard;
    return Math.max(peer.lastHeard, this.listenSince) + this.#takeOver;
  }

  /** Whom we hear, for a heartbeat. */
  view(now: number): readonly NodeId[] {
    const view: NodeId[] = [];
    for (const peer of this.#peers.values()) if (!this.isSilent(peer, now)) view.push(peer.node);
    return view;
  }

  /** Whether the others that we hear say, with us, that no majority hears this node. */
  majorityMisses(node: NodeId, now: number): boolean {
    let misses = 1;
    for (const peer of this.#peers.values()) {
      if (peer.node === node || this.isSilent(peer, now)) continue;
      if (!peer.view.has(node)) misses++;
    }
    return misses >= this.majority;
  }

  /**
   * The nodes that can have segments: heard by a majority, agreeing with us, and none less fit than another.
   * What a majority hears, and not our own ear, so that all nodes that hear each other say the same.
   */
  candidates(own: AdvertOf & { readonly weight: number }, now: number): readonly AdvertOf[] {
    const there: AdvertOf[] = own.weight > 0 ? [own] : [];
    for (const peer of this.#peers.values()) {
      if (peer.weight === 0 || !peer.agrees || !peer.contact || peer.isGone) continue;
      if (this.#isHeard(peer, now)) there.push({ ...peer.advert, node: peer.node });
    }
    return leastDemoted(there).toSorted((a, b) => a.node - b.node);
  }

  #isHeard(peer: Peer, now: number): boolean {
    let heard = this.isSilent(peer, now) ? 1 : 2;
    for (const other of this.#peers.values()) {
      if (other !== peer && other.view.has(peer.node) && !this.isSilent(other, now)) heard++;
    }
    return heard >= this.majority;
  }
}
