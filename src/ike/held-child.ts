/**
 * A Child SA as its IKE SA holds it: from its installation over its replacement to its end
 * (RFC 7296 §2.8, §2.25.1). The state says what is awaited.
 */
import type { RandomBytes } from '../crypto/random.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { ChildPolicy } from '../ipsec/connection.ts';
import { drawSoft } from '../ipsec/lifetime.ts';
import { after, earliest, type Instant } from '../wire/instant.ts';

export type ChildState =
  | { readonly name: 'Installed' }
  /** Our request to replace it is on its way, or waits for the window. */
  | { readonly name: 'Rekeying' }
  /** The peer made a successor and deletes it; past `until` we do. */
  | { readonly name: 'Replaced'; readonly successor: HeldChild; readonly until: Instant }
  /** Made in the exchange that lost a simultaneous rekey: its creator, the peer, deletes it. */
  | { readonly name: 'Redundant'; readonly until: Instant }
  /** Our Delete is on its way, or waits for the window. */
  | { readonly name: 'Deleting'; readonly reason: string; readonly replaced: boolean }
  /** Deleted at both ends; what was under way is still taken until then. */
  | { readonly name: 'Draining'; readonly until: Instant };

export type ChildStateName = ChildState['name'];

/** Every transition there is. */
export const CHILD_TRANSITIONS: Readonly<Record<ChildStateName, readonly ChildStateName[]>> = {
  Installed: ['Rekeying', 'Replaced', 'Redundant', 'Deleting', 'Draining'],
  Rekeying: ['Installed', 'Replaced', 'Redundant', 'Deleting', 'Draining'],
  Replaced: ['Deleting', 'Draining'],
  Redundant: ['Deleting', 'Draining'],
  Deleting: ['Draining'],
  Draining: [],
};

export class HeldChild {
  readonly policy: ChildPolicy;
  readonly installed: Instant;
  /** Past it the Child SA is gone, replaced or not; undefined = never. */
  readonly expireAt: Instant | undefined;
  /** As it is now: moving changes its addresses. */
  childSa: ChildSa;
  /** When to replace it; a failed attempt puts it off. */
  rekeyAt: Instant | undefined;
  /** It does not send until the peer proves that it has it (`OutboundUse`). */
  waitsForPeer: boolean;
  #state: ChildState = { name: 'Installed' };

  constructor(childSa: ChildSa, policy: ChildPolicy, now: Instant, random: RandomBytes) {
    const { rekey, life, random: spread } = policy.lifetime.seconds;
    const soft = drawSoft(rekey, spread, random);
    this.childSa = childSa;
    this.policy = policy;
    this.installed = now;
    this.rekeyAt = soft === undefined ? undefined : after(now, soft * 1000);
    this.expireAt = life === 0 ? undefined : after(now, life * 1000);
    this.waitsForPeer = childSa.outbound === 'after-inbound';
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Carries traffic for its policy, and nobody is taking it down. */
  get isUp(): boolean {
    return this.#state.name === 'Installed' || this.#state.name === 'Rekeying';
  }

  /** Known to the peer: a Delete or a rekey may name it. */
  get isHeldByPeer(): boolean {
    return this.#state.name !== 'Draining';
  }

  move(state: ChildState): void {
    const allowed: readonly ChildStateName[] = CHILD_TRANSITIONS[this.#state.name];
    if (!allowed.includes(state.name)) {
      throw new Error(
        `child SA ${this.childSa.id}: no transition ${this.#state.name} -> ${state.name}`,
      );
    }
    this.#state = state;
  }

  /** When it next wants a look; inactivity is `upkeep.ts`'s. */
  nextDeadline(): Instant | undefined {
    const state = this.#state;
    if ('until' in state) return state.until;
    const rekeyAt = state.name === 'Installed' ? this.rekeyAt : undefined;
    return this.isUp ? earliest(rekeyAt, this.expireAt) : undefined;
  }
}
