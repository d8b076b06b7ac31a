/**
 * Everything an IKE SA and its Child SAs need to go on in another process: plain data.
 *
 * `snapshot-taking.ts` makes it of an IKE SA, `snapshot-codec.ts` octets of it, `snapshot-restoring.ts`
 * an IKE SA again. Clocks of machines differ, so times are milliseconds from the moment of the snapshot.
 * Deadlines travel as they were drawn: everyone who holds a snapshot comes to the same ones. Keys are
 * `SecretBytes` and print as their length.
 *
 * An IKE SA is named by our own SPI, a Child SA by the SPI it receives on; numbers of listings are each
 * process's own.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { ChildSa, OutboundUse } from '../ipsec/child-sa.ts';
import type { Identity } from '../ipsec/identity.ts';
import type { ChosenProposal, Proposal } from '../ipsec/proposal.ts';
import type { SequenceHalves } from '../ipsec/sequence-number.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import type { ConfigurationAttribute, IkeSpi } from './message/message.ts';
import type { NatDetection } from './nat-detection.ts';

/** Milliseconds from the moment of the snapshot, whole ones; negative = before it. */
export type Offset = number;

/** What one turn changed: IKE SAs that hand things to one another change together or not at all. */
export interface SnapshotBundle {
  readonly snapshots: readonly IkeSaSnapshot[];
  /** IKE SAs that are no more. */
  readonly gone: readonly GoneIkeSa[];
}

/** Which of two snapshots of an IKE SA is newer: a later epoch, then a higher order. */
export interface SnapshotOrder {
  /** Grows when another node takes the IKE SA over. */
  readonly epoch: number;
  /** Grows with each snapshot. */
  readonly order: number;
}

export interface GoneIkeSa extends SnapshotOrder {
  readonly spi: IkeSpi;
}

export interface IkeSaSnapshot extends SnapshotOrder {
  readonly initiator: boolean;
  readonly originalInitiator: boolean;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  /** Name of the connection, which every node has. */
  readonly connection: string;
  readonly path: PathSnapshot;
  /** The path of the first message. */
  readonly initiation: PathSnapshot;
  readonly tries: number;
  readonly created: Offset;
  readonly lastHeard: Offset;
  readonly lastKeepalive: Offset;
  readonly state: StateSnapshot;
  readonly window: WindowSnapshot;
  readonly children: readonly ChildSnapshot[];
  /** Child SAs to bring up once it is established. */
  readonly wishes: readonly WishSnapshot[];
  readonly postponed: readonly PostponedSnapshot[];
  readonly links: LinksSnapshot;
  readonly authMessageId: number | undefined;
  readonly requestDigest: string | undefined;
  readonly mobike: boolean;
  readonly peerAddresses: readonly IpAddress[];
  readonly addressesTold: string;
  readonly mappingSeen: Uint8Array | undefined;
  readonly probed: number;
  readonly redirectedFrom: string | undefined;
  readonly announced: readonly number[];
  /** Octets of a packet that `path` was found to carry. */
  readonly packetOctets: number | undefined;
  readonly retireAt: Offset | undefined;
  readonly rekeyAt: Offset | undefined;
  readonly reauthenticateAt: Offset | undefined;
  readonly expireAt: Offset | undefined;
  readonly authenticationExpiresAt: Offset | undefined;
  readonly virtual: VirtualSnapshot | undefined;
  readonly remoteVips: readonly IpAddress[];
  readonly replaced: boolean;
  readonly highestSync: number | undefined;
  readonly highestAsked: number | undefined;
  /** What was said last is not known to this node either. */
  readonly doubted: boolean;
}

