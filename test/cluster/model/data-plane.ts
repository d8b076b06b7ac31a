/**
 * The data plane of one simulated node, as small as it can be: one ESP SA and one IKE SA for each segment.
 *
 * What an owner changes it writes into its log, which every other node follows without a gap; a record
 * counts when enough of them have it. All numbers of packets are checked by the oracle.
 */
import type { CoordinatorAction } from '../../../src/cluster/coordinator-action.ts';
import type { SnapshotOf } from '../../../src/cluster/ownership.ts';
import { WriteAhead } from '../../../src/cluster/write-ahead.ts';
import type { Oracle } from './oracle.ts';
import type { Rule } from './rule.ts';

/** What other nodes know of the SAs of a segment. Never changed: each change is a new one. */
export interface Mirror {
  readonly segment: number;
  /** Names the keys; a new one has new numbers. */
  readonly key: number;
  /** No sequence number above it was used. */
  readonly reserved: number;
  /** The next request of the client. */
  readonly messageId: number;
  /** What was answered to the one before, and the nonce it was sealed with. */
  readonly response: number;
  readonly responseIv: number;
  readonly edge: number;
  readonly epoch: number;
  readonly sid: number;
  readonly position: number;
  /** Exact numbers, as a hand-over carries them; undefined otherwise. */
  readonly final: Final | undefined;
}

interface Final {
  readonly sent: number;
  /** What was acknowledged of `reserved`. */
  readonly allowed: number;
  readonly seen: ReadonlySet<number>;
  readonly floor: number;
}

export type DataMessage =
  | {
      readonly kind: 'log';
      readonly sid: number;
      readonly from: number;
      readonly records: readonly Mirror[];
    }
  | {
      readonly kind: 'ack';
      /** Who acknowledges. */
      readonly by: number;
      readonly sid: number;
      readonly position: number;
      /** Positions of an owner that has a successor: they are read and not acknowledged. */
      readonly refused: readonly number[];
    }
  | { readonly kind: 'pull' }
  | {
      readonly kind: 'snapshot';
      readonly head: SnapshotOf;
      readonly store: readonly (Mirror | undefined)[];
      readonly positions: readonly (readonly [number, number])[];
    }
  | {
      readonly kind: 'edges';
      readonly edges: readonly { readonly key: number; readonly edge: number }[];
    };

/** What a node is to its data plane. */
export interface DataPlaneHost {
  readonly node: number;
  readonly others: readonly number[];
  readonly sid: number;
  /** Others that must have a record. */
  readonly quorum: number;
  readonly oracle: Oracle;
  readonly rules: ReadonlySet<Rule>;
  readonly strictReplay: boolean;
  readonly strictWriteAhead: boolean;
  isAlone(): boolean;
  epoch(segment: number): number;
  now(): number;
  send(to: number, message: DataMessage): void;
  applied(sid: number, position: number): void;
  settled(segment: number): void;
  snapshotHead(): SnapshotOf;
  newKey(segment: number): number;
  newContent(): number;
  /** The client's next numbers start anew with this key. */
  renewed(segment: number, key: number): void;
  respond(segment: number, key: number, messageId: number, content: number): void;
  deliver(): void;
  /** A packet leaves although the lease has ended. */
  withoutLease(segment: number): void;
}

/** An SA that this node has. */
interface Live {
  key: number;
  epoch: number;
  sent: number;
  asked: number;
  /** The position that must be acknowledged before `asked` counts. */
  askedAt: number;
  allowed: number;
  messageId: number;
  response: number;
  responseIv: number;
  /** Position of the record of the response, and whether the response left. */
  responseAt: number;
  responseDue: number;
  responseLeft: boolean;
  floor: number;
  top: number;
  seen: Set<number>;
  isFinal: boolean;
  /** Nothing of what is known may be carried on. */
  isAnew: boolean;
  isFrozen: boolean;
  /** Nodes whose state is waited for, and until when. */
  waitsFor: Set<number>;
  waitsUntil: number;
}

const RESERVE = 24;
const SAMPLING = 8;
const WINDOW = 64;
const WRITE_AHEAD_WAIT = 5;
const PULL_WAIT = 100;

