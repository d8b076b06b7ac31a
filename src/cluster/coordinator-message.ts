/**
 * What the coordinators of a cluster say to each other, as values.
 *
 * HEARTBEAT asks for a lease and claims segments; LEASE answers one heartbeat. Both are worth nothing
 * late and go as single datagrams. HELLO is repeated until the other side shows that it has it; the
 * messages of a hand-over have time-outs at both ends, so that none needs to be resent by a lower layer.
 */
import type { Epoch, Segment, Sid } from './ballot.ts';
import type { ConfigurationField } from './cluster-settings.ts';
import type { Advert } from './demotion.ts';
import type { NodeId } from './node-id.ts';
import type { Claim, Precedence, Refusal } from './segment-records.ts';

/** State of the ways a node has out: to peers, to its own network, to the other nodes. */
export interface Legs {
  readonly wan: boolean;
  readonly lan: boolean;
  readonly sync: boolean;
}

/** How much of the state that a process has sent another one has, without a gap. */
export interface Applied {
  readonly sid: Sid;
  readonly position: number;
}

interface Sender {
  readonly node: NodeId;
  readonly sid: Sid;
}

export interface HelloMessage extends Sender {
  readonly kind: 'hello';
  /** Counts the starts of this node. */
  readonly boot: number;
  readonly version: number;
  /** The lowest version it can speak. */
  readonly oldestVersion: number;
  readonly capabilities: readonly string[];
  readonly configuration: readonly ConfigurationField[];
  /** Random for each start: tells two starts apart that a restored disk gave one number. */
  readonly nonce: number;
  /** What the sender knows of the receiver's last start; 0 and 0 when nothing. */
  readonly yourBoot: number;
  readonly yourNonce: number;
}

export interface HeartbeatMessage extends Sender {
  readonly kind: 'heartbeat';
  readonly counter: number;
  /** Nodes it hears: one that is not among them was silent for the wait of a take-over. */
  readonly view: readonly NodeId[];
  readonly claims: readonly Claim[];
  readonly advert: Advert;
  readonly legs: Legs;
  /** 0 to 255, of its own measure. */
  readonly load: number;
  /** One of two nodes, which does not hear the other and takes for itself. */
  readonly alone: boolean;
  /** A majority answers it: without, it can have no segments. */
  readonly contact: boolean;
  /** It has all state that others acknowledged for it; false from its start until it has been told. */
  readonly synced: boolean;
}

export interface LeaseMessage extends Sender {
  readonly kind: 'lease';
  /** The heartbeat that is answered. */
  readonly to: Sid;
  readonly counter: number;
  readonly refused: readonly Refusal[];
  /** For claims that have no majority yet: whom they follow here. */
  readonly precedence: readonly Precedence[];
  readonly applied: readonly Applied[];
}

/** A process that is gone: it says so itself, or whoever saw it end does. */
export interface ByeMessage extends Sender {
  readonly kind: 'bye';
}

export interface SegmentAtEpoch {
  readonly segment: Segment;
  readonly epoch: Epoch;
}

/** The owner offers segments. */
export interface GiveMessage extends Sender {
  readonly kind: 'segment-give';
  readonly batch: number;
  readonly segments: readonly SegmentAtEpoch[];
}

/** Yes to an offer (`batch` set), or the wish to have segments. */
export interface TakeMessage extends Sender {
  readonly kind: 'segment-take';
  readonly batch: number | undefined;
  readonly segments: readonly SegmentAtEpoch[];
}

/** The owner has stopped and let go: all that its successor needs. */
export interface FreezeMessage extends Sender {
  readonly kind: 'segment-freeze';
  readonly batch: number;
  readonly pinned: boolean;
  readonly segments: readonly SegmentAtEpoch[];
  /** Sequence numbers, windows, message ids, in the form of the room that froze them. */
  readonly state: Uint8Array;
}

export interface DoneMessage extends Sender {
  readonly kind: 'segment-done';
  readonly batch: number;
  readonly segments: readonly SegmentAtEpoch[];
}

export type CoordinatorMessage =
  | HelloMessage
  | HeartbeatMessage
  | LeaseMessage
  | ByeMessage
  | GiveMessage
  | TakeMessage
  | FreezeMessage
  | DoneMessage;

/** What a SEG_FREEZE must fit in with other records: of one batch. */
export const MAX_FINAL_STATE = 1 << 20;
