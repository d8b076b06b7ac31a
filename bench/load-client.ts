/**
 * One client of a load: the initiator's side of IKE_SA_INIT, IKE_AUTH with a first Child SA, and
 * Delete (RFC 7296 §1.2, §1.4.1), with as little work as the responder lets it get away with.
 *
 * The key exchange value is the same for all clients of a load and weak on purpose (a short
 * exponent): what is measured is the responder. What the responder answers is opened and checked,
 * its AUTH is not.
 */
import type { KeyExchangePair } from '../src/crypto/key-exchange.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import { EncryptionId, EsnId, IntegrityId, PrfId, TransformType } from '../src/crypto/transform.ts';
import { SHARED_KEY_MIC, sharedKeyAuth } from '../src/ike/auth/shared-key.ts';
import { deriveIkeKeys, type IkeKeys, type IkeSuite, ikeSuite } from '../src/ike/keys.ts';
import { decodeMessage, encodeMessage } from '../src/ike/message/codec.ts';
import {
  ExchangeType,
  type IkeHeader,
  type IkeSpi,
  ikeSpi,
  messageId,
  NO_IKE_SPI,
  type Payload,
} from '../src/ike/message/message.ts';
import { NotifyType, notifyName } from '../src/ike/message/notify-types.ts';
import { natDetectionNotifies } from '../src/ike/nat-detection.ts';
import { errorNotify, notifiesOf, payloadOf, statusNotify } from '../src/ike/payload-access.ts';
import { MessageKey, openMessage, sealMessage } from '../src/ike/protection.ts';
import { IdType } from '../src/ipsec/identity.ts';
import { type Proposal, ProtocolId, selectProposal } from '../src/ipsec/proposal.ts';
import type { TrafficSelector } from '../src/ipsec/traffic-selector.ts';
import type { Endpoint, IpAddress } from '../src/wire/address.ts';
import { concatOctets, fromHex } from '../src/wire/octets.ts';

/** What all clients of a load have in common. */
export interface LoadTerms {
  /** Key exchange method, and the one value all clients send. */
  readonly method: number;
  readonly keyExchange: KeyExchangePair;
  readonly secret: SecretBytes;
  readonly gateway: IpAddress;
  readonly random: (length: number) => Uint8Array;
}

/** What a client sends next, and the port it speaks from and to. */
export interface Step {
  readonly octets: Uint8Array;
  readonly port: 500 | 4500;
}

