/**
 * The cluster bus: records that every node has a copy of, whatever carries them.
 *
 * Requests go in, events come out, each with the `id` (1 or more) its asker gave; what is known is read at once from
 * this node's copy (`RecordReader`). A record is the last value of a key. Which of two values is the later
 * one is decided everywhere alike: by epoch, then by revision.
 */
import type { NodeId } from '../node-id.ts';

/** Orders the writes of all nodes; a writer counts on from the highest number it has seen. */
export interface Revision {
  readonly number: number;
  readonly writer: NodeId;
  /** Of the writer's process, so that no two writes are ever taken for one. */
  readonly incarnation: number;
}

export interface BusRecord {
  readonly key: string;
  /** Undefined once deleted. */
  readonly value: Uint8Array | undefined;
  /** Of who may write the key: a value of a lower epoch never replaces one of a higher. */
  readonly epoch: number;
  readonly revision: Revision;
}

export type BusRequest =
  /** Writes, or deletes with no value. Every peer that has it in memory is told by `held`. */
  | {
      readonly kind: 'put';
      readonly id: number;
      readonly key: string;
      readonly value: Uint8Array | undefined;
      readonly epoch: number;
    }
  /**
   * Writes if a majority of all nodes has that revision, or no value where undefined. A key that is
   * compared and set is never simply put; its records have epoch 0.
   */
  | {
      readonly kind: 'compare-and-set';
      readonly id: number;
      readonly key: string;
      readonly value: Uint8Array | undefined;
      readonly expected: Revision | undefined;
    }
  /** Every record whose key begins so, from now on, and first those later than `from` says. */
  | {
      readonly kind: 'watch';
      readonly id: number;
      readonly prefix: string;
      readonly from: RevisionVector | undefined;
    }
  | { readonly kind: 'unwatch'; readonly id: number };

/** By writer, the highest number that is known: what a watch may begin behind. */
export type RevisionVector = ReadonlyMap<NodeId, number>;

export type BusEvent =
  /** The value has its place in this node's copy; `awaited` may still come to hold it. */
  | {
      readonly kind: 'written';
      readonly id: number;
      readonly revision: Revision;
      readonly awaited: readonly NodeId[];
    }
  /** `by` has it in memory. */
  | { readonly kind: 'held'; readonly id: number; readonly by: NodeId }
  /** Whether `by` has it is not known; it will get it when it joins anew. */
  | { readonly kind: 'not-held'; readonly id: number; readonly by: NodeId }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: BusRefusal }
  /** Another value is there; `current` is what a majority has. */
  | { readonly kind: 'conflict'; readonly id: number; readonly current: BusRecord | undefined }
  | { readonly kind: 'changed'; readonly watch: number; readonly record: BusRecord }
  | { readonly kind: 'member'; readonly member: Member };

/** `unsettled`: begun, and whether it will count is not known. */
export type BusRefusal = 'older-epoch' | 'too-large' | 'full' | 'no-majority' | 'unsettled';

export interface Member {
  readonly node: NodeId;
  /** `joining` until its copy and ours have the same digest. */
  readonly state: 'gone' | 'joining' | 'synchronised';
}

/** What a node knows by itself. */
export interface RecordReader {
  /** The record; undefined where there never was one. */
  readonly get: (key: string) => BusRecord | undefined;
  /** Records with values whose keys begin so, and how far they go. */
  readonly snapshot: (prefix: string) => {
    readonly records: readonly BusRecord[];
    readonly at: RevisionVector;
  };
  readonly members: () => readonly Member[];
}

/** Octets of a key, and of a value. */
export const MAX_KEY_OCTETS = 256;
export const MAX_VALUE_OCTETS = 60_000;
