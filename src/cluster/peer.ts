/**
 * Another node, as its own messages show it: its process, whom it hears, how fit it is.
 *
 * A peer is one process at a time. A HELLO with a higher start number is another process, and the
 * one before it is dead. Nothing is believed of a process whose HELLO was not accepted.
 */
import { NOBODY, type Sid } from './ballot.ts';
import type { ConfigurationField, Member } from './cluster-settings.ts';
import type { HeartbeatMessage, HelloMessage, LeaseMessage, Legs } from './coordinator-message.ts';
import type { Advert } from './demotion.ts';
import type { NodeId } from './node-id.ts';

/** Versions of these messages that this node speaks. */
export const VERSION = 1;
export const OLDEST_VERSION = 1;

/** What came of a HELLO. */
export type Introduction =
  | { readonly kind: 'known' }
  /** Another process than before, or the first one. `dead` is the one before. */
  | { readonly kind: 'new'; readonly dead: Sid }
  /** An older process than the one that is known, or two that share a start number. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'version' }
  /** Fields of weight `protocol` that differ. */
  | { readonly kind: 'mismatch'; readonly fields: readonly string[] };

export class Peer {
  readonly node: NodeId;
  readonly name: string;
  readonly weight: number;
  sid: Sid = NOBODY;
  boot = 0;
  nonce = 0;
  /** The process said BYE, or somebody vouched for its end. */
  isGone = false;
  /** When it was sent a HELLO in answer to its own: not more than one in a heartbeat. */
  answeredAt = Number.NEGATIVE_INFINITY;
  /** Why it was refused, as far as that was told. */
  refusedFor = '';
  /** Its last heartbeat. */
  counter = 0;
  lastHeard = Number.NEGATIVE_INFINITY;
  view: ReadonlySet<NodeId> = new Set();
  advert: Advert = { demotion: 0, advbase: 1, advskew: 0 };
  legs: Legs = { wan: true, lan: true, sync: true };
  load = 0;
  alone = false;
  contact = false;
  synced = false;
  capabilities: readonly string[] = [];
  /** Fields of weight `policy` and `advice` that differ from ours. */
  differences: readonly ConfigurationField[] = [];
  applied: LeaseMessage['applied'] = [];
  #claims: HeartbeatMessage['claims'] | undefined;

  constructor({ node, name, weight }: Member) {
    this.node = node;
    this.name = name;
    this.weight = weight;
  }

  /** Whether its configuration lets it have segments beside ours. */
  get agrees(): boolean {
    return this.differences.every(({ weight }) => weight !== 'policy');
  }

  /** It hears this node no more, and waits for no acknowledgement of it. */
  goesOnWithout(self: NodeId): boolean {
    if (this.isGone || this.lastHeard === Number.NEGATIVE_INFINITY) return false;
    return this.alone || !this.view.has(self);
  }

  introduce(hello: HelloMessage, own: readonly ConfigurationField[]): Introduction {
    if (hello.version < OLDEST_VERSION || hello.oldestVersion > VERSION) return { kind: 'version' };
    if (hello.boot < this.boot) return { kind: 'stale' };
    if (hello.boot === this.boot && hello.nonce !== this.nonce) return { kind: 'stale' };
    const differences = differing(own, hello.configuration);
    const fields = differences.filter(({ weight }) => weight === 'protocol');
    if (fields.length > 0) return { kind: 'mismatch', fields: fields.map(({ name }) => name) };
    this.capabilities = hello.capabilities;
    this.differences = differences;
    if (hello.boot === this.boot) return { kind: 'known' };
    const dead = this.sid;
    this.sid = hello.sid;
    this.boot = hello.boot;
    this.nonce = hello.nonce;
    this.isGone = false;
    this.counter = 0;
    this.lastHeard = Number.NEGATIVE_INFINITY;
    this.view = new Set();
    this.alone = false;
    this.contact = false;
    this.synced = false;
    this.applied = [];
    this.#claims = undefined;
    return { kind: 'new', dead };
  }

  /** Whether a message comes from the process that is known and alive. */
  isSender(sid: Sid): boolean {
    return this.sid === sid && this.sid !== NOBODY && !this.isGone;
  }

  /** Takes a heartbeat in; answers whether it is newer than the last, and says anything new. */
  heartbeat(message: HeartbeatMessage, now: number): 'old' | 'same' | 'changed' {
    if (message.counter <= this.counter) return 'old';
    this.counter = message.counter;
    this.lastHeard = now;
    this.legs = message.legs;
    this.load = message.load;
    if (this.#isSame(message)) return 'same';
    this.view = new Set(message.view);
    this.#claims = message.claims;
    this.advert = message.advert;
    this.alone = message.alone;
    this.contact = message.contact;
    this.synced = message.synced;
    return 'changed';
  }

  #isSame({ claims, view, advert, alone, contact, synced }: HeartbeatMessage): boolean {
    return (
      claims === this.#claims &&
      alone === this.alone &&
      contact === this.contact &&
      synced === this.synced &&
      advert.demotion === this.advert.demotion &&
      view.length === this.view.size &&
      view.every((one) => this.view.has(one))
    );
  }

  /** How far it has the state that process `sid` sent. */
  position(sid: Sid): number {
    return this.applied.find((one) => one.sid === sid)?.position ?? 0;
  }
}

/** Fields that differ or that only one side has, with the heavier weight of the two. */
export function differing(
  own: readonly ConfigurationField[],
  theirs: readonly ConfigurationField[],
): readonly ConfigurationField[] {
  const there = new Map(theirs.map((field) => [field.name, field]));
  const here = new Set(own.map(({ name }) => name));
  return [
    ...own.filter(({ name, digest }) => there.get(name)?.digest !== digest),
    ...theirs.filter(({ name }) => !here.has(name)),
  ];
}
