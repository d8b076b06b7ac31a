/**
 * What happens in the cluster, told as events, and counted: what one turn of the node moved is one event with
 * ranges, not one for each segment.
 *
 * Decides nothing and has no clock: `turn` is handed the actions of every turn, in their order.
 */
import type { Sid } from '../../cluster/ballot.ts';
import type { ClusterEvent as NodeEvent } from '../../cluster/coordinator-action.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type {
  ClusterEvent,
  ClusterPart,
  NodeSubject,
  Trouble,
} from '../../events/cluster-event.ts';
import { formatSegments } from '../../vici/segment-list.ts';
import type { Instant } from '../../wire/instant.ts';
import type { ClusterNode, ClusterNodeAction } from './cluster-node.ts';

/** The node that is told of. */
export type ToldNode = Pick<ClusterNode, 'unsynced'> & {
  readonly coordinator: Pick<
    ClusterNode['coordinator'],
    'isAlone' | 'owned' | 'peers' | 'demotion' | 'sid'
  >;
};

export interface ClusterTellingParts {
  readonly node: ToldNode;
  readonly nameOf: (node: NodeId) => string;
  readonly nodeOf: (sid: Sid) => NodeId;
  /** Child SAs of this node whose numbers no other node knows. */
  readonly solo: () => number;
  /** What is wrong with what the cluster stands on. */
  readonly troubles: () => readonly Trouble[];
  readonly emit: (event: ClusterEvent) => void;
  readonly now: Instant;
}

type Taken = Extract<ClusterNodeAction, { readonly kind: 'take' }>;
type Released = Extract<ClusterNodeAction, { readonly kind: 'release' }>;

/** Between two looks at what changes with every message. */
const LOOK_MS = 1000;
/** Why a segment had lost its owner. */
const ORPHANED: ReadonlySet<Taken['reason']> = new Set(['silent', 'dead']);

export class ClusterTelling {
  readonly #parts: ClusterTellingParts;
  #troubles: ReadonlyMap<ClusterPart, string> = new Map();
  /** When nodes that are not there any more were last heard. */
  readonly #lastHeard = new Map<NodeId, number>();
  #aloneSince: number | undefined;
  /** The other one of two said that it goes on alone, too. */
  #otherAlone: NodeId | undefined;
  #drainSince: number | undefined;
  #resyncSince: number;
  #unsynced = { ikeSas: 0, childSas: 0 };
  #lookedAt = Number.NEGATIVE_INFINITY;
  #takeOvers = 0;
  #takenOver = 0;
  #lastTakeOver = 0;
  #longestTakeOver = 0;
  #gaps = 0;
  #abandoned = 0;
  #resyncs = 0;
  #splitBrainSeconds = 0;

  constructor(parts: ClusterTellingParts) {
    this.#parts = parts;
    this.#resyncSince = parts.now;
  }

  /** Since the start; times in milliseconds. */
  get figures(): Readonly<Record<string, number>> {
    return {
      'take-overs': this.#takeOvers,
      'take-over-segments': this.#takenOver,
      'take-over-last': this.#lastTakeOver,
      'take-over-longest': this.#longestTakeOver,
      gaps: this.#gaps,
      'hand-overs-abandoned': this.#abandoned,
      resyncs: this.#resyncs,
      'split-brain-seconds': this.#splitBrainSeconds,
    };
  }

  /** What is wrong now: what was not before is told, and what is not any more. */
  #watch(troubles: readonly Trouble[]): void {
    const found = new Map<ClusterPart, string>();
    for (const { part, what } of troubles) {
      const before = found.get(part);
      found.set(part, before === undefined ? what : `${before}; ${what}`);
    }
    for (const [part, what] of this.#troubles) {
      if (!found.has(part)) this.#parts.emit({ kind: 'cluster-mended', part, what });
    }
    for (const [part, what] of found) {
      if (this.#troubles.get(part) === what) continue;
      this.#parts.emit({ kind: 'cluster-trouble', part, what });
    }
    this.#troubles = found;
  }

