/**
 * What goes into the IKE engine and what comes out (style: `handle(input, now) → Action[]`).
 *
 * An action says what must happen, never how; only `gateway.ts` performs it.
 */
import type { Event } from '../events/event.ts';
import type { ChildSa, OutboundUse } from '../ipsec/child-sa.ts';
import type { IdentityPattern } from '../ipsec/identity.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { AddressRange, Endpoint, IpAddress } from '../wire/address.ts';
import type { SharedSecrets } from './cookie.ts';
import type { ConfigurationAttribute, IkeSpi } from './message/message.ts';
import type { ChildSequences, SnapshotBundle } from './snapshot.ts';

/** Names SAs for termination the way swanctl does; unset = any. */
export interface SaSelector {
  readonly ike?: string;
  readonly ikeSaId?: number;
  readonly child?: string;
  readonly childSaId?: number;
}

export type Input =
  | {
      readonly kind: 'datagram';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  /** Answered by a `complete` action with the same request number. `local`/`remote` are resolved. */
  | {
      readonly kind: 'initiate';
      readonly request: number;
      readonly connection: string;
      /** Unset: the IKE SA alone (RFC 6023). */
      readonly child?: string;
      readonly local: Endpoint;
      readonly remote: Endpoint;
      /** The packet that asked for it, from us to the peer: it leads TSi and TSr (RFC 7296 §2.9). */
      readonly trigger?: { readonly local: TrafficSelector; readonly remote: TrafficSelector };
      readonly redirected?: Redirected;
    }
  | {
      readonly kind: 'terminate';
      readonly request: number;
      readonly selector: SaSelector;
      readonly force: boolean;
    }
  /** Replaces what the selector names; `reauthenticate` replaces IKE SAs by new ones from the start. */
  | {
      readonly kind: 'rekey';
      readonly request: number;
      readonly selector: SaSelector;
      readonly reauthenticate: boolean;
    }
  /** Sends clients elsewhere (RFC 5685): those of the selector, at these addresses, of this identity. */
  | {
      readonly kind: 'redirect';
      readonly request: number;
      readonly selector: SaSelector;
      readonly peerAddress?: AddressRange;
      readonly peerId?: IdentityPattern;
      /** An address or a name. */
      readonly gateway: string;
    }
  /** An authenticated ESP packet, newer than all before, came from here: a NAT has a new mapping. */
  | {
      readonly kind: 'peer-moved';
      readonly childSaId: number;
      readonly local: Endpoint;
      readonly remote: Endpoint;
    }
  /** The packet loop counted an SA to a limit; `hard` ended it. */
  | {
      readonly kind: 'traffic-limit';
      readonly childSaId: number;
      readonly limit: 'soft' | 'hard';
    }
  /** How long a packet may be that reaches the peer of an IKE SA whole; `most` is tried first. */
  | {
      readonly kind: 'measure-path';
      readonly request: number;
      readonly ikeSaId: number;
      readonly most: number;
    }
  /** The machine's own addresses, now that they changed (RFC 4555 §3.3). */
  | { readonly kind: 'local-addresses'; readonly addresses: readonly IpAddress[] }
  /** This one came, or came back: what was sent from it meanwhile left nowhere. */
  | { readonly kind: 'address-came'; readonly address: IpAddress }
  /** Delete every SA and tell the peers; completes when they answered or were tried. */
  | { readonly kind: 'shutdown'; readonly request: number }
  /** Snapshots of IKE SAs of other nodes: they are PASSIVE here, in place of older ones. */
  | { readonly kind: 'install-snapshots'; readonly bundle: SnapshotBundle }
  /**
   * PASSIVE IKE SAs with these SPIs of ours go on here; those that know one another come together.
   * `unsure`: messages may have left that nobody here heard of; peers that can be are asked (RFC 6311).
   * `unvouched`: packets too; under no Child SA anything is sent before it is replaced. `paced`: those that
   * may not send are replaced by `replace-child-sas`, not all at once.
   */
  | {
      readonly kind: 'activate';
      readonly spis: Iterable<IkeSpi>;
      readonly unsure?: boolean;
      readonly unvouched?: boolean;
      readonly paced?: boolean;
    }
  /**
   * Over the IKE SA with this SPI of ours messages left from another node: as if `unsure`. The peer shall
   * forget Child SAs that it agreed upon there.
   */
  | { readonly kind: 'make-sure'; readonly spi: IkeSpi; readonly strangers: readonly Spi[] }
  /** Child SAs with these SPIs of ours get new keys, unless that is under way. */
  | { readonly kind: 'replace-child-sas'; readonly spisIn: Iterable<Spi> }
  /** IKE SAs with these SPIs of ours go on elsewhere, with the snapshots taken by now. */
  | { readonly kind: 'deactivate'; readonly spis: Iterable<IkeSpi> }
  /** It is known which addresses the IKE SA with this SPI of ours gets (`LeasePools.isDecided`). */
  | { readonly kind: 'addresses-decided'; readonly spi: IkeSpi }
  /** Tokens for strangers are made with these, on every node; a new one comes every minute or so. */
  | { readonly kind: 'token-secrets'; readonly secrets: SharedSecrets }
  /** The clock passed `nextDeadline()`. */
  | { readonly kind: 'deadline' };

/** How a request ended; `kind` maps to the CLI's exit codes. */
export type Outcome =
  | {
      readonly kind: 'done';
      readonly matches: number;
      readonly terminated: number;
      readonly measured?: PathMeasurement;
    }
  | { readonly kind: 'refused'; readonly what: string }
  | { readonly kind: 'authentication-failed'; readonly what: string }
  | { readonly kind: 'timeout'; readonly what: string }
  | { readonly kind: 'failed'; readonly what: string };

/** What the path of an IKE SA was found to carry. */
export interface PathMeasurement {
  /** Octets of the largest packet that arrived whole. */
  readonly outerMtu: number;
  /** Octets of the smallest that did not; unset = none was lost. */
  readonly lostOctets?: number;
  readonly probes: number;
  readonly losses: number;
  readonly milliseconds: number;
  /** Those of the IKE SA, whose packets go the same way. */
  readonly childSaIds: readonly number[];
}

/** What a configuration payload gave us (RFC 7296 §2.19). */
export interface VirtualSettings {
  readonly addresses: readonly IpAddress[];
  readonly nameServers: readonly IpAddress[];
  /** What else the peer said of its network, as it came. */
  readonly attributes: readonly ConfigurationAttribute[];
}

/** A gateway sent us to another one (RFC 5685). */
export interface Redirected {
  /** An address or a name. */
  readonly gateway: string;
  /** Address of the gateway that said so. */
  readonly from: string;
  /** Number of the IKE SA that goes when the new one is up. */
  readonly replaces: number;
}

/**
 * How IP carries a datagram of ours: whole or not at all, or in fragments that we make ourselves, as
 * small as every path carries.
 */
export type Carriage = 'whole' | 'in-fragments';

export type Action =
  | {
      readonly kind: 'send';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
      /** Unset: as IP has it. */
      readonly carriage?: Carriage;
      /**
       * Leaves when other nodes hold what was told of the IKE SA with this SPI of ours, in this turn
       * and before. Unset: depends on nothing that is kept.
       */
      readonly after?: IkeSpi;
    }
  /** One octet 0xFF from the NAT traversal port (RFC 3948 §2.3). */
  | { readonly kind: 'send-nat-keepalive'; readonly local: Endpoint; readonly remote: Endpoint }
  | { readonly kind: 'install-child-sa'; readonly childSa: ChildSa }
  /**
   * A Child SA of an IKE SA that goes on at another node: nothing is sent or delivered under it, but
   * its window may follow. Ends by `remove-child-sa`, or goes on here by `activate-child-sa`.
   */
  | PassiveChildSa<'install-passive-child-sa'>
  /** It goes on here, behind these numbers. The keys are those it has. */
  | PassiveChildSa<'activate-child-sa'>
  /** It goes on at another node; until then it was ours. */
  | { readonly kind: 'deactivate-child-sa'; readonly childSa: ChildSa }
  /** This SPI was offered: the peer may use it before its answer is here. */
  | { readonly kind: 'expect-spi'; readonly spiIn: Spi }
  | {
      readonly kind: 'set-outbound';
      readonly childSaId: number;
      readonly outbound: OutboundUse;
    }
  /**
   * The next number sent comes so many later, or none up to so many ahead of the highest accepted one is
   * accepted any more (RFC 6311 §5.2).
   */
  | {
      readonly kind: 'skip-numbers';
      readonly childSaId: number;
      readonly direction: 'outbound' | 'inbound';
      readonly count: number;
    }
  /** The outer addresses of an SA changed; its keys, numbers and window go on. */
  | {
      readonly kind: 'move-child-sa';
      readonly childSaId: number;
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly udpEncapsulation: boolean;
    }
  /** `close_action`, `dpd_action`: the child's traffic shall bring it up again. */
  | { readonly kind: 'trap'; readonly connection: string; readonly child: string }
  /** As client: addresses and name servers of the peer's network, until `remove-` of the same SA. */
  | { readonly kind: 'install-virtual'; readonly ikeSa: number; readonly virtual: VirtualSettings }
  | { readonly kind: 'remove-virtual'; readonly ikeSa: number; readonly virtual: VirtualSettings }
  | { readonly kind: 'remove-child-sa'; readonly childSa: ChildSa; readonly reason: string }
  /** A connection wants to come up again (close_action, dpd_action): the gateway resolves and initiates. */
  | {
      readonly kind: 'reinitiate';
      readonly connection: string;
      /** Unset: the IKE SA alone. */
      readonly child?: string;
      readonly redirected?: Redirected;
      /** Operators' requests that end with it. */
      readonly requests?: readonly number[];
    }
  | { readonly kind: 'complete'; readonly request: number; readonly outcome: Outcome }
  | { readonly kind: 'key-log'; readonly line: IkeKeyLog }
  | { readonly kind: 'emit'; readonly event: Event };

interface PassiveChildSa<Kind> {
  readonly kind: Kind;
  readonly childSa: ChildSa;
  /** How far it had counted; unset = nobody said. */
  readonly sequences: ChildSequences | undefined;
}

/** Keys of an IKE SA for Wireshark's table; only made when the key log is on. */
export interface IkeKeyLog {
  readonly spiI: string;
  readonly spiR: string;
  readonly encr: number;
  readonly encrKeyLength: number | undefined;
  readonly integ: number | undefined;
  readonly skEi: Uint8Array;
  readonly skEr: Uint8Array;
  readonly skAi: Uint8Array;
  readonly skAr: Uint8Array;
}
