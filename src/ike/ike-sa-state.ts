/**
 * The states of an IKE SA, named after what it awaits, and the transitions between them.
 *
 * What does not exist in a state is not a field of that state.
 */

import type { KeyExchangePair } from '../crypto/key-exchange.ts';
import type { Identity } from '../ipsec/identity.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { Instant } from '../wire/instant.ts';
import type { IkeKeys, IkeSuite } from './keys.ts';
import type { NatDetection } from './nat-detection.ts';
import type { MessageKey } from './protection.ts';

/** An initiator's first exchange; restarted with a cookie or another key exchange method. */
export interface InitAttempt {
  readonly nonce: Uint8Array;
  readonly keyExchange: KeyExchangePair;
  readonly method: number;
  readonly cookie: Uint8Array | undefined;
  readonly restarts: number;
}

/** What a key exchange leaves behind for the life of the IKE SA. */
export interface Secured {
  readonly suite: IkeSuite;
  readonly keys: IkeKeys;
  /** Seals what we send. */
  readonly sealing: MessageKey;
  /** Opens what the peer sends. */
  readonly opening: MessageKey;
  readonly nat: NatDetection;
  /** ESP goes into UDP; decided here, whatever connection IKE_AUTH turns out. */
  readonly udpEncapsulation: boolean;
}

/** What AUTH covers and the first Child SA is keyed with; forgotten once IKE_AUTH is over. */
export interface Handshake {
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** IKE_SA_INIT as it went over the wire. */
  readonly requestOctets: Uint8Array;
  readonly responseOctets: Uint8Array;
}

export interface Authenticated {
  readonly localId: Identity;
  readonly remoteId: Identity;
  /** When the IKE SA came up, or took the place of another. */
  readonly since: Instant;
}

export type IkeSaState =
  | { readonly name: 'AwaitingIkeSaInitResponse'; readonly attempt: InitAttempt }
  | {
      readonly name: 'AwaitingIkeAuthRequest';
      readonly secured: Secured;
      readonly handshake: Handshake;
      readonly until: Instant;
    }
  | {
      readonly name: 'AwaitingIkeAuthResponse';
      readonly secured: Secured;
      readonly handshake: Handshake;
      readonly localId: Identity;
      /** Inbound SPI of the Child SA that comes along; undefined without one (RFC 6023). */
      readonly spiIn: Spi | undefined;
    }
  | { readonly name: 'Established'; readonly secured: Secured; readonly peer: Authenticated }
  /** Replaced, or made in vain: the peer deletes it; past `until` we do. */
  | {
      readonly name: 'AwaitingDelete';
      readonly secured: Secured;
      readonly peer: Authenticated;
      readonly until: Instant;
    }
  | {
      readonly name: 'AwaitingDeleteResponse';
      readonly secured: Secured;
      readonly peer: Authenticated;
      readonly reason: string;
    }
  /** Gone, but still answering what the peer repeats until then. */
  | { readonly name: 'Closed'; readonly secured: Secured | undefined; readonly until: Instant };

export type IkeSaStateName = IkeSaState['name'];

/** Every transition there is (RFC 7296 §1.2, §1.4, §2.8, §2.21). */
export const IKE_SA_TRANSITIONS: Readonly<Record<IkeSaStateName, readonly IkeSaStateName[]>> = {
  AwaitingIkeSaInitResponse: ['AwaitingIkeSaInitResponse', 'AwaitingIkeAuthResponse', 'Closed'],
  AwaitingIkeAuthRequest: ['Established', 'Closed'],
  AwaitingIkeAuthResponse: ['Established', 'Closed'],
  Established: ['AwaitingDelete', 'AwaitingDeleteResponse', 'Closed'],
  AwaitingDelete: ['AwaitingDeleteResponse', 'Closed'],
  AwaitingDeleteResponse: ['Closed'],
  Closed: [],
};
