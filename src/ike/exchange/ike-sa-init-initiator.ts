/**
 * IKE_SA_INIT as initiator: proposals, key exchange, nonces, NAT detection, cookies
 * (RFC 7296 §1.2, §2.6, §2.7, §2.14, §2.23).
 *
 * Nothing here is authenticated: a response that does not fit is counted and the request goes on
 * being repeated, so that a forged answer cannot end the attempt. Only an error notify that names
 * our SPI ends it.
 */

import { keyExchangeName } from '../../crypto/algorithms.ts';
import { type KeyExchangePair, keyExchangeMethod } from '../../crypto/key-exchange.ts';
import { TransformType } from '../../crypto/transform.ts';
import { formatProposal, type Proposal, ProtocolId, selectProposal } from '../../ipsec/proposal.ts';
import { equalOctets } from '../../wire/octets.ts';
import { modeVendorIds } from '../child-mode.ts';
import { isSingle } from '../child-negotiation.ts';
import { takesFragments } from '../fragmentation.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Handshake, InitAttempt, Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { type IkeSuite, ikeSuite } from '../keys.ts';
import { ExchangeType, NO_IKE_SPI, type Payload } from '../message/message.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { detectNat, natDetectionNotifies, needsEncapsulation } from '../nat-detection.ts';
import { errorNotify, notifiesOf, payloadOf, statusNotify } from '../payload-access.ts';
import { follow, redirectSupport } from '../redirection.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { secure } from '../secure.ts';
import type { Turn } from '../turn.ts';
import { startIkeAuth } from './ike-auth-initiator.ts';
import {
  announcedIn,
  fragmentationNotify,
  NONCE_OCTETS,
  reportNat,
  unusableKeyExchange,
} from './ike-sa-init.ts';

/** Where peers listen that are configured no other way. */
const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;
/** Cookies and other methods the peer may ask for, in all, before we stop believing it. */
const MAX_RESTARTS = 6;
/** RFC 7296 §2.6: a cookie has 1 to 64 octets. */
const MAX_COOKIE_OCTETS = 64;

/** A first attempt with the first key exchange method of the connection's first proposal. */
export function firstAttempt(turn: Turn, proposals: readonly Proposal[]): InitAttempt {
  const [method] = keyExchangeMethods(proposals);
  if (method === undefined) throw new Error('a connection without a key exchange method');
  const nonce = turn.environment.random(NONCE_OCTETS);
  return { nonce, keyExchange: keyPair(turn, method), method, cookie: undefined, restarts: 0 };
}

/** Sends IKE_SA_INIT for the attempt the SA's state holds. */
export function sendIkeSaInit(turn: Turn, sa: IkeSa, attempt: InitAttempt): void {
  // RFC 7296 §2.6: the cookie comes first, the rest of the message stays as it was.
  const cookie = attempt.cookie ? [statusNotify(NotifyType.COOKIE, attempt.cookie)] : [];
  const { connection } = sa;
  const nat = natDetectionNotifies(sa.spiI, NO_IKE_SPI, sa, connection.encap);
  const payloads: readonly Payload[] = [
    ...cookie,
    { kind: 'SA', proposals: ikeOffer(connection.proposals) },
    { kind: 'KE', method: attempt.method, data: attempt.keyExchange.publicData },
    { kind: 'NONCE', nonce: attempt.nonce },
    ...nat,
    ...fragmentationNotify(takesFragments(connection)),
    redirectSupport(sa.redirectedFrom),
    ...modeVendorIds([connection]),
  ];
  sa.request(turn, {
    purpose: { kind: 'ike-sa-init' },
    compose: () => ({ exchangeType: ExchangeType.IKE_SA_INIT, payloads }),
  });
}

export function handleIkeSaInitResponse(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  response: Incoming,
): void {
  if (sa.state.name !== 'AwaitingIkeSaInitResponse') return;
  const { attempt } = sa.state;
  const { payloads } = response;
  const cookie = notifiesOf(payloads, NotifyType.COOKIE)[0]?.data;
  const refusal = errorNotify(payloads);
  const [redirect] = notifiesOf(payloads, NotifyType.REDIRECT);
  if (cookie && cookie.length >= 1 && cookie.length <= MAX_COOKIE_OCTETS) {
    // The answer to a request that was repeated: this cookie is on its way already.
    if (attempt.cookie && equalOctets(cookie, attempt.cookie)) return;
    restart(turn, sa, { ...attempt, cookie, restarts: attempt.restarts + 1 });
  } else if (refusal?.type === NotifyType.INVALID_KE_PAYLOAD) {
    changeMethod(turn, sa, attempt, refusal.data);
  } else if (redirect) {
    // RFC 5685 §3: only an answer that has our nonce is one.
    const obstacle = follow(turn, sa, redirect, attempt.nonce);
    if (obstacle !== undefined) drop(turn, sa, 'redirect-refused');
    else sa.close(turn, 'redirected', { kind: 'failed', what: 'redirected' });
  } else if (refusal) {
    refused(turn, sa, notifyName(refusal.type));
  } else {
    const agreed = agree(turn, sa, attempt, response);
    if (agreed) startIkeAuth(turn, registry, sa, agreed);
  }
}

/** IKE proposals as they go on the wire: numbered, without an SPI (RFC 7296 §3.3.1). */
export function ikeOffer(proposals: readonly Proposal[]): readonly Proposal[] {
  return proposals.map((proposal, index) => ({
    ...proposal,
    number: index + 1,
    protocol: ProtocolId.IKE,
    spi: new Uint8Array(),
  }));
}

