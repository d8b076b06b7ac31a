/**
 * One IKE SA: its addresses, SPIs, state, message window and Child SAs (RFC 7296 §2.1-§2.4).
 *
 * Sends requests one at a time, repeats them, answers repeated requests from its cache. What the
 * messages mean is the business of `exchange/`.
 */
import type { KeyExchangePair } from '../crypto/key-exchange.ts';
import type { IkeSubject } from '../events/event.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { Proposal } from '../ipsec/proposal.ts';
import type { Spi } from '../ipsec/spi.ts';
import { anyAddress, type Endpoint, formatEndpoint, type IpAddress } from '../wire/address.ts';
import { after, earliest, type Instant } from '../wire/instant.ts';
import type { Outcome, VirtualSettings } from './action.ts';
import type { DynamicAddresses } from './child-negotiation.ts';
import type { ChildAttempt, ChildWish } from './child-wish.ts';
import { reportMessage, sealed, sealedWhole, sendDatagrams } from './envelope.ts';
import type { PathSize } from './fragmentation.ts';
import { childDown, type HeldChild } from './held-child.ts';
import {
  IKE_SA_TRANSITIONS,
  type IkeSaState,
  type IkeSaStateName,
  type Secured,
} from './ike-sa-state.ts';
import type { Incoming } from './incoming.ts';
import {
  type IkeHeader,
  type IkeMessage,
  type IkeSpi,
  type MessageId,
  type Payload,
  messageId as toMessageId,
} from './message/message.ts';
import { type Doubt, MessageWindow, type SyncQuestion } from './message-window.ts';
import { Mobility } from './mobility.ts';
import type { Path } from './path.ts';
import type { PathMeasuring } from './path-measuring.ts';
import type { Turn } from './turn.ts';

/** Our half of a CREATE_CHILD_SA exchange that rekeys the IKE SA. */
export interface IkeRekeyAttempt {
  readonly spi: IkeSpi;
  readonly nonce: Uint8Array;
  readonly proposals: readonly Proposal[];
  readonly keyExchange: KeyExchangePair;
  readonly method: number;
  /** The peer's own rekey, answered while ours was out (§2.8.2). */
  rival?: { readonly sa: IkeSa; readonly lowestNonce: Uint8Array };
}

/** What a request is for. `attempt` is there once it is out. */
export type RequestPurpose =
  | { readonly kind: 'ike-sa-init' }
  | { readonly kind: 'ike-auth' }
  | { readonly kind: 'liveness' }
  /** `told`: the path that the request names. */
  | { readonly kind: 'update-addresses'; readonly told?: Path }
  | { readonly kind: 'tell-addresses' }
  | { readonly kind: 'check-routability'; readonly cookie: Uint8Array }
  | { readonly kind: 'redirect'; readonly gateway: string }
  | { readonly kind: 'probe-path'; readonly measuring: PathMeasuring }
  | { readonly kind: 'delete-ike-sa' }
  | { readonly kind: 'delete-child-sa'; readonly child: HeldChild }
  | { readonly kind: 'withdraw-child-sa'; readonly spiIn: Spi }
  | { readonly kind: 'create-child'; readonly wish: ChildWish; readonly attempt?: ChildAttempt }
  | {
      readonly kind: 'rekey-ike-sa';
      /** The key exchange method the peer asked for (INVALID_KE_PAYLOAD). */
      readonly method?: number;
      readonly attempt?: IkeRekeyAttempt;
    };

/** A request as it goes out; `purpose` where sending told more than wishing. */
export interface Composed {
  readonly exchangeType: number;
  readonly payloads: readonly Payload[];
  readonly purpose?: RequestPurpose;
  /**
   * In one datagram that IP must not cut; after these milliseconds each once more, the last time in
   * fragments of IP.
   */
  readonly whole?: readonly number[];
}

/** A request that waits for the window. `compose` answers undefined when it is no longer needed. */
export interface RequestWish {
  readonly purpose: RequestPurpose;
  compose(turn: Turn, sa: IkeSa): Composed | undefined;
}

export interface IkeSaOptions {
  readonly id: number;
  readonly initiator: boolean;
  /** We began the first of the IKE SAs that replaced one another; unset = as `initiator`. */
  readonly originalInitiator?: boolean;
  readonly connection: Connection;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  readonly state: IkeSaState;
  readonly now: Instant;
  /** Initiator: Child SAs to bring up, the first with IKE_AUTH. */
  readonly wishes?: readonly ChildWish[];
  /** Initiator: which attempt of `keyingtries` this is. */
  readonly tries?: number;
  /** Unset = the path it has. */
  readonly initiation?: Path;
  /** The IKE SA that this one makes unnecessary once it is up (reauthentication). */
  readonly reauthenticates?: IkeSa;
  /** Of the IKE SA that this one replaces. */
  readonly lineage?: Set<IkeSa>;
  /** Responder: what the first request hashes to, to know its repetitions. */
  readonly requestDigest?: string;
}