export class DataPlane {
  leaseUntil = Number.NEGATIVE_INFINITY;
  readonly store: (Mirror | undefined)[];
  readonly live: (Live | undefined)[];
  readonly #host: DataPlaneHost;
  readonly #log: Mirror[] = [];
  readonly #ahead: WriteAhead<never>;
  readonly #positions = new Map<number, number>();
  /** Positions that this node refused, of each log. */
  readonly #refused = new Map<number, number[]>();
  /** Edges that samples and digests showed, by key. */
  readonly #edges = new Map<number, number>();
  readonly #installed = new Map<number, Mirror>();
  #ivs = 0;
  renewals = 0;
  readonly snapshots = new Map<number, SnapshotOf>();

  constructor(host: DataPlaneHost, segments: number) {
    this.#host = host;
    this.#ahead = new WriteAhead(host.quorum);
    this.store = new Array(segments).fill(undefined);
    this.live = new Array(segments).fill(undefined);
  }

  /** Another process: it has acknowledged nothing. */
  peerStarted(node: number, sid: number): void {
    this.#ahead.peerStarted(node, sid);
  }

  mayTransmit(segment: number): boolean {
    return this.live[segment] !== undefined && this.#host.now() < this.leaseUntil;
  }

  perform(action: CoordinatorAction): void {
    if (action.kind === 'lease') this.leaseUntil = action.until;
    else if (action.kind === 'take') this.#take(action);
    else if (action.kind === 'release') this.#release(action.segment);
    else if (action.kind === 'epoch') {
      const live = this.live[action.segment];
      if (live) live.epoch = action.epoch;
    } else if (action.kind === 'thaw') {
      for (const { segment } of action.segments) {
        const live = this.live[segment];
        if (live) live.isFrozen = false;
      }
    }
  }

