/**
 * The IKE engine's two doors: `handle(input, now)` and `nextDeadline()`.
 *
 * Finds the IKE SA of a datagram, opens and checks the message, and hands it to its exchange.
 * The one place where `MalformedError` is caught: nothing a peer sends escapes as an exception.
 */
import { digest } from '../crypto/digest.ts';
import { ProtocolId } from '../ipsec/proposal.ts';
import { type Endpoint, formatEndpoint, type IpAddress } from '../wire/address.ts';
import { earliest, type Instant } from '../wire/instant.ts';
import { equalOctets, MalformedError } from '../wire/octets.ts';
import type { Action, Input } from './action.ts';
import { Admission } from './admission.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { bequeath, childDeleted } from './deletion.ts';
import { handleCreateChildResponse } from './exchange/create-child-initiator.ts';
import { answerCreateChild } from './exchange/create-child-responder.ts';
import { handleIkeAuthResponse } from './exchange/ike-auth-initiator.ts';
import { handleIkeAuthRequest } from './exchange/ike-auth-responder.ts';
import { handleIkeSaInitResponse } from './exchange/ike-sa-init-initiator.ts';
import { handleIkeSaInitRequest } from './exchange/ike-sa-init-responder.ts';
import { handleInformationalRequest } from './exchange/informational.ts';
import {
  handleAddressUpdateResponse,
  heedLiveness,
  heedOwnAddresses,
  heedProbe,
  isRoutable,
  probeOtherPaths,
} from './exchange/mobike.ts';
import {
  adoptRival,
  answerIkeRekey,
  attemptAgainst,
  handleIkeRekeyResponse,
} from './exchange/rekey-ike-sa.ts';
import type { IkeSa, Incoming, RequestPurpose } from './ike-sa.ts';
import { type FragmentVerdict, receiveFragment, reportDiscarded } from './incoming-fragment.ts';
import { initiate, settleReauthentication, tryAgain } from './initiation.ts';
import { keepAlive, livenessDeadline } from './liveness.ts';
import { decodeMessage } from './message/codec.ts';
import { decodeHeader } from './message/header.ts';
import { Limit } from './message/limits.ts';
import {
  ExchangeType,
  type IkeHeader,
  type IkeSpi,
  NO_IKE_SPI,
  type Payload,
} from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { checkPayloads, exchangeName } from './message/payload-rules.ts';
import { notifiesOf, payloadOf, statusNotify } from './payload-access.ts';
import { faultNotify, type PeerFault, peerFault } from './peer-fault.ts';
import { type MessageKey, openMessage } from './protection.ts';
import { REASSEMBLY_LIMIT, Reassembly } from './reassembly.ts';
import { RedirectHistory } from './redirect-history.ts';
import { redirectClients } from './redirection.ts';
import { answerFault, deleteByFault } from './refusal.ts';
import { followNat } from './relocation.ts';
import { reopen } from './reopening.ts';
import { startReplacements } from './replacement.ts';
import { SaNumbers } from './sa-numbers.ts';
import { SaRegistry } from './sa-registry.ts';
import { Terminations } from './termination.ts';
import { type IkeEnvironment, Turn } from './turn.ts';
import { replyUnprotected } from './unprotected.ts';
import { expireChild, rekeyChild, upkeep, upkeepDeadline } from './upkeep.ts';

/** What `shutdown` deletes. */
const EVERYTHING = { selector: {}, force: false };

type Datagram = Extract<Input, { readonly kind: 'datagram' }>;

export class IkeEndpoint {
  readonly #environment: IkeEnvironment;
  readonly #numbers: SaNumbers;
  readonly #registry: SaRegistry;
  readonly #admission: Admission;
  readonly #reassembly = new Reassembly();
  /** The same before IKE_AUTH: strangers cannot push out what established peers send. */
  readonly #unproven = new Reassembly(REASSEMBLY_LIMIT.UNPROVEN_OCTETS);
  readonly #terminations = new Terminations();
  readonly #deadlines = new DeadlineQueue<IkeSpi>();
  readonly #redirects = new RedirectHistory();
  #ownAddresses: readonly IpAddress[] = [];

  constructor(environment: IkeEnvironment) {
    this.#environment = environment;
    this.#numbers = new SaNumbers(environment.random);
    this.#registry = new SaRegistry(environment.random);
    this.#admission = new Admission(this.#registry, environment.random);
  }