/** Time a closed IKE SA keeps answering repeated requests. */
const LINGER_MS = 30_000;
/** One for all: thousands of IKE SAs have nothing in several places. */
const NOTHING: readonly never[] = [];

export class IkeSa {
  readonly id: number;
  readonly initiator: boolean;
  /** We began the first of the IKE SAs that replaced one another: who moves, who proves itself anew. */
  readonly originalInitiator: boolean;
  readonly spiI: IkeSpi;
  readonly created: Instant;
  readonly requestDigest: string | undefined;
  readonly window = new MessageWindow<RequestPurpose, RequestWish>();
  readonly children = new Map<number, HeldChild>();
  /** The path of the first message. */
  readonly initiation: Path;
  /** Initiator: which attempt of `keyingtries` this is, from 1. */
  readonly tries: number;
  /** A newer IKE SA carries the traffic; when this one goes then. */
  heir: IkeSa | undefined;
  retireAt: Instant | undefined;
  /** The IKE SA that goes once this one has its Child SAs (reauthentication). */
  reauthenticates: IkeSa | undefined;
  /** Child SAs to bring up once it is established; the first may come with IKE_AUTH. */
  wishes: ChildWish[];
  /** Child SAs that the peer put off until later. */
  readonly postponed: { readonly at: Instant; readonly wish: ChildWish }[] = [];
  connection: Connection;
  local: Endpoint;
  remote: Endpoint;
  spiR: IkeSpi;
  /** As responder: the id of the request by which the peer proved who it is. */
  authMessageId: number | undefined;
  /** Last authenticated message from the peer. */
  lastHeard: Instant;
  /** Last NAT keepalive sent, or the start. */
  lastKeepalive: Instant;
  readonly mobility = new Mobility();
  /** The gateway that sent us to this one (RFC 5685). */
  redirectedFrom: string | undefined;
  /** Notify types by which the peer said what it supports. */
  announced: readonly number[] = NOTHING;
  /** Sizes that fragments have on the way to the peer, once there was a reason to ask. */
  pathSize: PathSize | undefined;
  /** When to replace it, by rekeying or from the start, and past when it is gone. */
  rekeyAt: Instant | undefined;
  reauthenticateAt: Instant | undefined;
  expireAt: Instant | undefined;
  authenticationExpiresAt: Instant | undefined;
  /** The IKE SA that this one of the peer and one of ours would both replace, while undecided. */
  rivalOf: IkeSa | undefined;
  /** The replaced IKE SA that we delete once the peer has deleted this one, made in vain. */
  outlives: IkeSa | undefined;
  /** Virtual addresses and more that the peer gave us, and addresses we gave the peer. */
  virtual: VirtualSettings | undefined;
  remoteVips: readonly IpAddress[] = NOTHING;
  /** The peer's request whose answer waits for addresses. Another node gets it when the peer asks again. */
  heldRequest: Incoming | undefined;
  /** Our question where the peer stands; nothing else is sent meanwhile. */
  sync: SyncQuestion | undefined;
  /** What was said last is not known here: no request of the peer is answered meanwhile. */
  doubt: Doubt | undefined;
  /** The highest id that a node of ours named in such a question: the peer answers to none but higher ones. */
  highestAsked: number | undefined;
  /** The highest id that a node of the peer's cluster named in such a question. */
  highestSync: number | undefined;
  /** Another has taken its place: its end is nobody's loss and no event. */
  replaced = false;
  #state: IkeSaState;
  #requests: Set<number> | undefined;
  #lineage: Set<IkeSa> | undefined;

  constructor(options: IkeSaOptions) {
    this.id = options.id;
    this.initiator = options.initiator;
    this.originalInitiator = options.originalInitiator ?? options.initiator;
    this.connection = options.connection;
    this.local = options.local;
    this.remote = options.remote;
    this.initiation = options.initiation ?? { local: options.local, remote: options.remote };
    this.tries = options.tries ?? 1;
    this.spiI = options.spiI;
    this.spiR = options.spiR;
    this.created = options.now;
    this.wishes = [...(options.wishes ?? [])];
    this.reauthenticates = options.reauthenticates;
    this.requestDigest = options.requestDigest;
    this.#lineage = options.lineage?.add(this);
    this.lastHeard = options.now;
    this.lastKeepalive = options.now;
    this.#state = options.state;
  }

