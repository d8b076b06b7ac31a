/**
 * From a datagram to an authentic message: the IKE SA it belongs to, its fragments put together, the ICV
 * verified, the payloads held against the rules (RFC 7296 §2.1, §2.5, §2.21; RFC 7383).
 *
 * The one place where `MalformedError` is caught: nothing a peer sends escapes as an exception.
 */
import { fingerprint } from '../crypto/digest.ts';
import type { Instant } from '../wire/instant.ts';
import { earliest } from '../wire/instant.ts';
import { MalformedError } from '../wire/octets.ts';
import type { Input } from './action.ts';
import type { Admission } from './admission.ts';
import { drop } from './discard.ts';
import { receiveRequest, receiveResponse } from './dispatch.ts';
import { handleIkeSaInitResponse } from './exchange/ike-sa-init-initiator.ts';
import { handleIkeSaInitRequest } from './exchange/ike-sa-init-responder.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Incoming } from './incoming.ts';
import { type FragmentVerdict, receiveFragment, reportDiscarded } from './incoming-fragment.ts';
import { decodeMessage } from './message/codec.ts';
import { decodeHeader } from './message/header.ts';
import { Limit } from './message/limits.ts';
import { ExchangeType, type IkeHeader, NO_IKE_SPI, type Payload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { checkPayloads } from './message/payload-rules.ts';
import { statusNotify } from './payload-access.ts';
import { faultNotify, type PeerFault, peerFault } from './peer-fault.ts';
import { type MessageKey, openMessage } from './protection.ts';
import { REASSEMBLY_LIMIT, Reassembly } from './reassembly.ts';
import { answerFault } from './refusal.ts';
import { repeatResponse } from './repetition.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';
import { replyUnprotected } from './unprotected.ts';

type Datagram = Extract<Input, { readonly kind: 'datagram' }>;

export class Reception {
  readonly #registry: SaRegistry;
  readonly #admission: Admission;
  readonly #reassembly = new Reassembly();
  /** The same before IKE_AUTH: strangers cannot push out what established peers send. */
  readonly #unproven = new Reassembly(REASSEMBLY_LIMIT.UNPROVEN_OCTETS);

  constructor(registry: SaRegistry, admission: Admission) {
    this.#registry = registry;
    this.#admission = admission;
  }

  /** When incomplete messages will have waited too long. */
  get deadline(): Instant | undefined {
    return earliest(this.#reassembly.deadline, this.#unproven.deadline);
  }

  /** The clock passed `deadline`. */
  expire(turn: Turn): void {
    reportDiscarded(turn, this.#reassembly.expire(turn.now));
    reportDiscarded(turn, this.#unproven.expire(turn.now));
  }

  /** Nothing in a datagram becomes an exception. */
  receive(turn: Turn, datagram: Datagram): void {
    try {
      const header = decodeHeader(datagram.octets);
      if (header.majorVersion !== 2) {
        refuseVersion(turn, datagram, header);
        return;
      }
      const ownSpi = header.fromInitiator ? header.responderSpi : header.initiatorSpi;
      const sa = this.#registry.bySpi(ownSpi);
      if (sa && sa.initiator !== header.fromInitiator) {
        this.#receiveFor(turn, sa, datagram, header);
      } else if (isFirstRequest(header)) this.#receiveFirst(turn, datagram, header);
      else if (this.#registry.isReserved(ownSpi)) drop(turn, datagram, 'passive-ike-sa');
      else drop(turn, datagram, 'unknown-ike-spi');
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      drop(turn, datagram, 'malformed-ike-message');
    }
  }

  /** IKE_SA_INIT of a peer we hold nothing about, or that repeats itself. */
  #receiveFirst(turn: Turn, datagram: Datagram, header: IkeHeader): void {
    if (datagram.octets.length > Limit.FIRST_REQUEST_OCTETS) {
      drop(turn, datagram, 'ike-sa-init-too-large');
      return;
    }
    const known = this.#registry.byInitiation(header.initiatorSpi, datagram.remote);
    // RFC 7296 §2.1: a repetition is the same octet by octet; otherwise the SPI is used again.
    if (known?.requestDigest && known.requestDigest === fingerprint(datagram.octets)) {
      if (known.state.name === 'AwaitingIkeAuthRequest') repeatResponse(turn, known, datagram);
      else drop(turn, datagram, 'ike-sa-init-repeated');
      return;
    }
    const { initiatorSpi: spiI } = header;
    if (this.#registry.isReservedInitiation({ spiI, remote: datagram.remote })) {
      drop(turn, datagram, 'passive-ike-sa');
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
        repeatResponse(turn, sa, datagram);
        return;
      case 'fault':
        answerFault(turn, sa, { ...received, payloads: [] }, read);
        return;
      case 'payloads': {
        const message: Incoming = { ...received, ...read };
        if (header.isResponse) receiveResponse(turn, this.#registry, sa, message);
        else receiveRequest(turn, this.#registry, sa, message);
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
    const fault = payloadFault(header, opened.payloads, true);
    return fault ?? payloadFault(header, clear, false) ?? opened;
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
