/**
 * One IKE SA: its addresses, SPIs, state, message window and Child SAs (RFC 7296 §2.1-§2.4).
 *
 * Sends requests one at a time, repeats them, answers repeated requests from its cache. What the
 * messages mean is the business of `exchange/`.
 */
import type { IkeSubject } from '../events/event.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Connection } from '../ipsec/connection.ts';
import { ProtocolId } from '../ipsec/proposal.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { type Endpoint, formatEndpoint } from '../wire/address.ts';
import { after, earliest, type Instant } from '../wire/instant.ts';
import type { Outcome } from './action.ts';
import {
  IKE_SA_TRANSITIONS,
  type IkeSaState,
  type IkeSaStateName,
  type Secured,
} from './ike-sa-state.ts';
import { encodeMessage } from './message/codec.ts';
import {
  type DeletePayload,
  ExchangeType,
  type IkeHeader,
  type IkeSpi,
  type MessageId,
  type Payload,
  messageId as toMessageId,
} from './message/message.ts';
import { exchangeName, payloadName } from './message/payload-rules.ts';
import { sealMessage } from './protection.ts';
import { Retransmission } from './retransmission.ts';
import type { Turn } from './turn.ts';

/** What a request in flight was for. */
export type RequestPurpose =
  | { readonly kind: 'ike-sa-init' }
  | { readonly kind: 'ike-auth' }
  | { readonly kind: 'liveness' }
  | { readonly kind: 'delete-ike-sa' }
  | { readonly kind: 'delete-child-sa'; readonly childSa: ChildSa };

/** The outer addresses and ports a message took. */
export interface Path {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** A message that arrived, decoded and, but for IKE_SA_INIT, authenticated. */
export interface Incoming extends Path {
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
  readonly octets: Uint8Array;
}

interface RequestInFlight {
  readonly purpose: RequestPurpose;
  readonly messageId: MessageId;
  readonly exchangeType: number;
  readonly payloads: readonly Payload[];
  readonly octets: Uint8Array;
  readonly retransmission: Retransmission;
}

interface QueuedRequest {
  readonly purpose: RequestPurpose;
  readonly exchangeType: number;
  readonly payloads: readonly Payload[];
}

export interface IkeSaOptions {
  readonly id: number;
  readonly initiator: boolean;
  readonly connection: Connection;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  readonly state: IkeSaState;
  readonly now: Instant;
  /** Initiator: name of the child whose SA comes with IKE_AUTH. */
  readonly wantedChild?: string;
  /** Initiator: which attempt of `keyingtries` this is. */
  readonly tries?: number;
}

// RFC 7296 §3.11: the IKE SA of the message needs no SPI.
export const DELETE_IKE_SA: DeletePayload = {
  kind: 'DELETE',
  protocol: ProtocolId.IKE,
  spiSize: 0,
  spis: [],
};

/** Time a closed IKE SA keeps answering repeated requests. */
const LINGER_MS = 30_000;

export class IkeSa {
  readonly id: number;
  readonly initiator: boolean;
  readonly spiI: IkeSpi;
  readonly created: Instant;
  /** Initiator: name of the child whose SA comes with IKE_AUTH. */
  readonly wantedChild: string | undefined;
  readonly children = new Map<number, ChildSa>();
  /** `initiate` requests that wait for this SA's first Child SA. */
  readonly initiateRequests = new Set<number>();
  /** The path of the first message. */
  readonly initiation: Path;
  /** Initiator: which attempt of `keyingtries` this is, from 1. */
  readonly tries: number;
  connection: Connection;
  local: Endpoint;
  remote: Endpoint;
  spiR: IkeSpi;
  /** Last authenticated message from the peer. */
  lastHeard: Instant;
  /** Last NAT keepalive sent, or the start. */
  lastKeepalive: Instant;
  #state: IkeSaState;
  #nextRequestId = 0;
  #expectedRequestId = 0;
  #inFlight: RequestInFlight | undefined;
  #queue: QueuedRequest[] = [];
  #lastResponse: { readonly messageId: number; readonly octets: Uint8Array } | undefined;

  constructor(options: IkeSaOptions) {
    this.id = options.id;
    this.initiator = options.initiator;
    this.connection = options.connection;
    this.local = options.local;
    this.remote = options.remote;
    this.initiation = { local: options.local, remote: options.remote };
    this.tries = options.tries ?? 1;
    this.spiI = options.spiI;
    this.spiR = options.spiR;
    this.created = options.now;
    this.wantedChild = options.wantedChild;
    this.lastHeard = options.now;
    this.lastKeepalive = options.now;
    this.#state = options.state;
  }

  get state(): IkeSaState {
    return this.#state;
  }

  /** Keys and what AUTH covers, once IKE_SA_INIT is done. */
  get secured(): Secured | undefined {
    return 'secured' in this.#state ? this.#state.secured : undefined;
  }

  /** A Delete of ours is on its way. */
  get isClosing(): boolean {
    return this.#state.name === 'AwaitingDeleteResponse';
  }

