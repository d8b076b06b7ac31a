/**
 * What `tsgw doctor mtu` asks and is told: the path to a peer, and what fits into each Child SA.
 */

/** Which IKE SA is meant. */
export interface PathSelector {
  /** An address, an identity or a connection. */
  readonly peer: string;
  /** Where several are up with that peer. */
  readonly ikeId?: number;
}

export interface MtuView {
  readonly connection: string;
  readonly ikeSaId: number;
  readonly local: string;
  readonly remote: string;
  readonly remoteId: string;
  /** Octets that were believed before. */
  readonly before: number;
  /** Octets of the largest packet that arrives whole. */
  readonly outerMtu: number;
  /** Of the smallest that does not; unset = all that our links carry arrives. */
  readonly lostOctets?: number;
  readonly probes: number;
  readonly losses: number;
  readonly milliseconds: number;
  readonly children: readonly ChildMtuView[];
  /** What to set, here and at the peer. */
  readonly here: readonly string[];
  readonly there: readonly string[];
}

export interface ChildMtuView {
  readonly name: string;
  readonly uniqueId: number;
  /** Octets of the largest inner packet that passes whole. */
  readonly innerMtu: number;
  /** What the MSS of a SYN becomes at most, where there is traffic of that family. */
  readonly mssIpv4?: number;
  readonly mssIpv6?: number;
}

export type MtuOutcome =
  | { readonly kind: 'measured'; readonly view: MtuView }
  | {
      readonly kind: 'refused' | 'authentication-failed' | 'timeout' | 'failed';
      readonly what: string;
    };
