/**
 * One node of a strongSwan HA cluster, the other being charon with its `ha` plugin: heartbeats, who
 * serves which segment, and the SAs of the other node, kept ready.
 *
 * `handle(input, now)` answers what to do, `nextDeadline()` when to call again. It speaks charon's
 * protocol as it is: without acknowledgement, without protection, between two nodes. Only datagrams
 * from the other node's address may reach it.
 */
import type { IpAddress } from '../../wire/address.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { MalformedError } from '../../wire/octets.ts';
import type { HaIkeSaId, HaVersion } from './attribute.ts';
import { HaAttributes } from './attributes.ts';
import { type HaChildMaterial, writeChildAdd } from './child-add.ts';
import type { HaCommand } from './fifo-command.ts';
import { type HaIkeMaterial, writeIkeAdd } from './ike-add.ts';
import { type HaIkeDetails, writeIkeUpdate } from './ike-update.ts';
import {
  decodeHaMessage,
  encodeHaMessage,
  type HaMessage,
  HaMessageType,
  haMessage,
} from './message.ts';
import { type HaChange, HaMirror, type HaMirrorOptions } from './mirror.ts';
import { haIkeSaKey, type MirroredIkeSa } from './mirrored-ike-sa.ts';
import { type HaHashVariant, haSegment } from './segment-hash.ts';
import { HaSegments } from './segments.ts';

/** As charon's section `ha { }` says it. */
export interface HaNodeSettings {
  readonly version: HaVersion;
  /** Addresses of this node and of the other, as both configurations write them. */
  readonly local: string;
  readonly remote: string;
  readonly segmentCount: number;
  readonly hash: HaHashVariant;
  readonly heartbeatDelayMilliseconds: number;
  readonly heartbeatTimeoutMilliseconds: number;
  /** Between claims of a segment while this node serves less than half; 0 = never. */
  readonly autobalanceSeconds: number;
  /** Send heartbeats, and take everything when the other's stay away. */
  readonly monitor: boolean;
  /** Ask the other for all it has, a second after the start. */
  readonly resync: boolean;
}

/** What our own IKE SAs do, as the other node must hear of it; and what comes from outside. */
export type HaInput =
  | { readonly kind: 'start' }
  /** From the other node. */
  | { readonly kind: 'datagram'; readonly octets: Uint8Array }
  | { readonly kind: 'time' }
  | { readonly kind: 'command'; readonly command: HaCommand }
  | { readonly kind: 'shutdown' }
  /** Connections were loaded. */
  | { readonly kind: 'configured' }
  | { readonly kind: 'ike-keys'; readonly material: HaIkeMaterial }
  /** Established, moved, or with addresses for the client. */
  | { readonly kind: 'ike-details'; readonly details: HaIkeDetails }
  | { readonly kind: 'ike-closed'; readonly id: HaIkeSaId }
  /** A request with this message id was sent (`ours`) or came, but for IKE_SA_INIT. */
  | {
      readonly kind: 'request';
      readonly id: HaIkeSaId;
      readonly ours: boolean;
      readonly messageId: number;
    }
  | { readonly kind: 'child-keys'; readonly material: HaChildMaterial }
  | { readonly kind: 'child-closed'; readonly ikeSa: HaIkeSaId; readonly spiIn: number };

export type HaAction =
  /** To the other node, UDP port 4510. */
  | { readonly kind: 'send'; readonly octets: Uint8Array }
  | HaChange
  /** These IKE SAs are served by this node from now on, or by the other. */
  | {
      readonly kind: 'activate';
      readonly segment: number;
      readonly ikeSas: readonly MirroredIkeSa[];
    }
  | {
      readonly kind: 'deactivate';
      readonly segment: number;
      readonly ikeSas: readonly MirroredIkeSa[];
    }
  /** The other node has no Child SAs of it: only new ones reach it. */
  | { readonly kind: 'rekey-children'; readonly ikeSa: MirroredIkeSa }
  | { readonly kind: 'other-lost' }
  | { readonly kind: 'other-back' }
  /** Nobody is there to go on: take leave of every peer. */
  | { readonly kind: 'close-ike-sas' };

/** The other node, by its heartbeats. */
export interface HaOther {
  readonly heardAt?: Instant;
  /** They stay away. */
  readonly lost: boolean;
  readonly segments: readonly number[];
}

/** charon asks after this time. */
const RESYNC_AFTER_MS = 1000;
/** A cluster's worth of datagrams at once would not fit into the other's buffer: some at a time. */
const RESYNC_BATCH = 32;
const RESYNC_PAUSE_MS = 10;

