/**
 * The IKE SAs of a strongSwan HA cluster as both nodes know them: made of the messages about them, of
 * the other node's and of our own alike.
 *
 * An IKE SA that this node serves is ours to speak of: what the other says about it is refused. charon
 * lets it pass, and a node that is asked for all it has then turns off what the asking one serves.
 */
import { ProtocolId } from '../../ipsec/proposal.ts';
import type { Instant } from '../../wire/instant.ts';
import type { HaIkeSaId } from './attribute.ts';
import { HaAttributes } from './attributes.ts';
import { type HaChildMaterial, readChildAdd } from './child-add.ts';
import { type HaIkeMaterial, readIkeAdd } from './ike-add.ts';
import { readIkeUpdate } from './ike-update.ts';
import { type HaMessage, HaMessageType } from './message.ts';
import {
  type HaKeySchedule,
  haIkeSaKey,
  type MirroredChildSa,
  type MirroredIkeSa,
  mirroredIkeSa,
  updatedIkeSa,
  withChild,
  withoutChild,
} from './mirrored-ike-sa.ts';

/** Why a message changed nothing. */
export type HaRefusal =
  | 'malformed'
  | 'other-version'
  | 'unknown-type'
  | 'unknown-segment'
  | 'unknown-ike-sa'
  | 'unknown-connection'
  | 'unknown-child'
  | 'unknown-algorithm'
  /** IKEv1, IPComp, several key exchanges, modes we do not have. */
  | 'unsupported'
  /** About an IKE SA that this node serves. */
  | 'served-here'
  | 'too-many';

/** What a message did. IKE SAs are whole from `ike-sa-installed` on. */
export type HaChange =
  | { readonly kind: 'ike-sa-installed'; readonly ikeSa: MirroredIkeSa }
  | {
      readonly kind: 'ike-sa-replaced';
      readonly old: MirroredIkeSa;
      readonly ikeSa: MirroredIkeSa;
    }
  | { readonly kind: 'ike-sa-updated'; readonly ikeSa: MirroredIkeSa }
  | { readonly kind: 'ike-sa-removed'; readonly ikeSa: MirroredIkeSa }
  | {
      readonly kind: 'child-sa-installed';
      readonly ikeSa: MirroredIkeSa;
      readonly child: MirroredChildSa;
    }
  | {
      readonly kind: 'child-sa-removed';
      readonly ikeSa: MirroredIkeSa;
      readonly child: MirroredChildSa;
    }
  | { readonly kind: 'refused'; readonly reason: HaRefusal };

export interface HaMirrorLimits {
  readonly ikeSas: number;
  /** Of one IKE SA. */
  readonly children: number;
}

export interface HaMirrorOptions {
  readonly keys: HaKeySchedule;
  readonly limits: HaMirrorLimits;
  /** Is a connection configured here, and, where one is named, the child in it? */
  knows(connection: string, child?: string): boolean;
}

interface Entry {
  readonly material: HaIkeMaterial;
  ikeSa: MirroredIkeSa;
}

/** Whose message it is: of the node that serves the IKE SA, be it the other or this one. */
export type HaSpeaker = 'other' | 'self';

