/**
 * An IKE message as a value (RFC 7296 §3.1, §3.2).
 *
 * Unknown payloads, transforms and notifies stay values that encode back to the same octets.
 */
import type { Identity } from '../../ipsec/identity.ts';
import type { Proposal } from '../../ipsec/proposal.ts';
import type { TrafficSelector } from '../../ipsec/traffic-selector.ts';
import { MalformedError, toHex } from '../../wire/octets.ts';

/** Sixteen lower-case hex digits: a key for maps and the way people read it. */
export type IkeSpi = string & { readonly brand: 'IkeSpi' };

/** No SPI: the responder's, as long as there is none. */
export const NO_IKE_SPI = ikeSpi(new Uint8Array(8));

/** The SPI that eight octets spell. Its octets again: `fromHex(spi)`. */
export function ikeSpi(octets: Uint8Array): IkeSpi {
  if (octets.length !== 8) throw new MalformedError(0, `IKE SPI of ${octets.length} octets`);
  return toHex(octets) as IkeSpi;
}

export type MessageId = number & { readonly brand: 'MessageId' };

export function messageId(value: number): MessageId {
  return (value >>> 0) as MessageId;
}

/** IKEv2 Exchange Types (RFC 7296 §3.1). */
export const ExchangeType = {
  IKE_SA_INIT: 34,
  IKE_AUTH: 35,
  CREATE_CHILD_SA: 36,
  INFORMATIONAL: 37,
} as const;

/** Next Payload values (RFC 7296 §3.2). */
export const PayloadType = {
  NONE: 0,
  SA: 33,
  KE: 34,
  IDi: 35,
  IDr: 36,
  CERT: 37,
  CERTREQ: 38,
  AUTH: 39,
  NONCE: 40,
  NOTIFY: 41,
  DELETE: 42,
  VENDOR: 43,
  TSi: 44,
  TSr: 45,
  SK: 46,
  CP: 47,
  EAP: 48,
  SKF: 53,
} as const;

export interface IkeHeader {
  readonly initiatorSpi: IkeSpi;
  readonly responderSpi: IkeSpi;
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly exchangeType: number;
  /** Flag I: sent by the original initiator of the IKE SA. */
  readonly fromInitiator: boolean;
  /** Flag V. */
  readonly higherVersion: boolean;
  /** Flag R. */
  readonly isResponse: boolean;
  readonly messageId: MessageId;
}

export interface SaPayload {
  readonly kind: 'SA';
  readonly critical?: boolean;
  readonly proposals: readonly Proposal[];
}
export interface KePayload {
  readonly kind: 'KE';
  readonly critical?: boolean;
  readonly method: number;
  readonly data: Uint8Array;
}
export interface IdPayload {
  readonly kind: 'IDi' | 'IDr';
  readonly critical?: boolean;
  readonly identity: Identity;
  /** The three RESERVED octets where a peer did not send them as zero: AUTH covers them. */
  readonly reserved?: number;
}
export interface CertPayload {
  readonly kind: 'CERT';
  readonly critical?: boolean;
  readonly encoding: number;
  readonly data: Uint8Array;
}
export interface CertReqPayload {
  readonly kind: 'CERTREQ';
  readonly critical?: boolean;
  readonly encoding: number;
  readonly authorities: Uint8Array;
}
export interface AuthPayload {
  readonly kind: 'AUTH';
  readonly critical?: boolean;
  readonly method: number;
  readonly data: Uint8Array;
}
export interface NoncePayload {
  readonly kind: 'NONCE';
  readonly critical?: boolean;
  readonly nonce: Uint8Array;
}
export interface NotifyPayload {
  readonly kind: 'NOTIFY';
  readonly critical?: boolean;
  readonly protocol: number;
  readonly spi: Uint8Array;
  readonly type: number;
  readonly data: Uint8Array;
}
export interface DeletePayload {
  readonly kind: 'DELETE';
  readonly critical?: boolean;
  readonly protocol: number;
  readonly spiSize: number;
  readonly spis: readonly Uint8Array[];
}
export interface VendorPayload {
  readonly kind: 'VENDOR';
  readonly critical?: boolean;
  readonly vendorId: Uint8Array;
}
/** A traffic selector of a type we do not know stays as octets. */
export type TsEntry =
  | { readonly kind: 'range'; readonly selector: TrafficSelector }
  | {
      readonly kind: 'unknown';
      readonly type: number;
      /** The octet behind the type: an IP protocol, or RESERVED in some types. */
      readonly protocol: number;
      /** What follows the selector length. */
      readonly body: Uint8Array;
    };
export interface TsPayload {
  readonly kind: 'TSi' | 'TSr';
  readonly critical?: boolean;
  readonly entries: readonly TsEntry[];
}
/** The sealed payload: IV, ciphertext and ICV as they stand; `firstPayload` is the type within. */
export interface EncryptedPayload {
  readonly kind: 'SK';
  readonly critical?: boolean;
  readonly firstPayload: number;
  readonly sealed: Uint8Array;
}
/** A part of a sealed payload, sealed by itself; `firstPayload` is the type within the whole. */
export interface EncryptedFragmentPayload {
  readonly kind: 'SKF';
  readonly critical?: boolean;
  /** Only the first fragment tells it; 0 in the others. */
  readonly firstPayload: number;
  /** From 1 to `totalFragments` in an honest message. */
  readonly fragmentNumber: number;
  readonly totalFragments: number;
  readonly sealed: Uint8Array;
}
export interface ConfigurationAttribute {
  readonly type: number;
  readonly value: Uint8Array;
}
export interface ConfigurationPayload {
  readonly kind: 'CP';
  readonly critical?: boolean;
  readonly type: number;
  readonly attributes: readonly ConfigurationAttribute[];
}
export interface EapPayload {
  readonly kind: 'EAP';
  readonly critical?: boolean;
  readonly message: Uint8Array;
}
export interface UnknownPayload {
  readonly kind: 'unknown';
  readonly critical?: boolean;
  readonly type: number;
  readonly body: Uint8Array;
}

export type Payload =
  | SaPayload
  | KePayload
  | IdPayload
  | CertPayload
  | CertReqPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorPayload
  | TsPayload
  | EncryptedPayload
  | EncryptedFragmentPayload
  | ConfigurationPayload
  | EapPayload
  | UnknownPayload;

export interface IkeMessage {
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
}