  /** Every IKE SA that is not closed, oldest first. */
  ikeSas(): readonly IkeSa[] {
    return [...this.#registry.all()].filter(({ state }) => state.name !== 'Closed');
  }

  /** IKE SAs of responders that have not authenticated. */
  get halfOpen(): number {
    return this.#registry.halfOpen;
  }

  /** Inbound ESP SPIs that are taken: of Child SAs, and of those under way. */
  get inboundSpis(): number {
    return this.#numbers.spisIn;
  }

  handle(input: Input, now: Instant): readonly Action[] {
    const turn = new Turn(this.#environment, this.#numbers, now);
    turn.redirects = this.#redirects;
    turn.ownAddresses = this.#ownAddresses;
    switch (input.kind) {
      case 'datagram':
        this.#receive(turn, input);
        break;
      case 'initiate':
        initiate(turn, this.#registry, input);
        break;
      case 'terminate':
        this.#terminations.start(turn, this.ikeSas(), input.request, input);
        break;
      case 'shutdown':
        this.#terminations.start(turn, this.ikeSas(), input.request, EVERYTHING);
        break;
      case 'rekey':
        startReplacements(turn, this.#registry, this.ikeSas(), input);
        break;
      case 'traffic-limit':
        this.#reachedLimit(turn, input);
        break;
      case 'redirect':
        redirectClients(turn, this.ikeSas(), input);
        break;
      case 'peer-moved':
        this.#peerMoved(turn, input);
        break;
      case 'local-addresses':
        this.#ownAddresses = input.addresses;
        turn.ownAddresses = input.addresses;
        for (const sa of this.ikeSas()) heedOwnAddresses(turn, sa);
        break;
      case 'deadline':
        this.#expire(turn);
        break;
      default:
        return input satisfies never;
    }
    this.#terminations.complete(turn);
    // Reviewing one may touch others, which then come after it.
    for (const spi of turn.touched) this.#review(turn, spi);
    return turn.actions;
  }

  /** When to hand in `deadline`. Traffic of Child SAs may have put it off: then nothing happens. */
  nextDeadline(): Instant | undefined {
    const { deadline } = this.#unproven;
    return earliest(this.#deadlines.first, this.#reassembly.deadline, deadline);
  }

  /** After something happened to an IKE SA: does it count as half-open, when does it want a call? */
  #review(turn: Turn, ownSpi: IkeSpi): void {
    const sa = this.#registry.bySpi(ownSpi);
    if (sa && 'peer' in sa.state) this.#registry.settle(sa);
    if (sa) settleReauthentication(turn, sa);
    const environment = this.#environment;
    const deadline =
      sa &&
      earliest(
        sa.nextDeadline(),
        livenessDeadline(sa, environment),
        upkeepDeadline(sa, environment),
      );
    this.#deadlines.set(ownSpi, deadline);
  }

  #receive(turn: Turn, datagram: Datagram): void {
    try {
      const header = decodeHeader(datagram.octets);
      if (header.majorVersion !== 2) {
        refuseVersion(turn, datagram, header);
        return;
      }
      const sa = this.#registry.bySpi(
        header.fromInitiator ? header.responderSpi : header.initiatorSpi,
      );
      if (sa && sa.initiator !== header.fromInitiator) {
        this.#receiveFor(turn, sa, datagram, header);
      } else if (isFirstRequest(header)) this.#receiveFirst(turn, datagram, header);
      else drop(turn, datagram, 'unknown-ike-spi');
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      drop(turn, datagram, 'malformed-ike-message');
    }
  }

  /** The packet loop counted a Child SA to its limit. */
  #reachedLimit(
    turn: Turn,
    { childSaId, limit }: Extract<Input, { readonly kind: 'traffic-limit' }>,
  ): void {
    const sa = this.#registry.find(({ children }) => children.has(childSaId));
    const child = sa?.children.get(childSaId);
    if (!sa || !child) return;
    if (limit === 'hard') expireChild(turn, sa, child, 'it carried what it may carry');
    else if (child.state.name === 'Installed') rekeyChild(turn, sa, child);
  }

  // RFC 7296 §2.23, RFC 4555 §3.8: packets of ESP that are authentic show where a NAT put the peer.
  #peerMoved(turn: Turn, input: Extract<Input, { readonly kind: 'peer-moved' }>): void {
    const sa = this.#registry.find(({ children }) => children.has(input.childSaId));
    if (sa) followNat(turn, sa, input, 'a packet came from there');
  }