export class HaMirror {
  readonly #options: HaMirrorOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: HaMirrorOptions) {
    this.#options = options;
  }

  get ikeSas(): readonly MirroredIkeSa[] {
    return [...this.#entries.values()].map(({ ikeSa }) => ikeSa);
  }

  /** An IKE SA and what its keys were made of. */
  find(id: Pick<HaIkeSaId, 'initiatorSpi' | 'responderSpi'>): Readonly<Entry> | undefined {
    return this.#entries.get(haIkeSaKey(id));
  }

  /** Has an IKE SA served by this node, or by the other. */
  serve(id: HaIkeSaId, state: 'passive' | 'active'): MirroredIkeSa | undefined {
    const entry = this.find(id);
    return entry && this.#set(id, { ...entry.ikeSa, state });
  }

  /** Connections came: IKE SAs that waited for theirs are installed. charon forgets them. */
  configured(): readonly HaChange[] {
    return this.ikeSas
      .filter(({ state }) => state === 'connecting')
      .flatMap((ikeSa) => this.#install(ikeSa, 'other') ?? []);
  }

  /** Takes a message about an IKE SA. Throws `MalformedError` where something is missing. */
  apply(message: HaMessage, speaker: HaSpeaker, now: Instant): HaChange {
    switch (message.type) {
      case HaMessageType.IKE_ADD:
        return this.#add(readIkeAdd(message), speaker, now);
      case HaMessageType.IKE_UPDATE:
        return this.#update(message, speaker);
      case HaMessageType.IKE_MID_INITIATOR:
      case HaMessageType.IKE_MID_RESPONDER:
        return this.#count(message, speaker);
      case HaMessageType.IKE_DELETE:
        return this.#remove(message, speaker);
      case HaMessageType.CHILD_ADD:
        return this.#addChild(readChildAdd(message), speaker, now);
      case HaMessageType.CHILD_DELETE:
        return this.#removeChild(message, speaker);
      case HaMessageType.IKE_IV:
        return refused('unsupported');
      default:
        return refused('unknown-type');
    }
  }

  #add(material: HaIkeMaterial, speaker: HaSpeaker, now: Instant): HaChange {
    const known = this.find(material.id);
    if (speaker === 'other' && known?.ikeSa.state === 'active') return refused('served-here');
    if (material.id.ikeVersion !== 2 || material.additional) return refused('unsupported');
    const replaced = material.rekeyed && this.find(material.rekeyed.id);
    if (speaker === 'other' && replaced?.ikeSa.state === 'active') return refused('served-here');
    if (!known && !replaced && this.#entries.size >= this.#options.limits.ikeSas) {
      return refused('too-many');
    }
    const keys = this.#options.keys.ikeKeys(material);
    if (keys === undefined) return refused('unknown-algorithm');
    // Told again of an IKE SA, we know no less of it than before.
    const before = replaced?.ikeSa ?? known?.ikeSa;
    const ikeSa = mirroredIkeSa(material, keys, now, before);
    for (const before of [known, replaced]) {
      if (before !== undefined && before.material.sharedSecret !== material.sharedSecret) {
        this.#forget(before);
      }
    }
    this.#entries.set(haIkeSaKey(material.id), { material, ikeSa });
    return replaced === undefined
      ? { kind: 'ike-sa-updated', ikeSa }
      : { kind: 'ike-sa-replaced', old: replaced.ikeSa, ikeSa };
  }

  #update(message: HaMessage, speaker: HaSpeaker): HaChange {
    const details = readIkeUpdate(message);
    const found = this.#spokenOf(details.id, speaker);
    if ('kind' in found) return found;
    const ikeSa = this.#set(details.id, updatedIkeSa(found.ikeSa, details));
    if (ikeSa.state !== 'connecting' || ikeSa.connection === undefined) {
      return { kind: 'ike-sa-updated', ikeSa };
    }
    return this.#install(ikeSa, speaker) ?? refused('unknown-connection');
  }

  /** A connecting IKE SA becomes one to go on with, where its connection is configured here. */
  #install(ikeSa: MirroredIkeSa, speaker: HaSpeaker): HaChange | undefined {
    const { id, connection } = ikeSa;
    if (connection === undefined || !this.#options.knows(connection)) return undefined;
    const children = ikeSa.children.filter(({ name }) => this.#options.knows(connection, name));
    const state = speaker === 'self' ? 'active' : 'passive';
    return { kind: 'ike-sa-installed', ikeSa: this.#set(id, { ...ikeSa, state, children }) };
  }

  #count(message: HaMessage, speaker: HaSpeaker): HaChange {
    const attributes = new HaAttributes(message);
    const id = attributes.required('IKE_ID', attributes.ikeSaId('IKE_ID'));
    const next = attributes.required('MID', attributes.number('MID'));
    const found = this.#spokenOf(id, speaker);
    if ('kind' in found) return found;
    const { ikeSa } = found;
    const ours = message.type === HaMessageType.IKE_MID_INITIATOR;
    // RFC 7296 §2.2: message ids only grow; an older message that came late takes nothing back.
    const counted = ours
      ? { ...ikeSa, nextRequest: Math.max(next, ikeSa.nextRequest) }
      : { ...ikeSa, expectedRequest: Math.max(next, ikeSa.expectedRequest) };
    return { kind: 'ike-sa-updated', ikeSa: this.#set(id, counted) };
  }

  #remove(message: HaMessage, speaker: HaSpeaker): HaChange {
    const attributes = new HaAttributes(message);
    const id = attributes.required('IKE_ID', attributes.ikeSaId('IKE_ID'));
    const found = this.#spokenOf(id, speaker);
    if ('kind' in found) return found;
    this.#forget(found);
    return { kind: 'ike-sa-removed', ikeSa: found.ikeSa };
  }

  #addChild(material: HaChildMaterial, speaker: HaSpeaker, now: Instant): HaChange {
    const found = this.#spokenOf(material.ikeSa, speaker);
    if ('kind' in found) return found;
    const { ikeSa } = found;
    const { mode, name, spiIn, spiOut, proposal } = material;
    if (mode === undefined || material.ipcomp !== 0 || material.additional) {
      return refused('unsupported');
    }
    // Of an IKE SA that waits for its connection, the child may still be configured.
    const waits = ikeSa.state === 'connecting';
    if (!waits && !this.#options.knows(ikeSa.connection ?? '', name)) {
      return refused('unknown-child');
    }
    if (ikeSa.children.length >= this.#options.limits.children) return refused('too-many');
    const keys = this.#options.keys.childKeys(ikeSa, material);
    if (keys === undefined) return refused('unknown-algorithm');
    const child = {
      ...{ name, spiIn, spiOut, mode, proposal: { ...proposal, protocol: ProtocolId.ESP } },
      ...keys,
      localTs: material.localTs.map(({ selector }) => selector),
      remoteTs: material.remoteTs.map(({ selector }) => selector),
      since: now,
    };
    const whole = this.#set(material.ikeSa, withChild(ikeSa, child));
    if (waits) return { kind: 'ike-sa-updated', ikeSa: whole };
    return { kind: 'child-sa-installed', ikeSa: whole, child };
  }

  #removeChild(message: HaMessage, speaker: HaSpeaker): HaChange {
    const attributes = new HaAttributes(message);
    const id = attributes.required('IKE_ID', attributes.ikeSaId('IKE_ID'));
    const spiIn = attributes.required('INBOUND_SPI', attributes.number('INBOUND_SPI'));
    const found = this.#spokenOf(id, speaker);
    if ('kind' in found) return found;
    const child = found.ikeSa.children.find((each) => each.spiIn === spiIn);
    if (child === undefined) return refused('unknown-child');
    return {
      kind: 'child-sa-removed',
      ikeSa: this.#set(id, withoutChild(found.ikeSa, spiIn)),
      child,
    };
  }

  /** The IKE SA of a message, where it is for the speaker to say something of it. */
  #spokenOf(id: HaIkeSaId, speaker: HaSpeaker): Readonly<Entry> | (HaChange & { kind: 'refused' }) {
    const entry = this.find(id);
    if (entry === undefined) return refused('unknown-ike-sa');
    if (speaker === 'other' && entry.ikeSa.state === 'active') return refused('served-here');
    return entry;
  }

  // RFC 7296 §2.12: what keys of an SA were made of goes with it.
  #forget({ ikeSa, material }: Readonly<Entry>): void {
    material.sharedSecret.wipe();
    this.#entries.delete(haIkeSaKey(ikeSa.id));
  }

  #set(id: HaIkeSaId, ikeSa: MirroredIkeSa): MirroredIkeSa {
    const entry = this.#entries.get(haIkeSaKey(id));
    if (entry !== undefined) entry.ikeSa = ikeSa;
    return ikeSa;
  }
}

function refused(reason: HaRefusal): HaChange & { kind: 'refused' } {
  return { kind: 'refused', reason };
}
