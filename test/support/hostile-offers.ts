/** What CREATE_CHILD_SA requests ask for, well made: tests spoil one thing at a time. */

import { keyExchangeMethod } from '../../src/crypto/key-exchange.ts';
import { KeyExchangeId } from '../../src/crypto/transform.ts';
import { childOffer, policyProposal } from '../../src/ike/child-negotiation.ts';
import type { NotifyPayload, Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import type { ChildPolicy, Connection } from '../../src/ipsec/connection.ts';
import { type Proposal, ProtocolId } from '../../src/ipsec/proposal.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { child, connection } from './connections.ts';
import { seededRandom } from './seeded-random.ts';

export const NONCE: Payload = { kind: 'NONCE', nonce: new Uint8Array(32).fill(0x6e) };

/** A Child SA under site a's policy, with this SPI; `ke` where it has a key exchange of its own. */
export function childRequest(
  spiIn = 0xc000_0001,
  policy: ChildPolicy = child(),
  ke: readonly Payload[] = [],
): readonly Payload[] {
  const asked = { ...policyProposal(policy, NOBODY), proposals: policy.proposals };
  const [offer, ...selectors] = childOffer(asked, spi(spiIn));
  return offer ? [offer, NONCE, ...ke, ...selectors] : [];
}

/** The same as an answer to site b's request. */
export function childAnswer(...about: Parameters<typeof childRequest>): readonly Payload[] {
  return childRequest(...about).map((one) => {
    if (one.kind === 'TSi') return { ...one, kind: 'TSr' };
    return one.kind === 'TSr' ? { ...one, kind: 'TSi' } : one;
  });
}

const NOBODY = { local: [], remote: [] };

export function rekeySa(spiOctets: Uint8Array, protocol: number = ProtocolId.ESP): NotifyPayload {
  const data = new Uint8Array();
  return { kind: 'NOTIFY', protocol, spi: spiOctets, type: NotifyType.REKEY_SA, data };
}

/** An IKE proposal of the connection with this SPI. */
export function ikeProposalWith(
  spiOctets: Uint8Array,
  number = 1,
  { proposals }: Connection = connection(),
): Proposal {
  const [first] = proposals;
  if (!first) throw new Error('a connection without proposals');
  return { ...first, protocol: ProtocolId.IKE, number, spi: spiOctets };
}

/** A rekey of the IKE SA with these proposals. */
export function ikeRekeyRequest(
  proposals: readonly Proposal[],
  ke: Payload = keyExchange(),
): readonly Payload[] {
  return [{ kind: 'SA', proposals }, NONCE, ke];
}

/** A good public value. */
export function keyExchange(method: number = KeyExchangeId.CURVE_25519): Payload {
  const pair = keyExchangeMethod(method)?.generate(seededRandom(3));
  if (!pair) throw new Error(`no key exchange method ${method}`);
  return { kind: 'KE', method, data: pair.publicData };
}
