/**
 * A Child SA that is to be: as it is wanted, and as it was asked for (RFC 7296 §1.3.1, §2.8, §2.9).
 */
import type { KeyExchangePair } from '../crypto/key-exchange.ts';
import type { ChildPolicy } from '../ipsec/connection.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { ChildProposal } from './child-negotiation.ts';
import type { HeldChild } from './held-child.ts';

/** A Child SA that somebody wants, new or in place of another. */
export interface ChildWish {
  readonly policy: ChildPolicy;
  readonly replaces?: HeldChild;
  /** The packet that asked for it: its selectors lead the offer (RFC 7296 §2.9). */
  readonly trigger?: { readonly local: TrafficSelector; readonly remote: TrafficSelector };
  /** Operators' requests that end with it. */
  readonly requests: Set<number>;
  /** The key exchange method the peer asked for (INVALID_KE_PAYLOAD). */
  readonly method?: number;
  /** The peer wants a key exchange, or none, against our configuration. */
  readonly otherPfs?: boolean;
  /** The peer takes one pair of selectors for each Child SA (SINGLE_PAIR_REQUIRED). */
  readonly singlePair?: boolean;
  /** How often the peer put it off (TEMPORARY_FAILURE). */
  readonly postponements?: number;
}

/** Our half of a CREATE_CHILD_SA exchange for a Child SA. */
export interface ChildAttempt {
  readonly wish: ChildWish;
  readonly spiIn: Spi;
  readonly nonce: Uint8Array;
  readonly asked: ChildProposal;
  readonly keyExchange: KeyExchangePair | undefined;
  readonly method: number | undefined;
  /** The peer's own rekey of the same Child SA, answered while ours was out (§2.8.1). */
  rival?: { readonly child: HeldChild; readonly lowestNonce: Uint8Array };
  /** SPIs that the peer deleted meanwhile and we do not know: one may be of the answer to come. */
  revoked?: readonly Spi[];
}