  /** Ours, and not up yet. */
  get isEstablishing(): boolean {
    const { name } = this.#state;
    return name === 'AwaitingIkeSaInitResponse' || name === 'AwaitingIkeAuthResponse';
  }

  /** A Delete of ours for this Child SA is on its way, or waits for the window. */
  isDeleting({ id }: ChildSa): boolean {
    const purposes = [this.inFlight, ...this.queued];
    return purposes.some((one) => one?.kind === 'delete-child-sa' && one.childSa.id === id);
  }

  get inFlight(): RequestPurpose | undefined {
    return this.#inFlight?.purpose;
  }

  get queued(): readonly RequestPurpose[] {
    return this.#queue.map((request) => request.purpose);
  }

  get ownSpi(): IkeSpi {
    return this.initiator ? this.spiI : this.spiR;
  }

  get subject(): IkeSubject {
    return {
      ikeSa: this.id,
      connection: this.connection.name,
      local: formatEndpoint(this.local),
      peer: formatEndpoint(this.remote),
    };
  }

  move(state: IkeSaState): void {
    const allowed: readonly IkeSaStateName[] = IKE_SA_TRANSITIONS[this.#state.name];
    if (!allowed.includes(state.name)) {
      throw new Error(`IKE SA ${this.id}: no transition ${this.#state.name} -> ${state.name}`);
    }
    this.#state = state;
  }

  /** Starts over with message ids at zero (RFC 7296 §2.6: a restarted IKE_SA_INIT keeps id 0). */
  restart(): void {
    this.#inFlight = undefined;
    this.#nextRequestId = 0;
  }

  // RFC 7296 §2.3: the window is one; further requests wait for the response.
  request(
    turn: Turn,
    purpose: RequestPurpose,
    exchangeType: number,
    payloads: readonly Payload[],
  ): void {
    this.#queue.push({ purpose, exchangeType, payloads });
    this.#sendNext(turn);
  }

  /**
   * Puts the response to `request` on the wire and keeps it for repetitions.
   *
   * RFC 7296 §2.11: it goes to where the request came from, whatever we believed before.
   */
  respond(turn: Turn, request: Incoming, payloads: readonly Payload[]): Uint8Array {
    const { exchangeType, messageId } = request.header;
    const header = this.#header(exchangeType, messageId, true);
    const octets = this.#encode(turn, header, payloads);
    this.#lastResponse = { messageId, octets };
    this.#expectedRequestId = messageId + 1;
    this.#emitMessage(turn, 'sent', header, payloads, octets.length, 0);
    this.#send(turn, octets, request);
    return octets;
  }

  /** Where a request's message id stands against the window (RFC 7296 §2.3). */
  placeRequest(messageId: number): 'new' | 'repeated' | 'outside' {
    if (messageId === this.#expectedRequestId) return 'new';
    return messageId === this.#lastResponse?.messageId ? 'repeated' : 'outside';
  }

  /** The cached answer once more, to where the request came from. */
  repeatResponse(turn: Turn, path: Path): void {
    if (this.#lastResponse) this.#send(turn, this.#lastResponse.octets, path);
  }

  /** The purpose of the request this response ends; undefined for a response nobody awaits. */
  takeResponse(messageId: number): RequestPurpose | undefined {
    if (this.#inFlight?.messageId !== messageId) return undefined;
    const { purpose } = this.#inFlight;
    this.#inFlight = undefined;
    return purpose;
  }

  awaits(messageId: number): boolean {
    return this.#inFlight?.messageId === messageId;
  }

  /** Sends the next waiting request, if the window is free. */
  proceed(turn: Turn): void {
    this.#sendNext(turn);
  }

  received(turn: Turn, message: Incoming): void {
    const { header, payloads, octets } = message;
    this.#emitMessage(turn, 'received', header, payloads, octets.length, 0);
  }

  /** At the deadline of the request in flight. `give-up`: the peer does not answer. */
  expireRequest(turn: Turn): 'waiting' | 'give-up' {
    const request = this.#inFlight;
    if (!request || turn.now < request.retransmission.nextAt) return 'waiting';
    if (request.retransmission.expire(turn.now) === 'give-up') return 'give-up';
    const attempt = request.retransmission.attempts;
    turn.emit({
      kind: 'retransmit',
      messageId: request.messageId,
      attempt,
      ...this.subject,
    });
    const header = this.#header(request.exchangeType, request.messageId, false);
    this.#emitMessage(turn, 'sent', header, request.payloads, request.octets.length, attempt);
    this.#send(turn, request.octets);
    return 'waiting';
  }

  /**
   * The end: its Child SAs go, who waits for it is answered. It lingers to answer repetitions.
   */
  close(turn: Turn, reason: string, outcome: Outcome): void {
    if (this.#state.name === 'Closed') return;
    const wasUp = 'peer' in this.#state;
    for (const childSa of this.children.values()) this.removeChild(turn, childSa, reason);
    if (this.#state.name === 'AwaitingIkeAuthResponse') {
      turn.numbers.releaseSpi(this.#state.child.spiIn);
    }
    this.move({
      name: 'Closed',
      secured: this.secured,
      until: after(turn.now, LINGER_MS),
    });
    this.#inFlight = undefined;
    this.#queue = [];
    turn.touched.add(this.ownSpi);
    if (wasUp) turn.emit({ kind: 'ike-sa-down', reason, ...this.subject });
    this.completeInitiate(turn, outcome);
  }

  /** The end where no answer is expected: the peer is told once, if the window is free. */
  closeTelling(turn: Turn, payload: Payload, reason: string, outcome: Outcome): void {
    this.request(turn, { kind: 'delete-ike-sa' }, ExchangeType.INFORMATIONAL, [payload]);
    this.close(turn, reason, outcome);
  }

  // RFC 7296 §2.12: keys of an SA that is gone must be forgotten.
  forget(): void {
    for (const key of Object.values(this.secured?.keys ?? {})) key.wipe();
  }

  /** Tells the peer that the IKE SA ends (RFC 7296 §1.4.1); closes when it answers or is given up. */
  deleteIkeSa(turn: Turn, reason: string, outcome: Outcome): void {
    if (this.#state.name !== 'Established') return;
    const { secured, peer } = this.#state;
    this.move({ name: 'AwaitingDeleteResponse', secured, peer, reason });
    this.#queue = [];
    this.completeInitiate(turn, outcome);
    this.request(turn, { kind: 'delete-ike-sa' }, ExchangeType.INFORMATIONAL, [DELETE_IKE_SA]);
  }

  completeInitiate(turn: Turn, outcome: Outcome): void {
    for (const request of this.initiateRequests) turn.push({ kind: 'complete', request, outcome });
    this.initiateRequests.clear();
  }

  installChild(turn: Turn, childSa: ChildSa): void {
    this.children.set(childSa.id, childSa);
    turn.push({ kind: 'install-child-sa', childSa });
  }

  removeChild(turn: Turn, childSa: ChildSa, reason: string): void {
    if (!this.children.delete(childSa.id)) return;
    turn.numbers.releaseSpi(childSa.spiIn);
    turn.push({ kind: 'remove-child-sa', childSa, reason });
    turn.emit({
      kind: 'child-sa-down',
      child: childSa.name,
      childSa: childSa.id,
      spiIn: formatSpi(childSa.spiIn),
      spiOut: formatSpi(childSa.spiOut),
      reason,
      ...this.subject,
    });
  }

  /** When this SA wants to be called again for what it sent; liveness is `liveness.ts`'s. */
  nextDeadline(): Instant | undefined {
    const until = 'until' in this.#state ? this.#state.until : undefined;
    return earliest(this.#inFlight?.retransmission.nextAt, until);
  }

  #sendNext(turn: Turn): void {
    if (this.#inFlight || this.#state.name === 'Closed') return;
    const next = this.#queue.shift();
    if (!next) return;
    const messageId = toMessageId(this.#nextRequestId);
    const header = this.#header(next.exchangeType, messageId, false);
    const octets = this.#encode(turn, header, next.payloads);
    // RFC 7296 §2.2: a restarted IKE_SA_INIT uses id 0 again; `restart` sees to that.
    this.#nextRequestId++;
    const retransmission = new Retransmission(turn.environment.settings, turn.now);
    this.#inFlight = { ...next, messageId, octets, retransmission };
    this.#emitMessage(turn, 'sent', header, next.payloads, octets.length, 0);
    this.#send(turn, octets);
  }

  /** The octets of the request in flight: IKE_SA_INIT's are needed for AUTH. */
  get inFlightOctets(): Uint8Array {
    return this.#inFlight?.octets ?? new Uint8Array();
  }

  #encode(turn: Turn, header: IkeHeader, payloads: readonly Payload[]): Uint8Array {
    if (header.exchangeType === ExchangeType.IKE_SA_INIT)
      return encodeMessage({ header, payloads });
    const secured = this.secured;
    if (!secured)
      throw new Error(`IKE SA ${this.id}: no keys for ${exchangeName(header.exchangeType)}`);
    return sealMessage(header, payloads, secured.sealing, turn.environment.random);
  }

  #header(exchangeType: number, messageId: MessageId, isResponse: boolean): IkeHeader {
    return {
      initiatorSpi: this.spiI,
      responderSpi: this.spiR,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType,
      fromInitiator: this.initiator,
      higherVersion: false,
      isResponse,
      messageId,
    };
  }

  #send(turn: Turn, octets: Uint8Array, { local, remote }: Path = this): void {
    turn.push({ kind: 'send', local, remote, octets });
  }

  #emitMessage(
    turn: Turn,
    direction: 'sent' | 'received',
    header: IkeHeader,
    payloads: readonly Payload[],
    octets: number,
    retransmission: number,
  ): void {
    turn.touched.add(this.ownSpi);
    turn.emit({
      kind: 'message',
      direction,
      exchange: exchangeName(header.exchangeType),
      response: header.isResponse,
      messageId: header.messageId,
      payloads: payloads.map(payloadName),
      octets,
      retransmission,
      ...this.subject,
    });
  }
}