  /** IKE_SA_INIT of a peer we hold nothing about, or that repeats itself. */
  #receiveFirst(turn: Turn, datagram: Datagram, header: IkeHeader): void {
    if (datagram.octets.length > Limit.FIRST_REQUEST_OCTETS) {
      drop(turn, datagram, 'ike-sa-init-too-large');
      return;
    }
    const known = this.#registry.byInitiation(header.initiatorSpi, datagram.remote);
    // RFC 7296 §2.1: a repetition is the same octet by octet; otherwise the SPI is used again.
    if (
      known?.requestDigest &&
      equalOctets(known.requestDigest, digest('sha256', datagram.octets))
    ) {
      if (known.state.name === 'AwaitingIkeAuthRequest') known.repeatResponse(turn, datagram);
      else drop(turn, datagram, 'ike-sa-init-repeated');
      return;
    }
    if (!this.#admission.admit(turn, { ...datagram, header })) return;
    const { payloads } = decodeMessage(datagram.octets);
    const fault = payloadFault(header, payloads, false);
    if (fault) {
      drop(turn, datagram, fault.fault);
      replyUnprotected(turn, { ...datagram, header }, [faultNotify(fault)]);
      return;
    }
    const request = { ...datagram, header, payloads };
    handleIkeSaInitRequest(turn, this.#registry, this.#admission, request);
  }

  #receiveFor(turn: Turn, sa: IkeSa, datagram: Datagram, header: IkeHeader): void {
    if (header.exchangeType === ExchangeType.IKE_SA_INIT) {
      this.#receiveInitResponse(turn, sa, datagram, header);
      return;
    }
    // RFC 7296 §2.15: the peer has its say after its AUTH; it repeats what it said before.
    if (!header.isResponse && sa.state.name === 'AwaitingIkeAuthResponse') {
      drop(turn, datagram, 'ike-request-before-auth');
      return;
    }
    const { secured } = sa;
    if (!secured) {
      drop(turn, datagram, 'ike-sa-without-keys');
      return;
    }
    const { local, remote, octets } = datagram;
    // Throws for what anyone could have sent; past it, only the holder of the keys is malformed.
    const clear = decodeMessage(octets).payloads;
    const payload = clear.at(-1);
    const unproven = sa.state.name === 'AwaitingIkeAuthRequest';
    const reassembly = unproven ? this.#unproven : this.#reassembly;
    const reassembling = { sa, key: secured.opening, reassembly };
    const read = readAuthentic(header, clear, () =>
      payload?.kind === 'SKF'
        ? receiveFragment(turn, reassembling, {
            ...datagram,
            header,
            payload,
            alone: clear.length === 1,
          })
        : openWhole(octets, secured.opening),
    );
    const received = { local, remote, octets, header };
    switch (read.kind) {
      case 'drop':
        drop(turn, datagram, read.reason);
        return;
      case 'incomplete':
        return;
      case 'repeated':
        sa.repeatResponse(turn, datagram);
        return;
      case 'fault':
        answerFault(turn, sa, { ...received, payloads: [] }, read);
        return;
      case 'payloads': {
        const message: Incoming = { ...received, ...read };
        if (header.isResponse) this.#receiveResponse(turn, sa, message);
        else this.#receiveRequest(turn, sa, message);
        return;
      }
      default:
        read satisfies never;
    }
  }

  // RFC 7296 §2.21.1: what arrives here is not authenticated, so a bad response is only counted.
  #receiveInitResponse(turn: Turn, sa: IkeSa, datagram: Datagram, header: IkeHeader): void {
    const awaited =
      header.isResponse &&
      sa.state.name === 'AwaitingIkeSaInitResponse' &&
      sa.window.inFlight?.header.messageId === header.messageId;
    if (!awaited) {
      drop(turn, datagram, 'ike-sa-init-not-awaited');
      return;
    }
    const { payloads } = decodeMessage(datagram.octets);
    const fault = payloadFault(header, payloads, false);
    if (fault) {
      drop(turn, datagram, fault.fault);
      return;
    }
    const { local, remote, octets } = datagram;
    const response = { local, remote, octets, header, payloads };
    sa.received(turn, response);
    handleIkeSaInitResponse(turn, this.#registry, sa, response);
  }