export class CharonHaNode {
  readonly #settings: HaNodeSettings;
  readonly #segments: HaSegments;
  readonly #mirror: HaMirror;
  #heartbeatAt: Instant | undefined;
  /** Unset while nobody is waited for. */
  #lostAt: Instant | undefined;
  #lost = false;
  /** The last heartbeat, and the segments it named. */
  #heardAt: Instant | undefined;
  #theirs: readonly number[] = [];
  #balanceAt: Instant | undefined;
  #askAt: Instant | undefined;
  #tellAt: Instant | undefined;
  #toTell: HaIkeSaId[] = [];
  /** When this node moved a segment last: a heartbeat that was under way knows nothing of it. */
  readonly #movedAt = new Map<number, Instant>();

  constructor(settings: HaNodeSettings, options: HaMirrorOptions) {
    this.#settings = settings;
    this.#segments = new HaSegments(settings.segmentCount, settings.local, settings.remote);
    this.#mirror = new HaMirror(options);
  }

  /** Segments that this node serves. */
  get active(): readonly number[] {
    return this.#segments.active;
  }

  get ikeSas(): readonly MirroredIkeSa[] {
    return this.#mirror.ikeSas;
  }

  /** By both SPIs. */
  find(id: Pick<HaIkeSaId, 'initiatorSpi' | 'responderSpi'>): MirroredIkeSa | undefined {
    return this.#mirror.find(id)?.ikeSa;
  }

