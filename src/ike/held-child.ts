/**
 * A Child SA as its IKE SA holds it: from its installation over its replacement to its end
 * (RFC 7296 §2.8, §2.25.1). The state says what is awaited.
 */
import type { RandomBytes } from '../crypto/random.ts';
import type { ChildSa, OutboundUse } from '../ipsec/child-sa.ts';
import type { ChildPolicy } from '../ipsec/connection.ts';
import { drawSoft } from '../ipsec/lifetime.ts';
import { formatSpi } from '../ipsec/spi.ts';
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

/** How far a Child SA has come: of one that goes on here, made elsewhere. */
export interface ChildLife {
  readonly installed: Instant;
  readonly rekeyAt: Instant | undefined;
  readonly expireAt: Instant | undefined;
  readonly state: ChildState;
}

function newLife({ lifetime }: ChildPolicy, now: Instant, random: RandomBytes): ChildLife {
  const { rekey, life, random: spread } = lifetime.seconds;
  const soft = drawSoft(rekey, spread, random);
  return {
    installed: now,
    rekeyAt: soft === undefined ? undefined : after(now, soft * 1000),
    expireAt: life === 0 ? undefined : after(now, life * 1000),
    state: { name: 'Installed' },
  };
}

export class HeldChild {
  readonly policy: ChildPolicy;
  readonly installed: Instant;
  /** Past it the Child SA is gone, replaced or not; undefined = never. */
  readonly expireAt: Instant | undefined;
  /** As it is now: moving changes its addresses. */
  childSa: ChildSa;
  /** When to replace it; a failed attempt puts it off. */
  rekeyAt: Instant | undefined;
  /** Whether it sends, as far as the packet loop was told. */
  outbound: OutboundUse;
  #state: ChildState;

  constructor(childSa: ChildSa, policy: ChildPolicy, now: Instant, life: RandomBytes | ChildLife) {
    const { installed, rekeyAt, expireAt, state } =
      typeof life === 'function' ? newLife(policy, now, life) : life;
    this.childSa = childSa;
    this.policy = policy;
    this.installed = installed;
    this.rekeyAt = rekeyAt;
    this.expireAt = expireAt;
    this.outbound = childSa.outbound;
    this.#state = state;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** It does not send until the peer proves that it has it (`OutboundUse`). */
  get waitsForPeer(): boolean {
    return this.outbound === 'after-inbound';
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

/** The event that tells the end of a Child SA, but for its subject. */
export function childDown(childSa: ChildSa, reason: string) {
  return {
    kind: 'child-sa-down',
    child: childSa.name,
    childSa: childSa.id,
    spiIn: formatSpi(childSa.spiIn),
    spiOut: formatSpi(childSa.spiOut),
    reason,
  } as const;
}
