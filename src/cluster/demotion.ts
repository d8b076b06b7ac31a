/**
 * How fit a node says it is, in the arithmetic of CARP: demotion, advbase, advskew; the lowest wins.
 *
 * As in OpenBSD's CARP the demotion counter is compared first: it is the sum of what is wrong with the
 * node now, and a node with a lower one is preferred even where `preempt` is off. Among equals the
 * interval `advbase + advskew/256` decides, as there. Unlike there it is a rank and no interval: all
 * nodes send heartbeats at one pace (`cluster.heartbeat`), because a lease needs it.
 */
import type { NodeId } from './node-id.ts';

/** What can be wrong with a node. */
export type DemotionReason =
  | 'uplink-down'
  | 'lan-leg-down'
  | 'sync-link-down'
  | 'drain'
  | 'boot'
  | 'operator';

/** What each adds. A node that has no state yet is the worst choice, one that wants to leave the next. */
export const DEMOTION_OF: Readonly<Record<Exclude<DemotionReason, 'operator'>, number>> = {
  'sync-link-down': 10,
  'lan-leg-down': 50,
  'uplink-down': 50,
  drain: 240,
  boot: 1000,
};

/** What a node tells of itself in each heartbeat. */
export interface Advert {
  readonly demotion: number;
  /** 1 to 255, default 1. */
  readonly advbase: number;
  /** 0 to 254, default 0. */
  readonly advskew: number;
}

export interface AdvertOf extends Advert {
  readonly node: NodeId;
}

/** The sum of what is wrong. */
export class Demotion {
  readonly #reasons = new Map<DemotionReason, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  has(reason: DemotionReason): boolean {
    return this.#reasons.has(reason);
  }

  /** What is wrong now, for listings. */
  reasons(): ReadonlyMap<DemotionReason, number> {
    return this.#reasons;
  }

  /** `amount` is the operator's; the others have theirs. Answers whether anything changed. */
  set(reason: DemotionReason, amount: number): boolean {
    if ((this.#reasons.get(reason) ?? 0) === amount) return false;
    if (amount === 0) this.#reasons.delete(reason);
    else this.#reasons.set(reason, amount);
    this.#total = [...this.#reasons.values()].reduce((sum, one) => sum + one, 0);
    return true;
  }
}

/** Negative when `a` is the better master. Equals are told apart by their numbers, as CARP does by address. */
export function compareAdverts(a: AdvertOf, b: AdvertOf): number {
  return a.demotion - b.demotion || interval(a) - interval(b) || a.node - b.node;
}

/** The nodes that may have segments: those with the lowest demotion of all. */
export function leastDemoted<T extends Advert>(adverts: readonly T[]): readonly T[] {
  const lowest = Math.min(...adverts.map(({ demotion }) => demotion));
  return adverts.filter(({ demotion }) => demotion === lowest);
}

/** In 256ths of a second, as CARP computes it. */
function interval({ advbase, advskew }: Advert): number {
  return advbase * 256 + advskew;
}
