/**
 * Everything between this node and one other: the sealed link, the channel over it, and the paths beneath.
 *
 * Urgent and overtaking messages, acknowledgements and repetitions go over every path, and the copy that
 * comes later is dropped by its counter; bulk and what is expendable go over one, and over the next when that one
 * stays silent.
 * A message of a lane is acknowledged when the peer has it in memory, or given back as undelivered when that peer is
 * gone: never both, never neither.
 */
import { earliest, type Instant } from '../../wire/instant.ts';
import type { NodeId } from '../node-id.ts';
import { Channel, type Delivery } from './channel.ts';
import type { KeyRing } from './cluster-key.ts';
import type { WireVersions } from './handshake.ts';
import type { BusMessage } from './message.ts';
import { type LinkAction, type LinkInput, type LinkSettings, SealedLink } from './sealed-link.ts';

export interface ConnectionSettings extends LinkSettings {
  /** Paths to the peer, 1 or more: each an address of ours with one of its. */
  readonly paths: number;
}

export type ConnectionInput<Tag> =
  | LinkInput
  | {
      readonly kind: 'message';
      readonly message: BusMessage;
      readonly delivery: Delivery;
      readonly tag: Tag;
    };

/** Why a message was not taken: nothing of it will be sent. */
export type RefusalReason = 'down' | 'full' | 'too-large';

export type ConnectionAction<Tag> =
  | {
      readonly kind: 'send';
      readonly peer: NodeId;
      readonly path: number;
      readonly octets: Uint8Array;
    }
  | {
      readonly kind: 'received';
      readonly peer: NodeId;
      readonly message: BusMessage;
      readonly delivery: Delivery;
    }
  /** The peer has the message in memory and its receiver was given it. */
  | { readonly kind: 'acknowledged'; readonly peer: NodeId; readonly tag: Tag }
  | {
      readonly kind: 'refused';
      readonly peer: NodeId;
      readonly tag: Tag;
      readonly reason: RefusalReason;
    }
  /** Taken, but the incarnation it was for is gone; whether it had it is not known. */
  | { readonly kind: 'undelivered'; readonly peer: NodeId; readonly tag: Tag }
  | {
      readonly kind: 'up';
      readonly peer: NodeId;
      readonly incarnation: string;
      readonly version: number;
    }
  | { readonly kind: 'down'; readonly peer: NodeId; readonly reason: string }
  | { readonly kind: 'incompatible'; readonly peer: NodeId; readonly versions: WireVersions };

export class PeerConnection<Tag> {
  readonly #settings: ConnectionSettings;
  readonly #link: SealedLink;
  /** Of the incarnation that was up last. */
  #channel: Channel<Tag> | undefined;
  #incarnation = '';
  #preferred = 0;
  #fruitlessAtSwitch = 0;
  readonly #heard: (Instant | undefined)[];
  #now: Instant | undefined;
  #actions: ConnectionAction<Tag>[] = [];

  constructor(settings: ConnectionSettings, ring: KeyRing) {
    this.#settings = settings;
    this.#link = new SealedLink(settings, ring);
    this.#heard = Array.from({ length: settings.paths });
  }

  /**
   * Sends nothing for a message, and nothing but handshakes for a datagram: what is to be sent is put
   * together at the next `time`, which `nextDeadline` asks for at once.
   */
  handle(input: ConnectionInput<Tag>, now: Instant): readonly ConnectionAction<Tag>[] {
    this.#now = now;
    if (input.kind === 'message') this.#queue(input.message, input.delivery, input.tag);
    else {
      for (const action of this.#link.handle(input, now)) this.#onLink(action, now);
      if (input.kind === 'time') this.#flush(now);
    }
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  nextDeadline(): Instant | undefined {
    const channel = this.#link.isUp ? this.#channel : undefined;
    return earliest(this.#link.nextDeadline(), this.#now && channel?.nextDeadline(this.#now));
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** When an authentic datagram last came over each path; what came second over another does not count. */
  get heard(): readonly (Instant | undefined)[] {
    return this.#heard;
  }

  get load(): Channel<Tag>['load'] | undefined {
    return this.#channel?.load;
  }

  #queue(message: BusMessage, delivery: Delivery, tag: Tag): void {
    const peer = this.#settings.peer;
    const channel = this.#link.isUp ? this.#channel : undefined;
    const taken = channel?.queue(message, delivery, tag) ?? 'down';
    if (taken !== 'queued') this.#actions.push({ kind: 'refused', peer, tag, reason: taken });
  }

  #onLink(action: LinkAction, now: Instant): void {
    const peer = this.#settings.peer;
    switch (action.kind) {
      case 'send':
        this.#send(action.octets, action.path);
        break;
      case 'opened':
        this.#heard[action.path] = now;
        this.#receive(action.plaintext, now);
        break;
      case 'up':
        if (action.incarnation !== this.#incarnation) this.#renew(action.incarnation);
        this.#actions.push({ ...action, peer });
        break;
      case 'down':
        if (action.reason === 'restarted') this.#renew('');
        this.#actions.push({ ...action, peer });
        break;
      case 'incompatible':
        this.#actions.push({ ...action, peer });
        break;
      default:
        action satisfies never;
    }
  }

  /** Another incarnation begins with nothing said. */
  #renew(incarnation: string): void {
    const peer = this.#settings.peer;
    for (const tag of this.#channel?.abandon() ?? []) {
      this.#actions.push({ kind: 'undelivered', peer, tag });
    }
    this.#incarnation = incarnation;
    this.#channel = new Channel<Tag>((name) => this.#settings.counters.count(name));
  }

  #receive(plaintext: Uint8Array, now: Instant): void {
    const peer = this.#settings.peer;
    for (const event of this.#channel?.receive(plaintext, now) ?? []) {
      if (event.kind === 'acknowledged') this.#actions.push({ ...event, peer });
      else this.#actions.push({ ...event, kind: 'received', peer });
    }
  }

  #flush(now: Instant): void {
    const channel = this.#channel;
    if (!channel || !this.#link.isUp) return;
    for (let sent = 0; sent < MOST_AT_ONCE; sent++) {
      const payload = channel.fill(now);
      if (!payload) break;
      const octets = this.#link.seal(payload.plaintext, now);
      if (octets === undefined) break;
      this.#send(octets, payload.everyPath ? undefined : this.#preferred);
    }
    this.#choosePath(channel.fruitless);
  }

  /** Away from a path over which nothing gets through. */
  #choosePath(fruitless: number): void {
    if (fruitless < this.#fruitlessAtSwitch) this.#fruitlessAtSwitch = fruitless;
    if (fruitless - this.#fruitlessAtSwitch < FRUITLESS) return;
    this.#fruitlessAtSwitch = fruitless;
    this.#preferred = (this.#preferred + 1) % this.#settings.paths;
  }

  #send(octets: Uint8Array, path: number | undefined): void {
    const peer = this.#settings.peer;
    const paths = path === undefined ? this.#heard.keys() : [path];
    for (const one of paths) this.#actions.push({ kind: 'send', peer, path: one, octets });
  }
}

/** Rows of repetitions without any acknowledgement before bulk goes over another path. */
const FRUITLESS = 2;
/** Datagrams of one `time`: more come with the next, so that others get their turn. */
const MOST_AT_ONCE = 64;
