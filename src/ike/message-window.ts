/**
 * The message window of one IKE SA, of size one in both directions (RFC 7296 §2.1-§2.3).
 *
 * Requests wait their turn as wishes and are composed when the window opens, because by then the
 * wish may be moot. The last response is kept for a peer that repeats its request.
 */
import type { Instant } from '../wire/instant.ts';
import { latin1OfOctets, octetsOfLatin1 } from '../wire/octets.ts';
import {
  type IkeHeader,
  type MessageId,
  type Payload,
  messageId as toMessageId,
} from './message/message.ts';
import { Retransmission } from './retransmission.ts';
import type { IkeSettings } from './settings.ts';

/** A response of ours, kept for a peer that repeats its request: as text, for few do. */
export class SentResponse {
  readonly messageId: number;
  /** Times it was sent again. */
  repeats = 0;
  #kept: readonly string[];

  constructor(messageId: number, datagrams: readonly Uint8Array[]) {
    this.messageId = messageId;
    this.#kept = datagrams.map(latin1OfOctets);
  }

  get datagrams(): readonly Uint8Array[] {
    return this.#kept.map(octetsOfLatin1);
  }

  set datagrams(datagrams: readonly Uint8Array[]) {
    this.#kept = datagrams.map(latin1OfOctets);
  }
}

/** A request of ours that is out, as it was sent. */
export interface RequestInFlight<Purpose> {
  readonly purpose: Purpose;
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
  readonly retransmission: Retransmission;
  /** One, or several fragments; those of a repetition may be smaller. */
  datagrams: readonly Uint8Array[];
}

/** Where a window stands, all but what waits: of an IKE SA that goes on here. */
export interface WindowState<Purpose> {
  readonly nextId: number;
  readonly expectedId: number;
  readonly inFlight: RequestInFlight<Purpose> | undefined;
  readonly answered: SentResponse | undefined;
}

/** A question about message ids that is out (RFC 6311). */
export interface SyncQuestion {
  readonly nonce: Uint8Array;
  /** The id it named for our next request. */
  readonly send: number;
  /** How many were asked. */
  readonly questions: number;
  /** When to ask again. */
  readonly until: Instant;
  /** It asks for higher sequence numbers, too. */
  readonly raises: boolean;
}

/** What was said last over an IKE SA is not known here. */
export interface Doubt {
  /** When it is made anew, if we are the side that begins, and when it would have been otherwise. */
  readonly anewAt: Instant | undefined;
  readonly before: Instant | undefined;
  /** The peer was asked where it stands. */
  readonly asked: boolean;
}

export class MessageWindow<Purpose, Wish> {
  #nextId = 0;
  #expectedId = 0;
  #inFlight: RequestInFlight<Purpose> | undefined;
  #waiting: Wish[] = [];
  #answered: SentResponse | undefined;

  get inFlight(): RequestInFlight<Purpose> | undefined {
    return this.#inFlight;
  }

  get waiting(): readonly Wish[] {
    return this.#waiting;
  }

  /** When the request in flight wants to be repeated or given up. */
  get deadline(): Instant | undefined {
    return this.#inFlight?.retransmission.nextAt;
  }

  /** The id of the peer's next request. */
  get expectedId(): number {
    return this.#expectedId;
  }

  restore({ nextId, expectedId, inFlight, answered }: WindowState<Purpose>): void {
    this.#nextId = nextId;
    this.#expectedId = expectedId;
    this.#inFlight = inFlight;
    this.#answered = answered;
  }

  /** Both sides said where they stand (RFC 6311). */
  synchronise({
    nextId,
    expectedId,
  }: {
    readonly nextId: number;
    readonly expectedId: number;
  }): void {
    this.#nextId = nextId;
    this.#expectedId = expectedId;
  }

  /** The request in flight will have no answer. */
  recall(): Purpose | undefined {
    const purpose = this.#inFlight?.purpose;
    this.#inFlight = undefined;
    return purpose;
  }

  /** Before all others that wait. */
  addFirst(wish: Wish): void {
    this.#waiting.unshift(wish);
  }

  add(wish: Wish): void {
    this.#waiting.push(wish);
  }

  /** The next wish, if the window is open. */
  shift(): Wish | undefined {
    return this.#inFlight ? undefined : this.#waiting.shift();
  }

  /** Wishes that shall go over another IKE SA, or nowhere. */
  drain(): readonly Wish[] {
    return this.#waiting.splice(0);
  }

  /** The id of a request about to be sent. */
  get nextId(): MessageId {
    return toMessageId(this.#nextId);
  }

  sent(
    request: Omit<RequestInFlight<Purpose>, 'retransmission'>,
    settings: IkeSettings,
    now: Instant,
    early?: readonly number[],
  ): void {
    this.#nextId++;
    this.#inFlight = { ...request, retransmission: new Retransmission(settings, now, early) };
  }

  /** Is it the response to our request, by its id and its exchange (RFC 7296 §2.2)? */
  awaits({ messageId, exchangeType }: Pick<IkeHeader, 'messageId' | 'exchangeType'>): boolean {
    const awaited = this.#inFlight?.header;
    return awaited?.messageId === messageId && awaited.exchangeType === exchangeType;
  }

  /** The purpose of the request that a response ends; undefined for one nobody awaits. */
  take(response: Pick<IkeHeader, 'messageId' | 'exchangeType'>): Purpose | undefined {
    if (!this.#inFlight || !this.awaits(response)) return undefined;
    const { purpose } = this.#inFlight;
    this.#inFlight = undefined;
    return purpose;
  }

  /** Forgets the request in flight and those that wait. */
  clear(): void {
    this.#inFlight = undefined;
    this.#waiting = [];
  }

  // RFC 7296 §2.2, §2.6: a restarted IKE_SA_INIT uses id 0 again.
  restart(): void {
    this.#inFlight = undefined;
    this.#nextId = 0;
  }

  /** Where a request's id stands against the window (RFC 7296 §2.3). */
  place(messageId: number): 'new' | 'repeated' | 'outside' {
    if (messageId === this.#expectedId) return 'new';
    return messageId === this.#answered?.messageId ? 'repeated' : 'outside';
  }

  answered(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.#answered = new SentResponse(messageId, datagrams);
    this.#expectedId = messageId + 1;
  }

  /** The last response, for a peer that did not hear it. */
  get lastResponse(): SentResponse | undefined {
    return this.#answered;
  }
}
