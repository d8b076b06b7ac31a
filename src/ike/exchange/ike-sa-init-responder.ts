/**
 * IKE_SA_INIT as responder (RFC 7296 §1.2, §2.6, §2.7).
 *
 * Cheap refusals first: nothing is stored and no key exchange is computed before proposals, key
 * exchange method and, under load, the cookie are right.
 */

import { keyExchangeName } from '../../crypto/algorithms.ts';
import { fingerprint } from '../../crypto/digest.ts';
import { keyExchangeMethod } from '../../crypto/key-exchange.ts';
import type { Connection } from '../../ipsec/connection.ts';
import { type Proposal, ProtocolId, selectProposal } from '../../ipsec/proposal.ts';
import { formatEndpoint } from '../../wire/address.ts';
import { after } from '../../wire/instant.ts';
import type { Admission } from '../admission.ts';
import { modeVendorIds } from '../child-mode.ts';
import { chosenAsProposal } from '../child-negotiation.ts';
import { takesFragments } from '../fragmentation.ts';
import { IkeSa } from '../ike-sa.ts';
import type { Handshake, Secured } from '../ike-sa-state.ts';
import type { Incoming } from '../incoming.ts';
import { type IkeSuite, ikeSuite } from '../keys.ts';
import { encodeMessage, encodePayloads } from '../message/codec.ts';
import { HEADER_OCTETS } from '../message/header.ts';
import type { IkeSpi, KePayload, Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import {
  detectNat,
  type NatDetection,
  natDetectionNotifies,
  needsEncapsulation,
} from '../nat-detection.ts';
import { drawIkeSpi } from '../own-spis.ts';
import { payloadOf, statusNotify } from '../payload-access.ts';
import {
  faultNotify,
  type PeerFault,
  peerFault,
  proposalsRefused,
  refusedByUs,
} from '../peer-fault.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { secure } from '../secure.ts';
import type { Turn } from '../turn.ts';
import { amplifies, firstResponseHeader, replyUnprotected } from '../unprotected.ts';
import {
  announcedIn,
  fragmentationNotify,
  NONCE_OCTETS,
  reportNat,
  unusableKeyExchange,
} from './ike-sa-init.ts';

/** Answers a request that was admitted and belongs to no IKE SA; adds one to the registry if all is well. */
export function handleIkeSaInitRequest(
  turn: Turn,
  registry: SaRegistry,
  admission: Admission,
  request: Incoming,
): void {
  const ke = payloadOf(request.payloads, 'KE');
  const nonce = payloadOf(request.payloads, 'NONCE')?.nonce;
  const offered = payloadOf(request.payloads, 'SA')?.proposals;
  if (!ke || !nonce || !offered) {
    refuse(turn, request, peerFault('invalid-syntax', 'IKE_SA_INIT: SA, KE or nonce missing'));
    return;
  }
  const agreed = chooseSuite(turn, request, offered, ke.method);
  if (agreed.kind === 'fault') {
    refuse(turn, request, agreed);
    return;
  }
  const fault = keyExchangeFault(agreed.suite, ke, nonce);
  if (fault) {
    refuse(turn, request, fault);
    return;
  }
  const draft = draftAnswer(turn, registry, request, { ...agreed, ke, nonceI: nonce });
  // Larger than its request the answer goes only to who is there.
  const { octets } = encodePayloads(draft.payloads(ke.data));
  const amplified = amplifies(HEADER_OCTETS + octets.length, request);
  if (!amplified || admission.showsCookie(turn, request)) openHalf(turn, registry, request, draft);
}

interface AgreedSuite {
  readonly kind: 'agreed';
  readonly connection: Connection;
  readonly suite: IkeSuite;
}

/** The first connection for these addresses that accepts a proposal; IKE_AUTH may change it. */
function chooseSuite(
  turn: Turn,
  request: Incoming,
  offered: readonly Proposal[],
  method: number,
): AgreedSuite | PeerFault {
  const candidates = candidatesOf(turn, request);
  // RFC 7296 §3.3.1: in the first negotiation of an IKE SA no proposal has an SPI.
  const ikeOffers = offered.filter(
    ({ protocol, spi }) => protocol === ProtocolId.IKE && spi.length === 0,
  );
  for (const connection of candidates) {
    // A method that we accept and the peer has computed already saves both a round trip.
    const chosen = selectProposal(connection.proposals, ikeOffers, method);
    const suite = chosen && ikeSuite(chosen);
    if (suite) return { kind: 'agreed', connection, suite };
  }
  const [first] = candidates;
  if (!first) {
    const ends = `${formatEndpoint(request.local)} and ${formatEndpoint(request.remote)}`;
    const refusal = proposalsRefused([], ikeOffers);
    return { ...peerFault('no-proposal-chosen', `no connection between ${ends}`), refusal };
  }
  return {
    ...peerFault('no-proposal-chosen', `connection ${first.name}: no common IKE proposal`),
    refusal: proposalsRefused(first.proposals, ikeOffers),
    connection: first.name,
  };
}

function keyExchangeFault(
  suite: IkeSuite,
  ke: KePayload,
  nonce: Uint8Array,
): PeerFault | undefined {
  if (ke.method !== suite.ke.id) {
    // RFC 7296 §1.2, §3.10.1: INVALID_KE_PAYLOAD carries the accepted method in two octets.
    const wanted = Uint8Array.of(suite.ke.id >> 8, suite.ke.id & 0xff);
    const what = `KE is ${keyExchangeName(ke.method)}, chosen was ${keyExchangeName(suite.ke.id)}`;
    return peerFault('invalid-ke-payload', what, wanted);
  }
  const unusable = unusableKeyExchange(ke, nonce);
  return unusable === undefined ? undefined : peerFault('invalid-syntax', unusable);
}

/** What the answer is made of: the agreed suite and the peer's half of the key exchange. */
type Agreement = AgreedSuite & { readonly ke: KePayload; readonly nonceI: Uint8Array };

/** The answer but for our public value, which is as long as the peer's. */
interface Draft extends Agreement {
  readonly spiR: IkeSpi;
  readonly nonceR: Uint8Array;
  readonly nat: NatDetection;
  readonly payloads: (publicData: Uint8Array) => readonly Payload[];
}

function draftAnswer(
  turn: Turn,
  registry: SaRegistry,
  request: Incoming,
  agreement: Agreement,
): Draft {
  const { connection, suite, ke } = agreement;
  const { initiatorSpi: spiI, responderSpi: none } = request.header;
  const ends = { asker: request.remote.address, local: request.local.address };
  const spiR = drawIkeSpi(turn, registry, ends);
  const nonceR = turn.environment.random(NONCE_OCTETS);
  const nat = detectNat(request.payloads, spiI, none, request);
  const notifies: readonly Payload[] = [
    ...(nat.supported ? natDetectionNotifies(spiI, spiR, request, connection.encap) : []),
    ...fragmentationNotify(bothTakeFragments(turn, request)),
    ...(connection.childless === 'never'
      ? []
      : [statusNotify(NotifyType.CHILDLESS_IKEV2_SUPPORTED)]),
    ...modeVendorIds(candidatesOf(turn, request)),
  ];
  const payloads = (publicData: Uint8Array): readonly Payload[] => [
    { kind: 'SA', proposals: [chosenAsProposal(suite.proposal)] },
    { kind: 'KE', method: ke.method, data: publicData },
    { kind: 'NONCE', nonce: nonceR },
    ...notifies,
  ];
  return { ...agreement, spiR, nonceR, nat, payloads };
}

/** A half-open IKE SA; also where the key exchange fails, for the peer has to pay for that too. */
function openHalf(turn: Turn, registry: SaRegistry, request: Incoming, draft: Draft): void {
  const { now, environment } = turn;
  const until = after(now, environment.settings.halfOpenTimeoutSeconds * 1000);
  const { spiR } = draft;
  const answer = exchangeKeys(turn, request, draft);
  const sa = new IkeSa({
    id: turn.numbers.newIkeSaId(),
    initiator: false,
    connection: draft.connection,
    local: request.local,
    remote: request.remote,
    spiI: request.header.initiatorSpi,
    spiR,
    state: answer
      ? {
          name: 'AwaitingIkeAuthRequest',
          secured: answer.secured,
          handshake: answer.handshake,
          until,
        }
      : { name: 'Closed', secured: undefined, until },
    now,
    requestDigest: fingerprint(request.octets),
  });
  sa.announced = announcedIn(request.payloads);
  registry.addHalfOpen(turn, sa);
  if (!answer) {
    const what = `KE: the peer's ${keyExchangeName(draft.ke.method)} value is refused`;
    refuse(turn, request, peerFault('invalid-syntax', what));
    return;
  }
  sa.received(turn, request);
  sa.respond(turn, request, answer.payloads);
  reportNat(turn, sa, answer.secured.nat);
}

interface HalfOpen {
  readonly secured: Secured;
  readonly handshake: Handshake;
  readonly payloads: readonly Payload[];
}

/** Our half of the key exchange and the keys; undefined where the peer's value is no good. */
function exchangeKeys(
  turn: Turn,
  request: Incoming,
  { connection, suite, ke, nonceI, nonceR, spiR, nat, ...draft }: Draft,
): HalfOpen | undefined {
  const pair = keyExchangeMethod(ke.method)?.generate(turn.environment.random);
  const sharedSecret = pair?.shared(ke.data);
  if (!pair || !sharedSecret) return undefined;
  const { initiatorSpi: spiI } = request.header;
  const payloads = draft.payloads(pair.publicData);
  const header = firstResponseHeader(request.header, spiR);
  const exchange = {
    suite,
    sharedSecret,
    nonceI,
    nonceR,
    nat,
    udpEncapsulation: needsEncapsulation(nat, connection.encap),
  };
  return {
    secured: secure(turn, { initiator: false, spiI, spiR }, exchange),
    handshake: {
      nonceI,
      nonceR,
      requestOctets: request.octets,
      responseOctets: encodeMessage({ header, payloads }),
    },
    payloads,
  };
}

/** Of all connections that IKE_AUTH may choose, one is enough to take fragments for. */
function bothTakeFragments(turn: Turn, request: Incoming): boolean {
  const theirs = announcedIn(request.payloads).includes(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED);
  return theirs && candidatesOf(turn, request).some(takesFragments);
}

function candidatesOf({ environment }: Turn, { local, remote }: Incoming): readonly Connection[] {
  return environment.pad.candidates(local.address, remote.address);
}

/** Counted and answered without state (RFC 7296 §2.21.1). */
function refuse(turn: Turn, request: Incoming, fault: PeerFault): void {
  turn.emit({
    ...refusedByUs(fault),
    ikeSa: 0,
    connection: fault.connection ?? '',
    peer: formatEndpoint(request.remote),
  });
  replyUnprotected(turn, request, [faultNotify(fault)]);
}
