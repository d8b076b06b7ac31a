/** Well-made messages of every kind, and one well-made payload of each. */

import { spiOctets } from '../../src/ike/child-negotiation.ts';
import { ConfigurationType } from '../../src/ike/message/cp.ts';
import type { Payload } from '../../src/ike/message/message.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { spi } from '../../src/ipsec/spi.ts';
import type { MessageName, PayloadName } from './bad-input.ts';
import { AES_GCM_256, connection, fqdn, ikeProposal, PRF_SHA2_256, X25519 } from './connections.ts';
import {
  childAnswer,
  childRequest,
  ikeProposalWith,
  ikeRekeyRequest,
  keyExchange,
  NONCE,
  rekeySa,
} from './hostile-offers.ts';
import type { HostilePeer } from './hostile-peer.ts';

const KE = keyExchange();
const EMPTY = new Uint8Array();
const ONE = connection({ proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)] });
const [ESP_SA, , TS_I, TS_R] = childRequest();

function sample(payload: Payload | undefined): Payload {
  if (!payload) throw new Error('no such payload');
  return payload;
}

/** Each does nothing by itself. */
export const SAMPLES: Readonly<Record<PayloadName, Payload>> = {
  SA: sample(ESP_SA),
  KE,
  IDi: { kind: 'IDi', identity: fqdn('a.lab') },
  IDr: { kind: 'IDr', identity: fqdn('b.lab') },
  CERT: { kind: 'CERT', encoding: 4, data: Uint8Array.of(1) },
  CERTREQ: { kind: 'CERTREQ', encoding: 4, authorities: EMPTY },
  AUTH: { kind: 'AUTH', method: 2, data: new Uint8Array(32) },
  No: NONCE,
  N: { kind: 'NOTIFY', protocol: 0, spi: EMPTY, type: 40_000, data: EMPTY },
  D: { kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis: [Uint8Array.of(9, 9, 9, 9)] },
  V: { kind: 'VENDOR', vendorId: Uint8Array.of(1, 2, 3) },
  TSi: sample(TS_I),
  TSr: sample(TS_R),
  SK: { kind: 'SK', firstPayload: 0, sealed: new Uint8Array(40) },
  CP: { kind: 'CP', type: ConfigurationType.CFG_REQUEST, attributes: [] },
  EAP: { kind: 'EAP', message: Uint8Array.of(1, 1, 0, 4) },
  EF: {
    kind: 'SKF',
    firstPayload: 0,
    fragmentNumber: 1,
    totalFragments: 2,
    sealed: new Uint8Array(40),
  },
  'P(200)': { kind: 'unknown', type: 200, body: Uint8Array.of(0) },
};

let drawn = 0xc100_0000;

/** The message as its sender should make it. */
export function baselineOf(
  hostile: Ends,
  message: MessageName,
  direction: 'request' | 'response',
): readonly Payload[] {
  // An SPI of its own for each, as an honest peer has.
  drawn++;
  const isRequest = direction === 'request';
  switch (message) {
    case 'IKE_SA_INIT':
      return [{ kind: 'SA', proposals: ikeProposals(EMPTY) }, KE, NONCE];
    case 'IKE_AUTH': {
      const id = isRequest ? SAMPLES.IDi : SAMPLES.IDr;
      return [id, SAMPLES.AUTH, SAMPLES.SA, SAMPLES.TSi, SAMPLES.TSr];
    }
    case 'new Child SA':
      return isRequest ? childRequest(drawn) : childAnswer(drawn);
    case 'rekeyed Child SA':
      return isRequest ? [rekeySa(ownSpi(hostile)), ...childRequest(drawn)] : childAnswer(drawn);
    case 'rekeyed IKE SA':
      return ikeRekeyRequest(ikeProposals(Uint8Array.of(1, 2, 3, 4, ...spiOctets(spi(drawn)))));
    default:
      return [];
  }
}

function ikeProposals(octets: Uint8Array) {
  return [ikeProposalWith(octets, 1, ONE)];
}

/** The two ends of an IKE SA, as far as they are known. */
type Ends = Pick<HostilePeer, 'sa'> & Partial<Pick<HostilePeer, 'victimSa'>>;

/** The SPI with which the hostile peer receives on the Child SA there is; any where there is none. */
function ownSpi({ sa, victimSa }: Ends): Uint8Array {
  const [held] = (victimSa ?? sa).children.values();
  const { spiIn, spiOut } = held?.childSa ?? {};
  return spiOctets((victimSa ? spiOut : spiIn) ?? spi(0x0102_0304));
}
