/**
 * A Child SA pair: one inbound and one outbound ESP SA with what traffic they protect
 * (RFC 4301 §4.4.2, RFC 7296 §2.17). Plain data; the keys are the only secret in it.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import type { Transform } from './proposal.ts';
import type { Spi } from './spi.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** Keys of one direction. `encryption` ends with the salt where the algorithm has one. */
export interface EspKeys {
  readonly encryption: SecretBytes;
  /** Empty with an AEAD algorithm. */
  readonly integrity: SecretBytes;
}

/**
 * What the packet loop counts for an SA (RFC 4301 §4.4.2.1), in each direction; 0 = no limit. At a
 * soft limit the IKE SA is told once, at a hard one no further packet is sent or accepted.
 */
export interface TrafficLimits {
  readonly softOctets: number;
  readonly hardOctets: number;
  readonly softPackets: number;
  readonly hardPackets: number;
}

/**
 * Whether an SA sends: at once; as soon as an authenticated packet arrived on it, which proves that
 * the peer has it too (RFC 7296 §2.8); or not any more, while it still receives.
 */
export type OutboundUse = 'now' | 'after-inbound' | 'never';

/**
 * What ESP goes around (RFC 4301 §4.1): a whole packet; the next layer of a packet between the two
 * ends themselves; or, as strongSwan's BEET, the next layer of packets between two fixed addresses.
 */
export type EncapsulationMode = 'tunnel' | 'transport' | 'beet';

/** One address of each end. */
export interface AddressPair {
  readonly local: IpAddress;
  readonly remote: IpAddress;
}

export interface ChildSa {
  /** Unique in this process, never reused. */
  readonly id: number;
  readonly connection: string;
  /** Name of the ChildPolicy. */
  readonly name: string;
  readonly reqid: number;
  readonly mode: EncapsulationMode;
  readonly spiIn: Spi;
  readonly spiOut: Spi;
  readonly encr: Transform;
  readonly integ?: Transform;
  readonly ke?: Transform;
  readonly esn: boolean;
  readonly keysIn: EspKeys;
  readonly keysOut: EspKeys;
  /** Outer addresses; the ports count only with `udpEncapsulation`. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly udpEncapsulation: boolean;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /**
   * Transport mode through a NAT: the addresses the peer's checksums are made of (RFC 7296 §2.23.1,
   * RFC 3948 §3.1.2). Unset = those of the selectors.
   */
  readonly peerAddresses?: AddressPair;
  readonly replayWindow: number;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes';
  /** ICMP errors about its packets fit it, too, whatever their own addresses (RFC 4301 §6.2). */
  readonly icmpErrors: boolean;
  readonly priority: number;
  /** Both ends agreed on NON_FIRST_FRAGMENTS_ALSO. */
  readonly nonFirstFragments: boolean;
  /** As in its policy, 0 where the peer does not take it. */
  readonly tfcPadding: number;
  readonly dummyPackets: number;
  readonly limits: TrafficLimits;
  /** As installed; `set-outbound` changes it. */
  readonly outbound: OutboundUse;
}