  /** Stops these segments; what is answered is all that a successor needs. */
  freeze(segments: readonly number[]): readonly Mirror[] {
    return segments.flatMap((segment) => {
      const live = this.live[segment];
      if (!live) return [];
      live.isFrozen = true;
      return [this.#mirror(segment, live, true)];
    });
  }

  install(mirrors: readonly Mirror[]): void {
    for (const mirror of mirrors) this.#installed.set(mirror.segment, mirror);
  }

  /** A packet for the client: the owner sends it, if it may. */
  outbound(segment: number, force = false): boolean {
    const live = this.live[segment];
    if (!live || live.isFrozen || live.waitsFor.size > 0) return false;
    if (this.#host.now() >= this.leaseUntil) {
      if (!force) return false;
      this.#host.withoutLease(segment);
    }
    this.#extend(segment, live);
    if (live.sent >= live.allowed && !this.#host.rules.has('reserve-ahead')) return false;
    live.sent++;
    this.#host.oracle.sent(live.key, live.sent, this.#iv(), `node ${this.#host.node}`);
    return true;
  }

  /** A packet of the client, at every node. Forged ones fail their ICV. */
  inbound(segment: number, key: number, sequence: number, isAuthentic: boolean): void {
    const live = this.live[segment];
    const { rules, oracle, node } = this.#host;
    if (!live || live.isFrozen || this.#host.now() >= this.leaseUntil || live.waitsFor.size > 0) {
      if (sequence % SAMPLING === node % SAMPLING && (isAuthentic || rules.has('authentic-edge'))) {
        this.#sawEdge(key, sequence);
      }
      return;
    }
    if (live.key !== key) return;
    if (!isAuthentic) {
      if (rules.has('authentic-edge')) live.top = Math.max(live.top, sequence);
      return;
    }
    const isSeen =
      sequence <= live.floor || sequence <= live.top - WINDOW || live.seen.has(sequence);
    if (isSeen) {
      oracle.refusedFresh(key, sequence, `node ${node}`);
      return;
    }
    live.seen.add(sequence);
    live.top = Math.max(live.top, sequence);
    oracle.delivered(key, sequence, `node ${node}`);
    this.#host.deliver();
  }

  /** A request of the client, at every node. */
  request(segment: number, key: number, messageId: number): void {
    const live = this.live[segment];
    if (!live || live.isFrozen || live.key !== key || live.waitsFor.size > 0) return;
    if (this.#host.now() >= this.leaseUntil) return;
    if (messageId > live.messageId) {
      this.#host.oracle.forgot(`key ${key}`, messageId, live.messageId, `node ${this.#host.node}`);
    } else if (messageId === live.messageId) {
      live.messageId++;
      live.response = this.#host.newContent();
      live.responseIv = this.#iv();
      live.responseLeft = false;
      live.responseAt = this.#append(segment, live);
      live.responseDue = this.#host.now() + WRITE_AHEAD_WAIT;
      if (this.#host.rules.has('write-ahead')) this.#respond(segment, live, true);
      else this.#respondIfAcked(segment, live);
    } else if (messageId === live.messageId - 1 && live.responseLeft) {
      this.#respond(segment, live, this.#isAcked(live.responseAt));
    }
  }

  message(from: number, message: DataMessage): void {
    switch (message.kind) {
      case 'log':
        this.#follow(from, message.sid, message.from, message.records);
        break;
      case 'ack':
        if (message.sid === this.#host.sid) {
          const { by, position, refused } = message;
          this.#ahead.acknowledged({ node: from, by, position, refused });
          this.#progress();
        }
        break;
      case 'pull':
        this.#host.send(from, this.#snapshot());
        break;
      case 'snapshot':
        this.#merge(from, message.store, message.positions);
        this.snapshots.set(from, message.head);
        break;
      case 'edges':
        for (const { key, edge } of message.edges) this.#sawEdge(key, edge);
        break;
    }
  }

  /** Every few milliseconds: what was not acknowledged goes out again. */
  tick(): void {
    for (const [segment, live] of this.live.entries()) {
      if (live === undefined) continue;
      if (!live.responseLeft && live.response !== 0 && live.waitsFor.size === 0) {
        this.#respondIfAcked(segment, live);
      }
      this.#wait(segment, live);
    }
    for (const other of this.#host.others) {
      const from = this.#ahead.nextFor(other) - 1;
      if (from < this.#log.length) this.#sendLog(other, from);
    }
    this.#progress();
  }

  /** The owner's edges, for the others. */
  digest(): void {
    const edges = this.live.flatMap((live) => (live ? [{ key: live.key, edge: live.top }] : []));
    if (edges.length === 0 || this.#host.now() >= this.leaseUntil) return;
    for (const other of this.#host.others) this.#host.send(other, { kind: 'edges', edges });
  }

  /** State that must be the same everywhere in the end. */
  summary(segment: number): string {
    const { key, reserved, messageId, response } = this.store[segment] ?? {};
    return `${key}/${reserved}/${messageId}/${response}`;
  }

  #take(action: Extract<CoordinatorAction, { kind: 'take' }>): void {
    const { segment, epoch } = action;
    const handed = this.#installed.get(segment);
    this.#installed.delete(segment);
    const isHandedOver = action.reason === 'handed-over' && handed !== undefined;
    const final = isHandedOver && !this.#host.rules.has('final-state') ? handed : undefined;
    const behind = this.#host.rules.has('fetch-behind') ? [] : action.behind;
    const gap = action.gap && !this.#host.rules.has('renew-after-gap');
    if (final) this.store[segment] = final;
    const live = this.#begin(segment, epoch, gap && !isHandedOver);
    live.isAnew = gap && !isHandedOver;
    for (const node of behind) live.waitsFor.add(node);
    live.waitsUntil = this.#host.now() + PULL_WAIT;
    this.live[segment] = live;
    if (live.waitsFor.size === 0) this.#start(segment, live);
    else for (const node of behind) this.#host.send(node, { kind: 'pull' });
  }

  /** From what is known here: the numbers of a successor. */
  #begin(segment: number, epoch: number, anew: boolean): Live {
    const known = anew ? undefined : this.store[segment];
    const { strictReplay, rules } = this.#host;
    const edge = known ? Math.max(known.edge, this.#edges.get(known.key) ?? 0) : 0;
    const strict = strictReplay ? 2 * SAMPLING : 0;
    const guessed = known && rules.has('reserve-ahead') ? known.reserved - RESERVE + 1 : undefined;
    const sent = known?.final?.sent ?? guessed ?? known?.reserved ?? 0;
    const floor = known?.final?.floor ?? (known ? edge + strict : 0);
    return {
      key: known?.key ?? 0,
      epoch,
      sent: Math.max(0, sent),
      asked: known?.reserved ?? 0,
      askedAt: 0,
      allowed: known?.final?.allowed ?? Math.max(0, sent),
      messageId: known?.messageId ?? 0,
      response: known?.response ?? 0,
      responseIv: known?.responseIv ?? 0,
      responseAt: 0,
      responseDue: Number.POSITIVE_INFINITY,
      responseLeft: false,
      floor: rules.has('seen-up-to-edge') && !known?.final ? Math.max(0, floor - 6) : floor,
      top: Math.max(edge, floor),
      seen: new Set(known?.final?.seen),
      isFinal: known?.final !== undefined,
      isAnew: false,
      isFrozen: false,
      waitsFor: new Set(),
      waitsUntil: Number.POSITIVE_INFINITY,
    };
  }

  #start(segment: number, live: Live): void {
    if (live.key === 0) {
      live.key = this.#host.newKey(segment);
      live.messageId = 0;
      live.response = 0;
      this.renewals++;
      this.#host.renewed(segment, live.key);
    }
    this.#host.oracle.began(live.key, Math.max(live.top, live.floor), live.isFinal);
    // A response that only we know of must not leave before others have it from us.
    live.responseAt = this.#append(segment, live);
    live.responseDue = this.#host.now() + WRITE_AHEAD_WAIT;
    this.#extend(segment, live);
  }

  /** Whoever has more state has not sent it: does it at all? Then nothing can be carried on. */
  #wait(segment: number, live: Live): void {
    if (live.waitsFor.size === 0) return;
    if (this.#host.now() < live.waitsUntil) {
      for (const node of live.waitsFor) this.#host.send(node, { kind: 'pull' });
      return;
    }
    const anew = this.#begin(segment, live.epoch, true);
    this.live[segment] = anew;
    this.#start(segment, anew);
    this.#host.settled(segment);
  }

  #release(segment: number): void {
    const live = this.live[segment];
    this.live[segment] = undefined;
    if (!live || live.waitsFor.size > 0) return;
    this.store[segment] = { ...this.#mirror(segment, live, false), position: this.#log.length };
  }

  #extend(segment: number, live: Live): void {
    if (live.asked - live.sent >= RESERVE / 2) return;
    live.asked = Math.max(live.asked, live.sent) + RESERVE;
    live.askedAt = this.#append(segment, live);
    this.#progress();
  }

  #mirror(segment: number, live: Live, isFinal: boolean): Mirror {
    return {
      segment,
      key: live.key,
      reserved: live.asked,
      messageId: live.messageId,
      response: live.response,
      responseIv: live.responseIv,
      edge: live.top,
      epoch: live.epoch,
      sid: this.#host.sid,
      position: this.#log.length + 1,
      final: isFinal
        ? { sent: live.sent, allowed: live.allowed, seen: new Set(live.seen), floor: live.floor }
        : undefined,
    };
  }

  #append(segment: number, live: Live): number {
    const record = this.#mirror(segment, live, false);
    this.#log.push(record);
    this.#ahead.write();
    this.store[segment] = record;
    for (const other of this.#host.others) {
      if (this.#ahead.nextFor(other) === this.#log.length) {
        this.#sendLog(other, this.#log.length - 1);
      }
    }
    return this.#log.length;
  }

  #sendLog(to: number, from: number): void {
    const records = this.#log.slice(from, from + 32);
    this.#host.send(to, { kind: 'log', sid: this.#host.sid, from, records });
  }