/** Keys for the SA, and its ports moved where a NAT is between; undefined if the response is no use. */
function agree(
  turn: Turn,
  sa: IkeSa,
  attempt: InitAttempt,
  response: Incoming,
): { readonly secured: Secured; readonly handshake: Handshake } | undefined {
  const { payloads, header } = response;
  const ke = payloadOf(payloads, 'KE');
  const nonce = payloadOf(payloads, 'NONCE')?.nonce;
  const suite = chosenSuite(sa, payloads);
  if (!ke || !nonce || !suite || header.responderSpi === NO_IKE_SPI) {
    return drop(turn, sa, 'ike-sa-init-suite-not-offered');
  }
  const unusable = unusableKeyExchange(ke, nonce);
  const sharedSecret =
    ke.method === attempt.method && suite.ke.id === ke.method && !unusable
      ? attempt.keyExchange.shared(ke.data)
      : undefined;
  if (!sharedSecret) {
    return drop(turn, sa, 'ike-sa-init-ke-refused');
  }
  const requestOctets = sa.window.inFlight?.datagrams[0] ?? new Uint8Array();
  sa.window.take(header);
  sa.spiR = header.responderSpi;
  sa.announced = announcedIn(payloads);
  const nat = detectNat(payloads, sa.spiI, sa.spiR, response);
  const udpEncapsulation = needsEncapsulation(nat, sa.connection.encap);
  const secured = secure(turn, sa, {
    suite,
    sharedSecret,
    nonceI: attempt.nonce,
    nonceR: nonce,
    nat,
    udpEncapsulation,
  });
  const handshake = {
    nonceI: attempt.nonce,
    nonceR: nonce,
    requestOctets,
    responseOctets: response.octets,
  };
  // RFC 4555 §3.3: who may move goes on from port 4500, NAT or not.
  if (udpEncapsulation || (sa.connection.mobike && nat.supported)) float(turn, sa);
  reportNat(turn, sa, nat);
  return { secured, handshake };
}

// RFC 7296 §2.23: with a NAT between, the initiator goes on from port 4500 to port 4500.
function float(turn: Turn, sa: IkeSa): void {
  const { portNatT } = turn.environment.settings;
  if (sa.local.port === portNatT) return;
  sa.local = { address: sa.local.address, port: portNatT };
  // A peer on ports of its own is taken to be configured like us.
  const port = sa.remote.port === IKE_PORT ? NAT_TRAVERSAL_PORT : portNatT;
  sa.remote = { address: sa.remote.address, port };
}

function chosenSuite(sa: IkeSa, payloads: readonly Payload[]): IkeSuite | undefined {
  const [granted, ...others] = payloadOf(payloads, 'SA')?.proposals ?? [];
  if (!granted || others.length > 0 || !isSingle(granted)) return undefined;
  const chosen = selectProposal(ikeOffer(sa.connection.proposals), [granted]);
  return chosen && ikeSuite(chosen);
}

// RFC 7296 §1.2: the peer names the method it wants; it must be one that we offered.
function changeMethod(turn: Turn, sa: IkeSa, attempt: InitAttempt, data: Uint8Array): void {
  const [high, low] = data;
  const method = data.length === 2 ? (high ?? 0) * 256 + (low ?? 0) : 0;
  // The answer to a request that was repeated: we have changed already.
  if (method === attempt.method) return;
  if (!keyExchangeMethods(sa.connection.proposals).includes(method)) {
    refused(turn, sa, `INVALID_KE_PAYLOAD naming ${keyExchangeName(method)}`);
    return;
  }
  // RFC 7296 §2.6.1: the cookie stays good because the nonce it covers stays.
  const restarts = attempt.restarts + 1;
  restart(turn, sa, { ...attempt, method, keyExchange: keyPair(turn, method), restarts });
}

function keyPair(turn: Turn, method: number): KeyExchangePair {
  const pair = keyExchangeMethod(method)?.generate(turn.environment.random);
  if (!pair) throw new Error(`key exchange method ${method} is not implemented`);
  return pair;
}

function restart(turn: Turn, sa: IkeSa, attempt: InitAttempt): void {
  if (attempt.restarts > MAX_RESTARTS) {
    sa.close(turn, 'restarted too often', {
      kind: 'failed',
      what: `the peer asked for ${attempt.restarts} restarts of IKE_SA_INIT`,
    });
    return;
  }
  sa.window.restart();
  sa.move({ name: 'AwaitingIkeSaInitResponse', attempt });
  sendIkeSaInit(turn, sa, attempt);
}

function refused(turn: Turn, sa: IkeSa, notify: string): void {
  const offered = sa.connection.proposals;
  turn.emit({
    kind: 'refused',
    by: 'peer',
    notify,
    what: `offered ${offered.map(formatProposal).join(', ')}`,
    // The peer never says what it would have accepted.
    transforms: [],
    offered: offered.map(formatProposal),
    ...sa.subject,
  });
  sa.close(turn, notify, { kind: 'refused', what: `the peer answered ${notify}` });
}

/** Anyone could have sent it: counted, and the request goes on being repeated. */
function drop(turn: Turn, sa: IkeSa, reason: string): undefined {
  turn.emit({ kind: 'ike-drop', reason, peer: sa.subject.peer });
}

function keyExchangeMethods(proposals: readonly Proposal[]): readonly number[] {
  return proposals.flatMap((proposal) =>
    proposal.transforms.filter(({ type }) => type === TransformType.KE).map(({ id }) => id),
  );
}