/** The answer is not what a client that is served gets. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

export class LoadClient {
  readonly number: number;
  readonly #terms: LoadTerms;
  readonly #outer: IpAddress;
  readonly #inner: IpAddress;
  readonly #spiI: IkeSpi;
  readonly #nonce: Uint8Array;
  #request: Uint8Array = new Uint8Array();
  #secured:
    | { readonly spiR: IkeSpi; readonly keys: IkeKeys; readonly seal: MessageKey }
    | undefined;
  #opening: MessageKey | undefined;

  /** `spiI` finds the client of an answer: its first four octets are the client's number. */
  constructor(number: number, terms: LoadTerms, addresses: Record<'outer' | 'inner', IpAddress>) {
    this.number = number;
    this.#terms = terms;
    this.#outer = addresses.outer;
    this.#inner = addresses.inner;
    this.#nonce = terms.random(NONCE_OCTETS);
    const octets = terms.random(8);
    new DataView(octets.buffer, octets.byteOffset).setUint32(0, number);
    this.#spiI = ikeSpi(octets);
  }

  /** HDR(A,0), [N(COOKIE)], SAi1, KEi, Ni, NAT detection that claims a NAT in front of us. */
  initRequest(cookie?: Uint8Array): Step {
    const { method, keyExchange, gateway } = this.#terms;
    const ends = {
      local: { address: this.#outer, port: 500 },
      remote: { address: gateway, port: 500 },
    };
    this.#request = encodeMessage({
      header: this.#header(ExchangeType.IKE_SA_INIT, 0, NO_IKE_SPI),
      payloads: [
        ...(cookie === undefined ? [] : [statusNotify(NotifyType.COOKIE, cookie)]),
        { kind: 'SA', proposals: [ikeProposal(method)] },
        { kind: 'KE', method, data: keyExchange.publicData },
        { kind: 'NONCE', nonce: this.#nonce },
        ...natDetectionNotifies(this.#spiI, NO_IKE_SPI, ends, true),
      ],
    });
    return { octets: this.#request, port: 500 };
  }

  /** The next request after an answer to IKE_SA_INIT: once more with a cookie, or IKE_AUTH. */
  afterInit(response: Uint8Array): Step {
    const { header, payloads } = decodeMessage(response);
    const [cookie] = notifiesOf(payloads, NotifyType.COOKIE);
    if (cookie) return this.initRequest(cookie.data);
    refuseErrors(payloads);
    const ke = payloadOf(payloads, 'KE');
    const nonceR = payloadOf(payloads, 'NONCE')?.nonce;
    const sharedSecret = ke && this.#terms.keyExchange.shared(ke.data);
    if (!sharedSecret || !nonceR) throw new Refused('IKE_SA_INIT without a usable KE or nonce');
    const spiR = header.responderSpi;
    const suite = suiteOf(this.#terms.method);
    const keys = deriveIkeKeys(suite, {
      ...{ sharedSecret, nonceI: this.#nonce, nonceR },
      ...{ spiI: this.#spiI, spiR },
    });
    const seal = new MessageKey(suite.encr, suite.integ, keys.skEi, keys.skAi);
    this.#opening = new MessageKey(suite.encr, suite.integ, keys.skEr, keys.skAr);
    this.#secured = { spiR, keys, seal };
    return this.#authRequest(suite, nonceR);
  }

  /** Looks at the answer to IKE_AUTH; throws where no Child SA came of it. */
  afterAuth(response: Uint8Array): void {
    const payloads = this.#open(response);
    refuseErrors(payloads);
    if (!payloadOf(payloads, 'AUTH')) throw new Refused('IKE_AUTH without AUTH');
    if (!payloadOf(payloads, 'SA')) throw new Refused('IKE_AUTH without a Child SA');
    this.#opening = undefined;
    this.#request = NOTHING;
  }

  /** HDR, SK {D}: the IKE SA is not wanted any more. */
  deleteRequest(): Step {
    return this.#seal(ExchangeType.INFORMATIONAL, 2, [
      { kind: 'DELETE', protocol: ProtocolId.IKE, spiSize: 0, spis: [] },
    ]);
  }

  /** HDR, SK {}: is somebody there (RFC 7296 §2.4)? */
  livenessRequest(number: number): Step {
    return this.#seal(ExchangeType.INFORMATIONAL, number, []);
  }

  /** HDR, SK {IDi, AUTH, SAi2, TSi, TSr}. */
  #authRequest(suite: IkeSuite, nonceR: Uint8Array): Step {
    const { secret } = this.#terms;
    const identity = { type: IdType.ID_FQDN, data: identityOctets(this.number) };
    const id = { kind: 'IDi', identity } as const;
    const skP = this.#secured?.keys.skPi ?? new SecretBytes(NOTHING);
    const signed = { message: this.#request, peerNonce: nonceR, id, skP };
    const auth = sharedKeyAuth(suite.prf, secret, signed);
    const inner = { kind: 'range', selector: selectorOf(this.#inner, this.#inner) } as const;
    return this.#seal(ExchangeType.IKE_AUTH, 1, [
      id,
      { kind: 'AUTH', method: SHARED_KEY_MIC, data: auth },
      { kind: 'SA', proposals: [espProposal(this.#terms.random(4))] },
      { kind: 'TSi', entries: [inner] },
      { kind: 'TSr', entries: [{ kind: 'range', selector: PROTECTED }] },
    ]);
  }

  #seal(exchangeType: number, number: number, payloads: readonly Payload[]): Step {
    if (!this.#secured) throw new Error(`client ${this.number} has no keys yet`);
    const header = this.#header(exchangeType, number, this.#secured.spiR);
    const { random } = this.#terms;
    return { octets: sealMessage(header, payloads, this.#secured.seal, random), port: 4500 };
  }

  #open(response: Uint8Array): readonly Payload[] {
    const payloads = this.#opening && openMessage(response, this.#opening);
    if (!payloads) throw new Refused('the answer does not open');
    return payloads;
  }

  #header(exchangeType: number, number: number, responderSpi: IkeSpi): IkeHeader {
    return {
      initiatorSpi: this.#spiI,
      responderSpi,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType,
      fromInitiator: true,
      higherVersion: false,
      isResponse: false,
      messageId: messageId(number),
    };
  }
}

/** Which client an answer is for. */
export function clientOf(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset, octets.length).getUint32(0);
}

/** Both ends of what a client sends from and to a port. */
export function endsOf(
  outer: IpAddress,
  gateway: IpAddress,
  port: number,
): { readonly local: Endpoint; readonly remote: Endpoint } {
  return { local: { address: outer, port }, remote: { address: gateway, port } };
}

function refuseErrors(payloads: readonly Payload[]): void {
  const error = errorNotify(payloads);
  if (error) throw new Refused(notifyName(error.type));
}

/** `c0004711.bench`, all of one length. */
function identityOctets(number: number): Uint8Array {
  return new TextEncoder().encode(`c${String(number).padStart(7, '0')}.bench`);
}

function ikeProposal(method: number): Proposal {
  return {
    number: 1,
    protocol: ProtocolId.IKE,
    spi: NOTHING,
    transforms: [
      { type: TransformType.ENCR, id: EncryptionId.AES_CBC, keyLength: 128 },
      { type: TransformType.PRF, id: PrfId.PRF_HMAC_SHA2_256 },
      { type: TransformType.INTEG, id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
      { type: TransformType.KE, id: method },
    ],
  };
}

function espProposal(random: Uint8Array): Proposal {
  // RFC 4303 §2.1: SPIs up to 255 are reserved.
  const spi = concatOctets(Uint8Array.of(0xc0 | (random[0] ?? 0)), random.subarray(1));
  return {
    number: 1,
    protocol: ProtocolId.ESP,
    spi,
    transforms: [
      { type: TransformType.ENCR, id: EncryptionId.AES_GCM_16, keyLength: 128 },
      { type: TransformType.ESN, id: EsnId.NO_ESN },
    ],
  };
}

/** The suite there is only one of. */
function suiteOf(method: number): IkeSuite {
  const known = suites.get(method);
  if (known) return known;
  const proposal = ikeProposal(method);
  const chosen = selectProposal([proposal], [proposal]);
  const suite = chosen && ikeSuite(chosen);
  if (!suite) throw new Error(`key exchange method ${method} makes no suite`);
  suites.set(method, suite);
  return suite;
}

function selectorOf(first: IpAddress, last: IpAddress): TrafficSelector {
  return { range: { first, last }, protocol: 0, startPort: 0, endPort: 0xffff };
}

const NONCE_OCTETS = 32;
const NOTHING = new Uint8Array();
const suites = new Map<number, IkeSuite>();
/** 10.2.0.0/16 */
const PROTECTED = selectorOf(
  { family: 4, octets: fromHex('0a020000') },
  { family: 4, octets: fromHex('0a02ffff') },
);
