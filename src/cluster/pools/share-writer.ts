/**
 * Changes shares by compare-and-set, one change of a share after the other.
 *
 * A change is a function of the share as it is, called again when another node was faster. Only `written` says
 * that a change counts: what a conflict shows is a hint, as a majority may never come to have it.
 */
import type { Segment } from '../ballot.ts';
import type { BusEvent, BusRequest, Revision } from '../bus/bus.ts';
import { decodeShare, encodeShare, NEW_SHARE, type Share, shareKey } from './share.ts';

/** `unsettled`: it may count, now or later. `refused`: it does not and will not. */
export type Outcome =
  | { readonly kind: 'written'; readonly share: Share; readonly revision: Revision }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unsettled' };

export interface Change {
  /** Undefined where the share is not what it was meant for. */
  readonly apply: (share: Share) => Share | undefined;
  readonly done: (outcome: Outcome) => void;
}

interface Known {
  readonly share: Share;
  readonly revision: Revision | undefined;
}

interface Register {
  known: Known;
  readonly waiting: Change[];
  tries: number;
  isUnsettled: boolean;
  isBusy: boolean;
  next: Share;
}

type SetRequest = Extract<BusRequest, { readonly kind: 'compare-and-set' }>;

export class ShareWriter {
  readonly #pool: string;
  readonly #send: (request: Omit<SetRequest, 'id'>, segment: Segment) => number;
  readonly #registers = new Map<Segment, Register>();
  /** By request, the share it is about. */
  readonly #asked = new Map<number, Segment>();

  /** `send` passes a request on and answers the id it gave it. */
  constructor(pool: string, send: (request: Omit<SetRequest, 'id'>, segment: Segment) => number) {
    this.#pool = pool;
    this.#send = send;
  }

  /** The share as it was last heard of. */
  known(segment: Segment): Share {
    return this.#registers.get(segment)?.known.share ?? NEW_SHARE;
  }

  /** Segments whose shares were heard of. */
  get segments(): Iterable<Segment> {
    return this.#registers.keys();
  }

  /** The copy of this node has another value. */
  heard(segment: Segment, value: Uint8Array | undefined, revision: Revision): void {
    const register = this.#register(segment);
    if (revision.number < (register.known.revision?.number ?? 0)) return;
    register.known = knownOf(value, revision);
  }

  change(segment: Segment, change: Change): void {
    const register = this.#register(segment);
    register.waiting.push(change);
    if (!register.isBusy) this.#begin(segment, register);
  }

  /** Whether the event answers a request of ours. */
  handle(event: BusEvent): boolean {
    if (!('id' in event)) return false;
    const segment = this.#asked.get(event.id);
    const register = segment === undefined ? undefined : this.#registers.get(segment);
    if (segment === undefined || !register) return false;
    if (event.kind === 'held' || event.kind === 'not-held') return true;
    this.#asked.delete(event.id);
    switch (event.kind) {
      case 'written': {
        const { next: share } = register;
        register.known = { share, revision: event.revision };
        this.#end(segment, register, { kind: 'written', share, revision: event.revision });
        return true;
      }
      case 'conflict':
        register.known = knownOf(event.current?.value, event.current?.revision);
        this.#again(segment, register);
        return true;
      default:
        register.isUnsettled ||= event.reason === 'unsettled';
        if (event.reason === 'unsettled') this.#again(segment, register);
        else this.#giveUp(segment, register);
        return true;
    }
  }

  #begin(segment: Segment, register: Register): void {
    register.tries = 0;
    register.isUnsettled = false;
    register.isBusy = true;
    this.#ask(segment, register);
  }

  #again(segment: Segment, register: Register): void {
    if (++register.tries >= MOST_TRIES) this.#giveUp(segment, register);
    else this.#ask(segment, register);
  }

  #ask(segment: Segment, register: Register): void {
    const next = register.waiting[0]?.apply(register.known.share);
    if (next === undefined) {
      this.#giveUp(segment, register);
      return;
    }
    register.next = next;
    const { revision: expected } = register.known;
    const value = encodeShare(next);
    const key = shareKey(this.#pool, segment);
    const request = { kind: 'compare-and-set', key, value, expected } as const;
    this.#asked.set(this.#send(request, segment), segment);
  }

  #giveUp(segment: Segment, register: Register): void {
    this.#end(segment, register, { kind: register.isUnsettled ? 'unsettled' : 'refused' });
  }

  #end(segment: Segment, register: Register, outcome: Outcome): void {
    // What the next change is made of includes what came of this one.
    register.waiting.shift()?.done(outcome);
    register.isBusy = false;
    if (register.waiting.length > 0) this.#begin(segment, register);
  }

  #register(segment: Segment): Register {
    const there = this.#registers.get(segment);
    if (there) return there;
    const known = { share: NEW_SHARE, revision: undefined };
    const made = {
      known,
      waiting: [],
      tries: 0,
      isUnsettled: false,
      isBusy: false,
      next: NEW_SHARE,
    };
    this.#registers.set(segment, made);
    return made;
  }
}

/** A value that was deleted, or is none, is as if there had never been one. */
function knownOf(value: Uint8Array | undefined, revision: Revision | undefined): Known {
  if (value === undefined) return { share: NEW_SHARE, revision: undefined };
  return { share: decodeShare(value) ?? NEW_SHARE, revision };
}

const MOST_TRIES = 8;