  /** Operators' requests that wait for the IKE SA itself. Few IKE SAs have any. */
  get requests(): Set<number> {
    this.#requests ??= new Set();
    return this.#requests;
  }

  /** The IKE SAs that replaced one another, as long as something is left of them. */
  get lineage(): Set<IkeSa> {
    this.#lineage ??= new Set([this]);
    return this.#lineage;
  }

  /** It is one of those that `other` is of. */
  joinLineage(other: IkeSa): void {
    this.#lineage = other.lineage.add(this);
  }

  get state(): IkeSaState {
    return this.#state;
  }

  /** Keys, once IKE_SA_INIT is done. */
  get secured(): Secured | undefined {
    return 'secured' in this.#state ? this.#state.secured : undefined;
  }

  /** It was begun later, here or elsewhere. */
  isYoungerThan({ created, id }: IkeSa): boolean {
    return this.created > created || (this.created === created && this.id > id);
  }

  /** A Delete is on its way, ours or the peer's. */
  get isClosing(): boolean {
    return this.#state.name === 'AwaitingDeleteResponse' || this.#state.name === 'AwaitingDelete';
  }

  /** Ours, and not up yet. */
  get isEstablishing(): boolean {
    const { name } = this.#state;
    return name === 'AwaitingIkeSaInitResponse' || name === 'AwaitingIkeAuthResponse';
  }

  get inFlight(): RequestPurpose | undefined {
    return this.window.inFlight?.purpose;
  }

  get queued(): readonly RequestPurpose[] {
    return this.window.waiting.map(({ purpose }) => purpose);
  }

  /** Child SAs that carry traffic and stay. */
  get childrenUp(): readonly HeldChild[] {
    return [...this.children.values()].filter(({ isUp }) => isUp);
  }

  get ownSpi(): IkeSpi {
    return this.initiator ? this.spiI : this.spiR;
  }

  get localVips(): readonly IpAddress[] {
    return this.virtual?.addresses ?? [];
  }