  /** What is known of the other node; without `heardAt` it never said anything. */
  get other(): HaOther {
    return {
      ...(this.#heardAt !== undefined && { heardAt: this.#heardAt }),
      lost: this.#lost,
      segments: this.#theirs,
    };
  }

  /** The peer at this address is for this node to serve. */
  serves(peer: IpAddress): boolean {
    return this.#segments.isActive(this.segmentOf(peer));
  }

  /** From 1. */
  segmentOf(peer: IpAddress): number {
    const { hash, segmentCount } = this.#settings;
    return haSegment({ variant: hash, count: segmentCount }, peer);
  }

  nextDeadline(): Instant | undefined {
    return earliest(
      ...[this.#heartbeatAt, this.#lostAt, this.#balanceAt, this.#askAt, this.#tellAt],
    );
  }

  handle(input: HaInput, now: Instant): readonly HaAction[] {
    switch (input.kind) {
      case 'start':
        return this.#start(now);
      case 'datagram':
        return this.#receive(input.octets, now);
      case 'time':
        return this.#time(now);
      case 'command':
        return this.#command(input.command, now);
      case 'shutdown':
        return this.#shutdown();
      case 'configured':
        return this.#mirror.configured();
      default:
        return this.#tell(ownMessage(this.#settings.version, input), now);
    }
  }

  #start(now: Instant): readonly HaAction[] {
    const { monitor, resync, autobalanceSeconds, heartbeatTimeoutMilliseconds } = this.#settings;
    if (monitor) {
      this.#heartbeatAt = now;
      this.#lostAt = after(now, heartbeatTimeoutMilliseconds);
    }
    if (resync) this.#askAt = after(now, RESYNC_AFTER_MS);
    if (autobalanceSeconds > 0) this.#balanceAt = after(now, autobalanceSeconds * 1000);
    return this.#time(now);
  }

  #time(now: Instant): readonly HaAction[] {
    const actions: HaAction[] = [];
    if (this.#slept(now)) return this.#wakeUp(now);
    if (isDue(this.#lostAt, now)) {
      // Not watched until it is heard again: by then everything is here.
      this.#lostAt = undefined;
      this.#lost = true;
      actions.push({ kind: 'other-lost' }, ...this.#takeAll());
    }
    if (isDue(this.#heartbeatAt, now)) {
      this.#heartbeatAt = after(now, this.#settings.heartbeatDelayMilliseconds);
      actions.push(this.#send(HaMessageType.STATUS, this.#segments.active));
    }
    if (isDue(this.#askAt, now)) {
      this.#askAt = undefined;
      actions.push(this.#send(HaMessageType.RESYNC, this.#segments.all));
    }
    if (isDue(this.#balanceAt, now)) {
      this.#balanceAt = after(now, this.#settings.autobalanceSeconds * 1000);
      const segment = this.#segments.toBalance();
      if (segment !== undefined) actions.push(...this.#take(segment, 'told'));
    }
    if (isDue(this.#tellAt, now)) actions.push(...this.#tellSome(now));
    return actions;
  }

  /** This process stood still for longer than the other may be silent. */
  #slept(now: Instant): boolean {
    const due = this.nextDeadline();
    return due !== undefined && now - due >= this.#settings.heartbeatTimeoutMilliseconds / 2;
  }

  /** What the other said meanwhile waits to be read, that it took everything perhaps: nothing is said before. */
  #wakeUp(now: Instant): readonly HaAction[] {
    const { heartbeatDelayMilliseconds, heartbeatTimeoutMilliseconds } = this.#settings;
    const later = (at: Instant | undefined) =>
      isDue(at, now) ? after(now, heartbeatDelayMilliseconds) : at;
    this.#heartbeatAt = later(this.#heartbeatAt);
    this.#askAt = later(this.#askAt);
    this.#tellAt = later(this.#tellAt);
    this.#balanceAt = later(this.#balanceAt);
    this.#lostAt = this.#lostAt && after(now, heartbeatTimeoutMilliseconds);
    return [];
  }

  #receive(octets: Uint8Array, now: Instant): readonly HaAction[] {
    try {
      const message = decodeHaMessage(octets);
      if (message.version !== this.#settings.version) {
        return [{ kind: 'refused', reason: 'other-version' }];
      }
      return this.#understand(message, now);
    } catch (error) {
      if (error instanceof MalformedError) return [{ kind: 'refused', reason: 'malformed' }];
      throw error;
    }
  }

  #understand(message: HaMessage, now: Instant): readonly HaAction[] {
    const segments = new HaAttributes(message).numbers('SEGMENT');
    if (segments.some((segment) => !this.#segments.has(segment))) {
      return [{ kind: 'refused', reason: 'unknown-segment' }];
    }
    switch (message.type) {
      case HaMessageType.SEGMENT_TAKE:
        return segments.flatMap((segment) => this.#drop(segment, 'silently'));
      case HaMessageType.SEGMENT_DROP:
        return segments.flatMap((segment) => this.#take(segment, 'silently'));
      case HaMessageType.STATUS:
        return this.#heard(segments, now);
      case HaMessageType.RESYNC:
        return this.#resync(segments, now);
      default:
        return [this.#mirror.apply(message, 'other', now)];
    }
  }

  /** A heartbeat: the other is there, and serves these. */
  #heard(theirs: readonly number[], now: Instant): readonly HaAction[] {
    const actions: HaAction[] = [];
    this.#heardAt = now;
    this.#theirs = theirs;
    if (this.#settings.monitor) {
      if (this.#lost) actions.push({ kind: 'other-back' });
      this.#lost = false;
      this.#lostAt = after(now, this.#settings.heartbeatTimeoutMilliseconds);
    }
    const disputed = this.#segments.verdicts(theirs).filter(({ segment }) => {
      const moved = this.#movedAt.get(segment);
      return moved === undefined || now - moved >= this.#settings.heartbeatDelayMilliseconds;
    });
    for (const { segment, take } of disputed) {
      actions.push(...(take ? this.#take(segment, 'told') : this.#drop(segment, 'told')));
    }
    // What came late for a segment that is ours, undisputed, has nobody else to serve it.
    for (const segment of this.#segments.active.filter((each) => !theirs.includes(each))) {
      actions.push(...this.#activate(segment));
    }
    return actions;
  }

  #command({ kind, segment }: HaCommand, now: Instant): readonly HaAction[] {
    if (!this.#segments.has(segment)) return [{ kind: 'refused', reason: 'unknown-segment' }];
    if (kind === 'resync') return this.#resync([segment], now);
    this.#movedAt.set(segment, now);
    return kind === 'take' ? this.#take(segment, 'told') : this.#drop(segment, 'told');
  }

  #shutdown(): readonly HaAction[] {
    // With nobody there to take them the IKE SAs would only time out at the peers.
    if (this.#lost) return [{ kind: 'close-ike-sas' }];
    return this.#segments.all.flatMap((segment) => this.#drop(segment, 'told'));
  }

  #takeAll(): readonly HaAction[] {
    return this.#segments.all.flatMap((segment) => this.#take(segment, 'told'));
  }

  #take(segment: number, how: 'told' | 'silently'): readonly HaAction[] {
    this.#segments.take(segment);
    const told = how === 'told' ? [this.#send(HaMessageType.SEGMENT_TAKE, [segment])] : [];
    return [...this.#activate(segment), ...told];
  }

  #drop(segment: number, how: 'told' | 'silently'): readonly HaAction[] {
    this.#segments.drop(segment);
    const ikeSas = this.#turn(segment, 'active', 'passive');
    const told = how === 'told' ? [this.#send(HaMessageType.SEGMENT_DROP, [segment])] : [];
    return ikeSas.length === 0 ? told : [{ kind: 'deactivate', segment, ikeSas }, ...told];
  }

  #activate(segment: number): readonly HaAction[] {
    const ikeSas = this.#turn(segment, 'passive', 'active');
    return ikeSas.length === 0 ? [] : [{ kind: 'activate', segment, ikeSas }];
  }

  #turn(segment: number, from: 'passive' | 'active', to: 'passive' | 'active') {
    return this.#mirror.ikeSas
      .filter((ikeSa) => ikeSa.state === from && this.segmentOf(ikeSa.remote.address) === segment)
      .flatMap(({ id }) => this.#mirror.serve(id, to) ?? []);
  }

  /** The other asks for all we have: what this node serves, and not what it heard of the other. */
  #resync(segments: readonly number[], now: Instant): readonly HaAction[] {
    const asked = this.#mirror.ikeSas.filter(
      (ikeSa) =>
        ikeSa.state === 'active' && segments.includes(this.segmentOf(ikeSa.remote.address)),
    );
    const waiting = new Set(this.#toTell.map(haIkeSaKey));
    const more = asked.map(({ id }) => id).filter((id) => !waiting.has(haIkeSaKey(id)));
    this.#toTell = [...this.#toTell, ...more];
    return this.#tellSome(now);
  }

  #tellSome(now: Instant): readonly HaAction[] {
    const some = this.#toTell.slice(0, RESYNC_BATCH);
    this.#toTell = this.#toTell.slice(RESYNC_BATCH);
    this.#tellAt = this.#toTell.length === 0 ? undefined : after(now, RESYNC_PAUSE_MS);
    return some.flatMap((id) => this.#tellAgain(id));
  }

  #tellAgain(id: HaIkeSaId): readonly HaAction[] {
    const entry = this.#mirror.find(id);
    if (entry?.ikeSa.state !== 'active') return [];
    const { ikeSa, material } = entry;
    const { version } = this.#settings;
    const { localVips, remoteVips, ...details } = ikeSa;
    const mid = (ours: boolean, next: number) =>
      next === 0 ? [] : [midMessage(version, { id, ours, messageId: next - 1 })];
    const messages = [
      writeIkeAdd(version, { ...material, remote: ikeSa.remote }),
      writeIkeUpdate(version, details),
      ...(remoteVips.length === 0 ? [] : [writeIkeUpdate(version, { id, remoteVips })]),
      ...mid(true, ikeSa.nextRequest),
      ...mid(false, ikeSa.expectedRequest),
    ];
    const sent = messages.map((message) => sending(message));
    // charon keeps no CHILD_ADD either: a Child SA comes to the other node when it is made.
    return ikeSa.children.length === 0 ? sent : [...sent, { kind: 'rekey-children', ikeSa }];
  }

  /** Something of an IKE SA of this node. */
  #tell(message: HaMessage, now: Instant): readonly HaAction[] {
    const change = this.#mirror.apply(message, 'self', now);
    return change.kind === 'refused' ? [change] : [sending(message)];
  }

  #send(type: HaMessageType, segments: readonly number[]): HaAction {
    const attributes = segments.map((value) => ({ shape: 'u16', name: 'SEGMENT', value }) as const);
    return sending(haMessage(this.#settings.version, type, attributes));
  }
}

type OwnInput = Exclude<
  HaInput,
  { kind: 'start' | 'datagram' | 'time' | 'command' | 'shutdown' | 'configured' }
>;

/** What of an own SA the other node hears. */
function ownMessage(version: HaVersion, input: OwnInput): HaMessage {
  const named = (value: HaIkeSaId) => ({ shape: 'ike-sa-id', name: 'IKE_ID', value }) as const;
  switch (input.kind) {
    case 'ike-keys':
      return writeIkeAdd(version, input.material);
    case 'ike-details':
      return writeIkeUpdate(version, input.details);
    case 'ike-closed':
      return haMessage(version, HaMessageType.IKE_DELETE, [named(input.id)]);
    case 'request':
      return midMessage(version, input);
    case 'child-keys':
      return writeChildAdd(version, input.material);
    case 'child-closed':
      return haMessage(version, HaMessageType.CHILD_DELETE, [
        named(input.ikeSa),
        { shape: 'spi', name: 'INBOUND_SPI', value: input.spiIn },
      ]);
  }
}

function midMessage(
  version: HaVersion,
  {
    id,
    ours,
    messageId,
  }: { readonly id: HaIkeSaId; readonly ours: boolean; readonly messageId: number },
): HaMessage {
  const type = ours ? HaMessageType.IKE_MID_INITIATOR : HaMessageType.IKE_MID_RESPONDER;
  return haMessage(version, type, [
    { shape: 'ike-sa-id', name: 'IKE_ID', value: id },
    { shape: 'u32', name: 'MID', value: messageId + 1 },
  ]);
}

function sending(message: HaMessage): HaAction {
  return { kind: 'send', octets: encodeHaMessage(message) };
}

function isDue(at: Instant | undefined, now: Instant): boolean {
  return at !== undefined && at <= now;
}
