/**
 * CREATE_CHILD_SA that rekeys the IKE SA, as responder (RFC 7296 §1.3.2, §2.8.2, §2.18, §2.25).
 */
import { ProtocolId, selectProposal } from '../../ipsec/proposal.ts';
import { fromHex } from '../../wire/octets.ts';
import { chosenAsProposal } from '../child-negotiation.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import { ikeSuite } from '../keys.ts';
import { ikeSpi, type Payload } from '../message/message.ts';
import { drawIkeSpi } from '../own-spis.ts';
import { payloadOf } from '../payload-access.ts';
import { type PeerFault, peerFault, proposalsRefused, refusedByUs } from '../peer-fault.ts';
import { refuseRequest } from '../refusal.ts';
import { ikeRekeyProposals } from '../rekey-proposals.ts';
import type { SaRegistry } from '../sa-registry.ts';
import { awaitDelete, succeed } from '../succession.ts';
import type { Turn } from '../turn.ts';
import { answerKeyExchange, isFault, lowestNonce, newNonce, nonceOf } from './create-child-sa.ts';
import { bear, peerIkeSpis } from './rekey-ike-sa.ts';

/** IKE SAs that replace one another within a minute; a peer that makes more has to wait. */
const MAX_LINEAGE = 128;

/** As responder. The answer leaves over the old IKE SA, which the peer then deletes. */
export function answerIkeRekey(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  request: Incoming,
): void {
  const fault = unable(old);
  const made = fault ?? grant(turn, registry, old, request.payloads);
  if (made.kind === 'fault') {
    turn.emit({ ...refusedByUs(made), ...old.subject });
    refuseRequest(turn, old, request, made);
    return;
  }
  old.respond(turn, request, made.payloads);
  const ours = old.inFlight?.kind === 'rekey-ike-sa' ? old.inFlight.attempt : undefined;
  if (ours) {
    // Both at once: which stands is decided when our own answer is here.
    ours.rival = { sa: made.heir, lowestNonce: made.lowestNonce };
    made.heir.rivalOf = old;
    made.heir.replaced = true;
    return;
  }
  succeed(turn, old, made.heir);
  awaitDelete(turn, old);
}

// RFC 7296 §2.25.1, §2.25.2.
function unable(old: IkeSa): PeerFault | undefined {
  const { inFlight } = old;
  const busy =
    inFlight?.kind === 'create-child' ||
    inFlight?.kind === 'delete-child-sa' ||
    inFlight?.kind === 'withdraw-child-sa';
  if (old.isClosing) return peerFault('temporary-failure', 'the IKE SA is going');
  if (inFlight?.kind === 'rekey-ike-sa' && inFlight.attempt?.rival) {
    return peerFault('temporary-failure', 'the IKE SA is being rekeyed by both');
  }
  if (old.lineage.size >= MAX_LINEAGE) {
    const what = `${old.lineage.size} IKE SAs replaced one another and are not gone yet`;
    return peerFault('temporary-failure', what);
  }
  return busy ? peerFault('temporary-failure', `${inFlight.kind} is under way`) : undefined;
}

interface Granted {
  readonly kind: 'granted';
  readonly heir: IkeSa;
  readonly payloads: readonly Payload[];
  readonly lowestNonce: Uint8Array;
}

function grant(
  turn: Turn,
  registry: SaRegistry,
  old: IkeSa,
  payloads: readonly Payload[],
): Granted | PeerFault {
  const { secured } = old;
  const nonceI = nonceOf(payloads);
  if (isFault(nonceI)) return nonceI;
  const ke = payloadOf(payloads, 'KE');
  const offered = payloadOf(payloads, 'SA')?.proposals ?? [];
  const spisInUse = peerIkeSpis(registry, old);
  // RFC 7296 §1.3.2: each proposal carries the new SPI of the initiator, which is not zero. One that
  // has none, or one in use, is no proposal.
  const offers = offered.filter(
    ({ protocol, spi }) =>
      protocol === ProtocolId.IKE && spi.length === 8 && !spisInUse.has(ikeSpi(spi)),
  );
  const accepted = secured ? ikeRekeyProposals(old.connection.proposals, secured.suite) : [];
  const chosen = selectProposal(accepted, offers, ke?.method);
  const suite = chosen && ikeSuite(chosen);
  if (!suite) {
    const what = 'no common IKE proposal for the new IKE SA';
    return {
      ...peerFault('no-proposal-chosen', what),
      refusal: proposalsRefused(accepted, offered),
    };
  }
  const spiI = ikeSpi(suite.proposal.spi);
  const keys = answerKeyExchange(turn, suite.ke.id, ke, nonceI);
  if (keys.kind === 'fault') return keys;
  const nonceR = newNonce(turn);
  const spiR = drawIkeSpi(turn, registry, { replaces: old.ownSpi });
  const heir = bear(turn, registry, old, {
    initiator: false,
    suite,
    sharedSecret: keys.shared,
    nonceI,
    nonceR,
    spiI,
    spiR,
  });
  if (!heir) return peerFault('temporary-failure', 'the IKE SA is going');
  return {
    kind: 'granted',
    heir,
    payloads: [
      { kind: 'SA', proposals: [{ ...chosenAsProposal(suite.proposal), spi: fromHex(spiR) }] },
      { kind: 'NONCE', nonce: nonceR },
      keys.payload,
    ],
    lowestNonce: lowestNonce(nonceI, nonceR),
  };
}