  #receiveResponse(turn: Turn, sa: IkeSa, response: Incoming): void {
    const purpose = sa.window.take(response.header.messageId);
    if (!purpose) {
      drop(turn, response, 'ike-response-not-awaited');
      return;
    }
    sa.lastHeard = turn.now;
    sa.received(turn, response);
    if (isRejected(sa, purpose, response)) {
      deleteByFault(turn, sa, 'the peer answered INVALID_SYNTAX', purpose);
      return;
    }
    heedProbe(turn, sa, response);
    switch (purpose.kind) {
      case 'ike-auth':
        handleIkeAuthResponse(turn, sa, response);
        break;
      case 'create-child':
        if (purpose.attempt) handleCreateChildResponse(turn, sa, purpose.attempt, response);
        break;
      case 'rekey-ike-sa':
        if (purpose.attempt) {
          handleIkeRekeyResponse(turn, this.#registry, sa, purpose.attempt, response);
        }
        break;
      case 'delete-ike-sa':
        if (sa.heir) bequeath(turn, sa, sa.heir, closingReason(sa));
        sa.close(turn, closingReason(sa), { kind: 'failed', what: 'the IKE SA was deleted' });
        break;
      case 'delete-child-sa':
        childDeleted(turn, sa, purpose.child);
        break;
      case 'liveness':
        heedLiveness(turn, sa, response);
        break;
      case 'update-addresses':
        handleAddressUpdateResponse(turn, sa, purpose.told, response);
        break;
      case 'check-routability':
        if (!isRoutable(purpose.cookie, response)) {
          // RFC 4555 §3.7: whoever answered did not see the question.
          const what = 'the peer answered without the cookie it was sent';
          sa.close(turn, what, { kind: 'failed', what });
        }
        break;
      case 'redirect':
      case 'tell-addresses':
      case 'withdraw-child-sa':
      case 'ike-sa-init':
        break;
      default:
        purpose satisfies never;
    }
    sa.proceed(turn);
  }

  #receiveRequest(turn: Turn, sa: IkeSa, request: Incoming): void {
    switch (sa.window.place(request.header.messageId)) {
      case 'repeated':
        sa.repeatResponse(turn, request);
        return;
      case 'outside':
        drop(turn, request, 'message-id-out-of-window');
        return;
      case 'new':
        break;
    }
    if (sa.state.name === 'Closed') {
      drop(turn, request, 'ike-sa-closed');
      return;
    }
    sa.lastHeard = turn.now;
    sa.received(turn, request);
    if (!sa.mobike) followNat(turn, sa, request, 'a request came from there');
    const { exchangeType } = request.header;
    const authenticated = sa.state.name !== 'AwaitingIkeAuthRequest';
    if (!authenticated && exchangeType === ExchangeType.IKE_AUTH) {
      handleIkeAuthRequest(turn, this.#registry, sa, request);
    } else if (authenticated && exchangeType === ExchangeType.INFORMATIONAL) {
      this.#preferRival(turn, sa, request);
      handleInformationalRequest(turn, this.#registry, sa, request);
    } else if (authenticated && exchangeType === ExchangeType.CREATE_CHILD_SA) {
      this.#preferRival(turn, sa, request);
      this.#receiveCreateChildSa(turn, sa, request);
    } else {
      const what = `exchange ${exchangeType} is not for this state`;
      answerFault(turn, sa, request, peerFault('invalid-syntax', what));
    }
  }

  /**
   * A request over an IKE SA that competes with one of ours, other than to delete it, says that the
   * peer has settled for it.
   */
  #preferRival(turn: Turn, sa: IkeSa, { payloads }: Incoming): void {
    const attempt = attemptAgainst(sa);
    const deletes = payloads.some(
      (one) => one.kind === 'DELETE' && one.protocol === ProtocolId.IKE,
    );
    if (attempt && sa.rivalOf && !deletes) adoptRival(turn, sa.rivalOf, attempt);
  }

