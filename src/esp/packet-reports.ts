/**
 * What the packet path tells whoever keeps the SAs: rare, each of them once or at a bounded rate.
 */
import type { SequenceHalves } from '../ipsec/sequence-number.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import type { EspSa } from './esp-sa.ts';

/** A packet that wants an SA; what it does not show is OPAQUE (`wire/flow.ts`). */
export interface AcquiredFlow {
  readonly local: IpAddress;
  readonly remote: IpAddress;
  readonly protocol: number;
  readonly localPort: number;
  readonly remotePort: number;
}

/** Whose packet it is; what it does not show is OPAQUE (`wire/flow.ts`). */
export interface PacketEnds {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface PacketReports {
  /** The path of the SA carries more or less than it did. */
  readonly pathMtuChanged: (sa: EspSa) => void;
  /** A packet on the SA proved that the peer has it: from now on it sends, too. */
  readonly outboundActivated: (sa: EspSa) => void;
  /** The SA was counted to a limit (RFC 4301 §4.4.2.1); `hard` ended it in one direction. */
  readonly limitReached: (sa: EspSa, limit: 'soft' | 'hard') => void;
  /** The peer's newest packet came from, or was sent to, addresses that are not the SA's. */
  readonly peerMoved: (sa: EspSa, local: Endpoint, remote: Endpoint) => void;
  /**
   * A packet came out of the SA that is none of those the SA is for; `suppressed` others, of any SA, were
   * not reported since the last one.
   */
  readonly policyMismatch: (sa: EspSa, packet: PacketEnds, suppressed: number) => void;
  /** The SA of a cluster will soon need numbers up to this one; another node is to acknowledge them. */
  readonly sequenceWanted: (sa: EspSa, upTo: SequenceHalves) => void;
  /** A trap, by its policy's number, holds this packet and waits for an SA that covers it. */
  readonly acquire: (policy: number, flow: AcquiredFlow) => void;
}