export interface PathSnapshot {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

export interface VirtualSnapshot {
  readonly addresses: readonly IpAddress[];
  readonly nameServers: readonly IpAddress[];
  readonly attributes: readonly ConfigurationAttribute[];
}

/** Other IKE SAs by our SPI of them. */
export interface LinksSnapshot {
  readonly heir: IkeSpi | undefined;
  readonly reauthenticates: IkeSpi | undefined;
  readonly rivalOf: IkeSpi | undefined;
  readonly outlives: IkeSpi | undefined;
  /** Those that replaced one another, but for this one. */
  readonly lineage: readonly IkeSpi[];
}

export interface SecuredSnapshot {
  readonly proposal: ChosenProposal;
  readonly skD: SecretBytes;
  readonly skAi: SecretBytes;
  readonly skAr: SecretBytes;
  readonly skEi: SecretBytes;
  readonly skEr: SecretBytes;
  /** Unset once both peers have proved who they are. */
  readonly skPi: SecretBytes | undefined;
  readonly skPr: SecretBytes | undefined;
  /** Messages that were sealed with our key. */
  readonly sealed: number;
  readonly nat: NatDetection;
  readonly udpEncapsulation: boolean;
}

export interface HandshakeSnapshot {
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly requestOctets: Uint8Array;
  readonly responseOctets: Uint8Array;
}

export interface PeerSnapshot {
  readonly localId: Identity;
  readonly remoteId: Identity;
  readonly since: Offset;
}

/** The states of `ike-sa-state.ts`. `drawn`: what our half of the key exchange was made of. */
export type StateSnapshot =
  | {
      readonly name: 'AwaitingIkeSaInitResponse';
      readonly nonce: Uint8Array;
      readonly method: number;
      readonly drawn: SecretBytes;
      readonly cookie: Uint8Array | undefined;
      readonly restarts: number;
    }
  | {
      readonly name: 'AwaitingIkeAuthRequest';
      readonly secured: SecuredSnapshot;
      readonly handshake: HandshakeSnapshot;
      readonly until: Offset;
    }
  | {
      readonly name: 'AwaitingIkeAuthResponse';
      readonly secured: SecuredSnapshot;
      readonly handshake: HandshakeSnapshot;
      readonly localId: Identity;
      readonly spiIn: Spi | undefined;
    }
  | {
      readonly name: 'Established';
      readonly secured: SecuredSnapshot;
      readonly peer: PeerSnapshot;
    }
  | {
      readonly name: 'AwaitingDelete';
      readonly secured: SecuredSnapshot;
      readonly peer: PeerSnapshot;
      readonly until: Offset;
    }
  | {
      readonly name: 'AwaitingDeleteResponse';
      readonly secured: SecuredSnapshot;
      readonly peer: PeerSnapshot;
      readonly reason: string;
    }
  | {
      readonly name: 'Closed';
      readonly secured: SecuredSnapshot | undefined;
      readonly until: Offset;
    };

/** Message ids of both directions, and what was sent, octet for octet. */
export interface WindowSnapshot {
  readonly nextId: number;
  readonly expectedId: number;
  readonly inFlight: InFlightSnapshot | undefined;
  readonly answered: AnsweredSnapshot | undefined;
  /** Requests that wait for the window. */
  readonly waiting: readonly PurposeSnapshot[];
}

export interface InFlightSnapshot {
  readonly purpose: PurposeSnapshot;
  readonly datagrams: readonly Uint8Array[];
  /** Repetitions made. */
  readonly attempts: number;
  /** Waits of early repetitions still to come, in milliseconds. */
  readonly early: readonly number[];
}

export interface AnsweredSnapshot {
  readonly messageId: number;
  readonly repeats: number;
  readonly datagrams: readonly Uint8Array[];
}

/** What a request is for; operators who wait for it are not of another process. */
export type PurposeSnapshot =
  | { readonly kind: 'ike-sa-init' }
  | { readonly kind: 'ike-auth' }
  | { readonly kind: 'liveness' }
  | { readonly kind: 'update-addresses'; readonly told: PathSnapshot | undefined }
  | { readonly kind: 'tell-addresses' }
  | { readonly kind: 'check-routability'; readonly cookie: Uint8Array }
  | { readonly kind: 'redirect'; readonly gateway: string }
  /** Of a measurement nobody reads any more; the window waits for its answer all the same. */
  | { readonly kind: 'probe-path' }
  | { readonly kind: 'delete-ike-sa' }
  | { readonly kind: 'delete-child-sa'; readonly spiIn: Spi }
  | { readonly kind: 'withdraw-child-sa'; readonly spiIn: Spi }
  | {
      readonly kind: 'create-child';
      readonly wish: WishSnapshot;
      readonly attempt: ChildAttemptSnapshot | undefined;
    }
  | {
      readonly kind: 'rekey-ike-sa';
      readonly method: number | undefined;
      readonly attempt: IkeRekeyAttemptSnapshot | undefined;
    };

export interface WishSnapshot {
  /** Name of the child within its connection. */
  readonly policy: string;
  readonly replaces: Spi | undefined;
  readonly trigger: TriggerSnapshot | undefined;
  readonly method: number | undefined;
  readonly otherPfs: boolean;
  readonly singlePair: boolean;
  readonly postponements: number;
}

export interface TriggerSnapshot {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

export interface PostponedSnapshot {
  readonly at: Offset;
  readonly wish: WishSnapshot;
}

export interface ChildAttemptSnapshot {
  readonly spiIn: Spi;
  readonly nonce: Uint8Array;
  readonly proposals: readonly Proposal[];
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  readonly mode: 'transport' | 'beet' | undefined;
  /** Of our half of the key exchange, where there is one. */
  readonly drawn: SecretBytes | undefined;
  readonly method: number | undefined;
  readonly rival: { readonly spiIn: Spi; readonly lowestNonce: Uint8Array } | undefined;
  readonly revoked: readonly Spi[];
}

export interface IkeRekeyAttemptSnapshot {
  readonly spi: IkeSpi;
  readonly nonce: Uint8Array;
  readonly proposals: readonly Proposal[];
  readonly drawn: SecretBytes;
  readonly method: number;
  readonly rival: { readonly spi: IkeSpi; readonly lowestNonce: Uint8Array } | undefined;
}

/** What of a Child SA is each process's own, or its IKE SA's. */
type LocalToProcess = 'id' | 'reqid' | 'connection' | 'outbound';

export interface ChildSnapshot {
  /** Its IKE SA has it; otherwise only a request under way still speaks of it. */
  readonly held: boolean;
  readonly childSa: Omit<ChildSa, LocalToProcess>;
  readonly installed: Offset;
  readonly rekeyAt: Offset | undefined;
  readonly expireAt: Offset | undefined;
  readonly outbound: OutboundUse;
  readonly state: ChildStateSnapshot;
  readonly sequences: ChildSequences | undefined;
}

/** The states of `held-child.ts`. */
export type ChildStateSnapshot =
  | { readonly name: 'Installed' }
  | { readonly name: 'Rekeying' }
  | { readonly name: 'Replaced'; readonly successor: Spi; readonly until: Offset }
  | { readonly name: 'Redundant'; readonly until: Offset }
  | { readonly name: 'Deleting'; readonly reason: string; readonly replaced: boolean }
  | { readonly name: 'Draining'; readonly until: Offset };

/** How far a Child SA has counted, as the packet loop knows it. */
export interface ChildSequences {
  /** Nothing beyond it was sent: whoever goes on begins behind it. */
  readonly outboundReserved: SequenceHalves;
  /** The highest number that arrived in an authentic packet. */
  readonly inboundEdge: SequenceHalves;
  readonly octetsIn: number;
  readonly packetsIn: number;
  readonly octetsOut: number;
  readonly packetsOut: number;
}

/** Our SPI of it: its name among the nodes. */
export function ownSpiOf({
  initiator,
  spiI,
  spiR,
}: Pick<IkeSaSnapshot, 'initiator' | 'spiI' | 'spiR'>): IkeSpi {
  return initiator ? spiI : spiR;
}

/** Is `one` newer than `other`? */
export function isNewer(one: SnapshotOrder, other: SnapshotOrder): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.order > other.order);
}