  /** What came of one input. */
  turn(actions: readonly ClusterNodeAction[], now: Instant): void {
    const taken: Taken[] = [];
    const released: Released[] = [];
    for (const action of actions) {
      switch (action.kind) {
        case 'take':
          taken.push(action);
          break;
        case 'release':
          released.push(action);
          break;
        case 'emit':
          this.#hear(action.event, now);
          break;
        default:
          break;
      }
    }
    if (released.length > 0) this.#tellReleased(released);
    if (taken.length > 0) this.#tellTaken(taken, now);
    if (this.#aloneSince !== undefined) this.#noticeOther();
    if (now >= this.#lookedAt + LOOK_MS) this.#look(now);
  }

  #hear(event: NodeEvent, now: Instant): void {
    const { emit } = this.#parts;
    switch (event.kind) {
      case 'node-up':
      case 'node-back':
        emit({ kind: 'cluster-node-up', sid: event.sid, ...this.#subject(event.node) });
        break;
      case 'node-down':
        this.#lastHeard.set(event.node, this.#heard(event.node) ?? now);
        emit({ kind: 'cluster-node-down', reason: event.reason, ...this.#subject(event.node) });
        break;
      case 'configuration-differs': {
        const { fields, refused } = event;
        const kind = 'cluster-configuration-differs';
        emit({ kind, fields, refused, ...this.#subject(event.node) });
        break;
      }
      case 'version-refused': {
        const { version } = event;
        emit({ kind: 'cluster-version-refused', version, ...this.#subject(event.node) });
        break;
      }
      case 'alone':
        this.#setAlone(event.alone, now);
        break;
      case 'demoted':
        this.#demoted(event, now);
        break;
      case 'hand-over-abandoned': {
        this.#abandoned++;
        const segments = event.segments.map(({ segment }) => segment);
        const text = formatSegments(segments);
        const count = segments.length;
        emit({ kind: 'cluster-hand-over-abandoned', segments: text, count });
        break;
      }
      case 'drained':
        emit({ kind: 'cluster-drained', milliseconds: since(this.#drainSince, now) });
        break;
      default:
        event satisfies never;
    }
  }

  #demoted(
    { reason, demotion }: Extract<NodeEvent, { readonly kind: 'demoted' }>,
    now: Instant,
  ): void {
    const { emit, node } = this.#parts;
    const amount = node.coordinator.demotion.reasons().get(reason) ?? 0;
    emit({ kind: 'cluster-demoted', reason, amount, demotion });
    if (reason === 'drain') this.#drainSince = amount > 0 ? now : undefined;
    if (reason !== 'boot') return;
    if (amount > 0) {
      this.#resyncs++;
      this.#resyncSince = now;
      emit({ kind: 'cluster-resync', reason: 'state of other nodes is missing' });
    } else {
      emit({ kind: 'cluster-synced', milliseconds: since(this.#resyncSince, now) });
    }
  }

  #setAlone(alone: boolean, now: Instant): void {
    this.#parts.emit({ kind: 'cluster-alone', alone });
    const began = this.#aloneSince;
    this.#aloneSince = alone ? now : undefined;
    if (alone || began === undefined || this.#otherAlone === undefined) return;
    const seconds = Math.ceil((now - began) / 1000);
    this.#splitBrainSeconds += seconds;
    const subject = this.#subject(this.#otherAlone);
    this.#otherAlone = undefined;
    this.#parts.emit({ kind: 'cluster-split-brain-healed', seconds, ...subject });
  }

  /** Its heartbeats come again, and say that it went on alone as this node did. */
  #noticeOther(): void {
    const { peers } = this.#parts.node.coordinator;
    for (const peer of peers) {
      if (peer.alone && peer.lastHeard >= (this.#aloneSince ?? 0)) this.#otherAlone = peer.node;
    }
  }

  #tellReleased(released: readonly Released[]): void {
    for (const [reason, some] of byKey(released, (one) => one.reason)) {
      this.#parts.emit({ kind: 'cluster-segments-released', reason, ...this.#moved(some) });
    }
  }

  #tellTaken(taken: readonly Taken[], now: Instant): void {
    for (const [reason, some] of byKey(taken, (one) => one.reason)) {
      // What nobody ever had has no state.
      const gaps = reason === 'free' ? 0 : some.filter(({ gap }) => gap).length;
      this.#gaps += gaps;
      this.#parts.emit({ kind: 'cluster-segments-taken', reason, gaps, ...this.#moved(some) });
    }
    const { node: own, nodeOf } = this.#parts;
    // What this node lost and has again was taken from nobody.
    const orphans = taken.filter(({ reason, from }) => {
      return ORPHANED.has(reason) && nodeOf(from) !== nodeOf(own.coordinator.sid);
    });
    for (const [node, some] of byKey(orphans, ({ from }) => nodeOf(from))) {
      const heard = Math.max(this.#lastHeard.get(node) ?? 0, this.#heard(node) ?? 0);
      const milliseconds = since(heard === 0 ? undefined : heard, now);
      this.#takeOvers++;
      this.#takenOver += some.length;
      this.#lastTakeOver = milliseconds;
      this.#longestTakeOver = Math.max(this.#longestTakeOver, milliseconds);
      const count = some.length;
      this.#parts.emit({ kind: 'cluster-take-over', count, milliseconds, ...this.#subject(node) });
    }
  }

  #look(now: Instant): void {
    this.#lookedAt = now;
    this.#watch(this.#parts.troubles());
    const { node, solo, emit } = this.#parts;
    const found = { ikeSas: node.unsynced.size, childSas: solo() };
    const before = this.#unsynced;
    if (found.ikeSas === before.ikeSas && found.childSas === before.childSas) return;
    this.#unsynced = found;
    emit({ kind: 'cluster-unsynced', ...found });
  }

  #moved(some: readonly { readonly segment: number }[]) {
    const segments = formatSegments(some.map(({ segment }) => segment));
    return { segments, count: some.length, owned: this.#parts.node.coordinator.owned };
  }

  #subject(nodeId: NodeId): NodeSubject {
    return { node: this.#parts.nameOf(nodeId), nodeId };
  }

  #heard(node: NodeId): number | undefined {
    for (const peer of this.#parts.node.coordinator.peers) {
      if (peer.node === node && Number.isFinite(peer.lastHeard)) return peer.lastHeard;
    }
    return undefined;
  }
}

function byKey<Key, Item>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
): ReadonlyMap<Key, readonly Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

function since(then: number | undefined, now: Instant): number {
  return then === undefined ? 0 : Math.max(0, Math.round(now - then));
}