  /** What `dynamic` selectors stand for: virtual addresses, any while they are only wanted (§2.19). */
  get dynamicAddresses(): DynamicAddresses {
    const { localVips, remoteVips } = this;
    const families = [...new Set(this.connection.vips.map(({ family }) => family))];
    const wanted = families.length > 0 ? families.map(anyAddress) : [this.local.address];
    return {
      local: localVips.length > 0 ? localVips : wanted,
      remote: remoteVips.length > 0 ? remoteVips : [this.remote.address],
    };
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

  /** The path is another; keys and state stay. */
  resecure(secured: Secured): void {
    if ('secured' in this.#state && this.#state.name !== 'Closed') {
      this.#state = { ...this.#state, secured };
    }
  }

  // RFC 7296 §2.3: the window is one; further requests wait for the response.
  request(turn: Turn, wish: RequestWish): void {
    this.window.add(wish);
    this.proceed(turn);
  }

  /** Sends the next request that is still needed, if the window is open. */
  proceed(turn: Turn): void {
    turn.touched.add(this.ownSpi);
    if (this.sync) return;
    while (this.#state.name !== 'Closed') {
      const wish = this.window.shift();
      if (!wish) return;
      const composed = wish.compose(turn, this);
      if (composed) this.#send(turn, composed.purpose ?? wish.purpose, composed);
    }
  }

  /**
   * Puts the response to `request` on the wire and keeps it for repetitions.
   *
   * RFC 7296 §2.11: it goes to where the request came from, whatever we believed before.
   */
  respond(turn: Turn, request: Incoming, payloads: readonly Payload[]): void {
    const { exchangeType, messageId } = request.header;
    const header = this.#header(exchangeType, messageId, true);
    this.window.answered(messageId, this.#transmit(turn, { header, payloads }, request));
  }

  /** A message that is outside of the window, under id 0. */
  sendApart(
    turn: Turn,
    { exchangeType, isResponse }: Pick<IkeHeader, 'exchangeType' | 'isResponse'>,
    payloads: readonly Payload[],
    path: Path,
  ): void {
    const header = this.#header(exchangeType, toMessageId(0), isResponse);
    this.#transmit(turn, { header, payloads }, path);
  }

  received(turn: Turn, { header, payloads, octets, fragments }: Incoming): void {
    const sizes = fragments ?? [octets.length];
    reportMessage(turn, this, { direction: 'received', header, payloads, sizes });
  }

  /**
   * The end: its Child SAs go, who waits for it is answered. It lingers to answer repetitions.
   */
  close(turn: Turn, reason: string, outcome: Outcome): void {
    if (this.#state.name === 'Closed') return;
    const wasUp = 'peer' in this.#state;
    for (const child of this.children.values()) this.removeChild(turn, child, reason);
    this.#endAddresses(turn);
    if (this.#state.name === 'AwaitingIkeAuthResponse' && this.#state.spiIn !== undefined) {
      turn.numbers.releaseSpi(this.#state.spiIn);
    }
    this.move({ name: 'Closed', secured: this.secured, until: after(turn.now, LINGER_MS) });
    this.abandonWaiting(turn, outcome);
    if (this.inFlight) abandon(turn, this.inFlight, outcome);
    this.window.clear();
    this.sync = undefined;
    turn.touched.add(this.ownSpi);
    if (wasUp && !this.replaced) turn.emit({ kind: 'ike-sa-down', reason, ...this.subject });
    this.complete(turn, outcome);
  }

  // RFC 7296 §2.12: keys of an SA that is gone must be forgotten.
  forget(): void {
    for (const key of Object.values(this.secured?.keys ?? {})) key.wipe();
  }

  /** Answers everyone who waits for the IKE SA or for a Child SA it was to bring. */
  complete(turn: Turn, outcome: Outcome): void {
    turn.complete(this.requests, outcome);
    for (const { requests } of this.wishes.splice(0)) turn.complete(requests, outcome);
  }

  /** What waits for the window or a better time will not come. */
  abandonWaiting(turn: Turn, outcome: Outcome): void {
    for (const { purpose } of this.window.drain()) abandon(turn, purpose, outcome);
    for (const { wish } of this.postponed.splice(0)) {
      turn.complete(wish.requests, outcome);
    }
  }

  installChild(turn: Turn, child: HeldChild): void {
    this.children.set(child.childSa.id, child);
    turn.touched.add(this.ownSpi);
    turn.push({ kind: 'install-child-sa', childSa: child.childSa });
  }

  /** The end of a Child SA; an event tells, unless another has taken its place. */
  removeChild(turn: Turn, child: HeldChild, reason: string): void {
    const { childSa, state } = child;
    if (!this.children.delete(childSa.id)) return;
    turn.touched.add(this.ownSpi);
    turn.numbers.releaseSpi(childSa.spiIn);
    turn.push({ kind: 'remove-child-sa', childSa, reason });
    const replaced = state.name === 'Deleting' ? state.replaced : !child.isUp;
    if (!replaced) turn.emit({ ...childDown(childSa, reason), ...this.subject });
  }

  /** When this SA wants to be called again for what it sent; liveness and lifetimes come on top. */
  nextDeadline(): Instant | undefined {
    const until = 'until' in this.#state ? this.#state.until : undefined;
    return earliest(this.window.deadline, until, this.sync?.until);
  }

  // RFC 7296 §2.19: an address is the client's until its IKE SA is deleted.
  #endAddresses(turn: Turn): void {
    turn.environment.pools.release(this);
    const { virtual } = this;
    this.virtual = undefined;
    if (virtual) turn.push({ kind: 'remove-virtual', ikeSa: this.id, virtual });
  }

  #send(turn: Turn, purpose: RequestPurpose, { exchangeType, payloads, whole }: Composed): void {
    const header = this.#header(exchangeType, this.window.nextId, false);
    const message = { header, payloads };
    const datagrams = whole ? sealedWhole(turn, this, message) : sealed(turn, this, message, this);
    const { settings } = turn.environment;
    this.window.sent({ purpose, header, payloads, datagrams }, settings, turn.now, whole);
    const sizes = datagrams.map(({ length }) => length);
    reportMessage(turn, this, { direction: 'sent', header, payloads, sizes });
    sendDatagrams(turn, datagrams, this, { sa: this, ...(whole && { carriage: 'whole' }) });
  }

  #transmit(turn: Turn, message: IkeMessage, path: Path): readonly Uint8Array[] {
    const datagrams = sealed(turn, this, message, path);
    const sizes = datagrams.map(({ length }) => length);
    reportMessage(turn, this, { direction: 'sent', ...message, sizes });
    sendDatagrams(turn, datagrams, path, { sa: this });
    return datagrams;
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
}

/** A request will have no answer: what was drawn for it is free, who waits for it is answered. */
export function abandon(turn: Turn, purpose: RequestPurpose, outcome: Outcome): void {
  if (purpose.kind === 'probe-path') purpose.measuring.end(turn, outcome);
  if (purpose.kind !== 'create-child') return;
  if (purpose.attempt) turn.numbers.releaseSpi(purpose.attempt.spiIn);
  turn.complete(purpose.wish.requests, outcome);
}
