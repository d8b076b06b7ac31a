/** Single turns of the engine, without the engine. */
import type { Event } from '../../src/events/event.ts';
import type { Action } from '../../src/ike/action.ts';
import { SaNumbers } from '../../src/ike/sa-numbers.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { type IkeEnvironment, Turn } from '../../src/ike/turn.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import { instant } from '../../src/wire/instant.ts';
import { seededRandom } from './seeded-random.ts';

export function environment(changes: Partial<IkeEnvironment> = {}): IkeEnvironment {
  return {
    random: seededRandom(1),
    pad: new Pad(),
    pools: new AddressPools(),
    settings: DEFAULT_IKE_SETTINGS,
    traffic: { lastInbound: () => undefined, lastOutbound: () => undefined },
    keyLog: false,
    ...changes,
  };
}

export function turnAt(milliseconds: number, changes: Partial<IkeEnvironment> = {}): Turn {
  const surroundings = environment(changes);
  return new Turn(surroundings, new SaNumbers(surroundings.random), instant(milliseconds));
}

/** Actions of one kind, in order. */
export function actionsOf<Kind extends Action['kind']>(turn: Turn, kind: Kind) {
  return turn.actions.filter(
    (action): action is Action & { readonly kind: Kind } => action.kind === kind,
  );
}

/** Events of one kind, in order. */
export function eventsOf<Kind extends Event['kind']>(turn: Turn, kind: Kind) {
  return actionsOf(turn, 'emit')
    .map(({ event }) => event)
    .filter((event): event is Event & { readonly kind: Kind } => event.kind === kind);
}