  #receiveCreateChildSa(turn: Turn, sa: IkeSa, request: Incoming): void {
    const ofIkeSa = payloadOf(request.payloads, 'SA')?.proposals.some(
      ({ protocol }) => protocol === ProtocolId.IKE,
    );
    if (ofIkeSa) answerIkeRekey(turn, this.#registry, sa, request);
    else answerCreateChild(turn, this.#registry, sa, request);
  }

  #expire(turn: Turn): void {
    reportDiscarded(turn, this.#reassembly.expire(turn.now));
    reportDiscarded(turn, this.#unproven.expire(turn.now));
    for (const ownSpi of this.#deadlines.due(turn.now)) {
      turn.touched.add(ownSpi);
      const sa = this.#registry.bySpi(ownSpi);
      if (!sa) continue;
      if (sa.state.name === 'Closed') {
        if (turn.now >= sa.state.until) this.#registry.remove(sa);
        continue;
      }
      if (sa.state.name === 'AwaitingIkeAuthRequest' && turn.now >= sa.state.until) {
        turn.emit({
          kind: 'ike-drop',
          reason: 'half-open-timeout',
          peer: formatEndpoint(sa.remote),
        });
        this.#registry.remove(sa);
        continue;
      }
      if (sa.expireRequest(turn) === 'give-up') {
        this.#giveUp(turn, sa);
        continue;
      }
      probeOtherPaths(turn, sa);
      keepAlive(turn, sa);
      upkeep(turn, this.#registry, sa);
    }
  }

  /** Nobody answers (RFC 7296 §2.4): another try, or the end and what `dpd_action` wants. */
  #giveUp(turn: Turn, sa: IkeSa): void {
    const attempts = this.#environment.settings.retransmitTries + 1;
    const header = sa.window.inFlight?.header;
    const exchange = header && { exchange: exchangeName(header.exchangeType) };
    // That nobody answers for an IKE SA that was replaced is nobody's loss.
    if (!sa.replaced) {
      turn.emit({ kind: 'peer-unreachable', attempts, ...exchange, ...sa.subject });
    }
    if (tryAgain(turn, this.#registry, sa)) return;
    const lost = sa.isClosing ? [] : sa.childrenUp;
    const what = `no answer after ${attempts} transmissions`;
    sa.close(turn, what, { kind: 'timeout', what });
    reopen(turn, sa, lost, 'lost');
  }
}

function isFirstRequest(header: IkeHeader): boolean {
  return (
    header.exchangeType === ExchangeType.IKE_SA_INIT &&
    !header.isResponse &&
    header.fromInitiator &&
    header.messageId === 0 &&
    header.initiatorSpi !== NO_IKE_SPI &&
    header.responderSpi === NO_IKE_SPI
  );
}

// RFC 7296 §2.5: another major version is answered with the version we speak. Only a first request
// is: an answer to anything else would be about an IKE SA of whoever the request claims to be from.
function refuseVersion(turn: Turn, datagram: Datagram, header: IkeHeader): void {
  drop(turn, datagram, 'ike-major-version');
  if (!isFirstRequest(header) || header.majorVersion < 2) return;
  replyUnprotected(turn, { ...datagram, header }, [statusNotify(NotifyType.INVALID_MAJOR_VERSION)]);
}

type Opened =
  | { readonly kind: 'payloads'; readonly payloads: readonly Payload[] }
  | FragmentVerdict;

function openWhole(octets: Uint8Array, key: MessageKey): Opened {
  const payloads = openMessage(octets, key);
  return payloads ? { kind: 'payloads', payloads } : { kind: 'drop', reason: 'bad-ike-icv' };
}

/** The payloads of a message whose ICV is right, or what is wrong with them. */
function readAuthentic(
  header: IkeHeader,
  clear: readonly Payload[],
  open: () => Opened,
): Opened | PeerFault {
  try {
    const opened = open();
    if (opened.kind !== 'payloads') return opened;
    const fault = payloadFault(header, clear, false);
    return fault ?? payloadFault(header, opened.payloads, true) ?? opened;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return peerFault('invalid-syntax', error.message);
  }
}

function payloadFault(
  header: IkeHeader,
  payloads: readonly Payload[],
  encrypted: boolean,
): PeerFault | undefined {
  const verdict = checkPayloads(header.exchangeType, header.isResponse, encrypted, payloads);
  if (verdict.kind === 'ok') return undefined;
  // RFC 7296 §2.5: the notify names the payload type in one octet.
  return verdict.unsupportedCritical === undefined
    ? peerFault('invalid-syntax', verdict.what)
    : peerFault(
        'unsupported-critical-payload',
        verdict.what,
        Uint8Array.of(verdict.unsupportedCritical),
      );
}

// RFC 7296 §2.21.3: after IKE_AUTH, INVALID_SYNTAX ends the IKE SA at both ends. Peers are known that
// keep it all the same.
function isRejected({ state }: IkeSa, { kind }: RequestPurpose, { payloads }: Incoming): boolean {
  if (!('peer' in state) || kind === 'delete-ike-sa') return false;
  return notifiesOf(payloads, NotifyType.INVALID_SYNTAX).length > 0;
}

function closingReason(sa: IkeSa): string {
  return sa.state.name === 'AwaitingDeleteResponse' ? sa.state.reason : 'deleted';
}

function drop(turn: Turn, { remote }: { readonly remote: Endpoint }, reason: string): void {
  turn.emit({ kind: 'ike-drop', reason, peer: formatEndpoint(remote) });
}