  #follow(from: number, sid: number, start: number, records: readonly Mirror[]): void {
    let position = this.#positions.get(sid) ?? 0;
    if (start > position) return;
    const refused = this.#refused.get(sid) ?? [];
    for (const [index, record] of records.entries()) {
      if (start + index !== position) continue;
      position++;
      // A node that knows of a later owner gives the former one no acknowledgement any more.
      if (!this.#accepts(record)) refused.push(position);
      this.#storeIfLater(record);
    }
    this.#positions.set(sid, position);
    if (refused.length > 0) this.#refused.set(sid, refused);
    this.#host.applied(sid, position);
    const told = refused.filter((one) => one > start);
    const by = this.#host.sid;
    this.#host.send(from, { kind: 'ack', by, sid, position, refused: told });
  }

  #accepts({ segment, epoch }: Mirror): boolean {
    return this.#host.rules.has('drop-lower-epochs') || epoch >= this.#host.epoch(segment);
  }

  #storeIfLater(record: Mirror): void {
    const isBlind = this.#host.rules.has('drop-lower-epochs');
    if (isBlind || isLater(record, this.store[record.segment])) this.store[record.segment] = record;
  }

  #snapshot(): DataMessage {
    const store = this.store.map((mirror, segment) => {
      const live = this.live[segment];
      return live && live.waitsFor.size === 0 ? this.store[segment] : mirror;
    });
    const positions = [...this.#positions, [this.#host.sid, this.#log.length] as const];
    return { kind: 'snapshot', head: this.#host.snapshotHead(), store, positions };
  }

  #merge(
    from: number,
    store: readonly (Mirror | undefined)[],
    positions: readonly (readonly [number, number])[],
  ): void {
    for (const mirror of store) {
      if (mirror && !this.#isStarted(mirror.segment)) this.#storeIfLater(mirror);
    }
    for (const [sid, position] of positions) {
      if (sid === this.#host.sid || position <= (this.#positions.get(sid) ?? 0)) continue;
      this.#positions.set(sid, position);
      this.#host.applied(sid, position);
    }
    for (const [segment, live] of this.live.entries()) {
      if (!live?.waitsFor.delete(from) || live.waitsFor.size > 0) continue;
      const begun = this.#begin(segment, live.epoch, live.isAnew);
      this.live[segment] = begun;
      this.#start(segment, begun);
      this.#host.settled(segment);
    }
  }

  #isStarted(segment: number): boolean {
    const live = this.live[segment];
    return live !== undefined && live.waitsFor.size === 0;
  }

  #sawEdge(key: number, edge: number): void {
    if (edge > (this.#edges.get(key) ?? 0)) this.#edges.set(key, edge);
  }

  #isAcked(position: number): boolean {
    if (this.#host.isAlone()) return true;
    return this.#ahead.isKnown(position);
  }

  #progress(): void {
    for (const [segment, live] of this.live.entries()) {
      if (live === undefined || live.waitsFor.size > 0) continue;
      if (live.allowed < live.asked && live.askedAt > 0 && this.#isAcked(live.askedAt)) {
        live.allowed = live.asked;
      }
      if (!live.responseLeft && live.response !== 0) this.#respondIfAcked(segment, live);
    }
  }

  #respondIfAcked(segment: number, live: Live): void {
    const isAcked = this.#isAcked(live.responseAt);
    const isLate = !this.#host.strictWriteAhead && this.#host.now() >= live.responseDue;
    if (isAcked || isLate) this.#respond(segment, live, isAcked);
  }

  #respond(segment: number, live: Live, synced: boolean): void {
    if (this.#host.now() >= this.leaseUntil || live.isFrozen) return;
    live.responseLeft = true;
    const { key, messageId, response, responseIv } = live;
    const where = `node ${this.#host.node}`;
    this.#host.oracle.sealed(-key, responseIv, response, where);
    this.#host.oracle.responded(`key ${key}`, messageId - 1, response, synced, where);
    this.#host.respond(segment, key, messageId - 1, response);
  }

  #iv(): number {
    this.#ivs++;
    return (this.#host.rules.has('iv-partition') ? 0 : this.#host.sid) * 2 ** 32 + this.#ivs;
  }
}

function isLater(a: Mirror, b: Mirror | undefined): boolean {
  if (b === undefined) return true;
  return (a.epoch - b.epoch || a.sid - b.sid || a.position - b.position) > 0;
}
