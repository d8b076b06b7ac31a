/**
 * How fit this node is, as it says to the others: what is broken, how loaded it is, and whether it has
 * all state that others acknowledged for it.
 */
import type { ClusterSettings } from './cluster-settings.ts';
import type { ResyncReason } from './coordinator-action.ts';
import type { Legs } from './coordinator-message.ts';
import { DEMOTION_OF, Demotion, type DemotionReason } from './demotion.ts';
import type { Membership } from './membership.ts';
import type { Ownership, Turn } from './ownership.ts';
import type { OwnAdvert } from './transfer.ts';

export class OwnCondition {
  readonly demotion = new Demotion();
  readonly #settings: ClusterSettings;
  readonly #membership: Membership;
  readonly #ownership: Ownership;
  #legs: Legs = { wan: true, lan: true, sync: true };
  load = 0;
  /** The caller has all state, which counts once nobody goes on without us. */
  #isTold = false;

  constructor(settings: ClusterSettings, membership: Membership, ownership: Ownership) {
    this.#settings = settings;
    this.#membership = membership;
    this.#ownership = ownership;
    this.demotion.set('boot', DEMOTION_OF.boot);
  }

  get legs(): Legs {
    return this.#legs;
  }

  /** Without what only this node makes of it. */
  get advert(): Omit<OwnAdvert, 'isDraining'> {
    const { self, advbase, advskew, members } = this.#settings;
    const weight = members.find(({ node }) => node === self)?.weight ?? 0;
    return { node: self, weight, advbase, advskew, demotion: this.demotion.total };
  }

  demote(reason: DemotionReason, amount: number, { actions }: Turn): void {
    if (!this.demotion.set(reason, amount)) return;
    this.#ownership.isUrgent = true;
    const demotion = this.demotion.total;
    actions.push({ kind: 'emit', event: { kind: 'demoted', reason, demotion } });
  }

  setLegs(legs: Legs, turn: Turn): void {
    this.#legs = legs;
    this.demote('uplink-down', legs.wan ? 0 : DEMOTION_OF['uplink-down'], turn);
    this.demote('lan-leg-down', legs.lan ? 0 : DEMOTION_OF['lan-leg-down'], turn);
    this.demote('sync-link-down', legs.sync ? 0 : DEMOTION_OF['sync-link-down'], turn);
  }

  setSynced(synced: boolean, turn: Turn): void {
    this.#ownership.isSynced = synced;
    this.demote('boot', synced ? 0 : DEMOTION_OF.boot, turn);
  }

  /** The caller has all state. */
  told(): void {
    this.#isTold = true;
  }

  /** Of two: as long as the other goes on alone it does not wait for us, and we may miss what it does. */
  noticeTold(turn: Turn): void {
    const { other } = this.#membership;
    if (!this.#isTold || other?.goesOnWithout(this.#settings.self)) return;
    this.#isTold = false;
    this.setSynced(true, turn);
  }

  /** State that went past us is missing: without it we may carry nothing on. */
  missed(reason: ResyncReason, turn: Turn): void {
    this.#isTold = false;
    if (!this.#ownership.isSynced) return;
    this.setSynced(false, turn);
    turn.actions.push({ kind: 'resync', reason });
  }
}
