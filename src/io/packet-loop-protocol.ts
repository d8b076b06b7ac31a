/**
 * What the control thread and the packet loop's worker say to each other.
 *
 * Structured-clone data only. Counters do not travel: both see `SharedCounters`.
 */

import type { CapturedLot, TapSettings } from '../esp/captured-lot.ts';
import type { EspSaEnds, EspSaParameters } from '../esp/esp-sa.ts';
import type { EspPolicy, ForeignPolicy } from '../esp/esp-sa-table.ts';
import type { AcquiredFlow, PacketEnds } from '../esp/packet-reports.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { OutboundUse } from '../ipsec/child-sa.ts';
import type { MeasuredMtu } from '../ipsec/path-mtu.ts';
import type { Endpoint } from '../wire/address.ts';
import type { ClusterCommand, ClusterReport } from './cluster-protocol.ts';
import type { BackEndName } from './native.ts';

/** A Child SA as the packet loop needs it: what ESP goes by, bare keys, and what ciphers with them. */
export interface InstalledChildSa extends EspSaParameters {
  /** `evp` where nothing is said. */
  readonly backEnd?: BackEndName;
  readonly encryptionKeyIn: Uint8Array;
  readonly integrityKeyIn: Uint8Array;
  readonly encryptionKeyOut: Uint8Array;
  readonly integrityKeyOut: Uint8Array;
}

/** Everything the worker starts with (`workerData`). Descriptors are open already. */
export interface PacketLoopSetup {
  readonly counters: SharedCounters;
  readonly tun: number;
  /** The device gives and takes super-packets, of UDP too if it says so; undefined = neither. */
  readonly offload: { readonly udp: boolean } | undefined;
  /** UDP 4500 sockets; ESP and IKE arrive here. */
  readonly natt4: number | undefined;
  readonly natt6: number | undefined;
  /** Protocol-50 sockets. */
  readonly esp4: number | undefined;
  readonly esp6: number | undefined;
  /** Raw sockets for packets with their own IP header, which policies let pass unprotected. */
  readonly plain4: number | undefined;
  readonly plain6: number | undefined;
  /** The UDP port of `natt4` and `natt6`. */
  readonly nattPort: number;
  readonly tunMtu: number;
  /** Outer MTU assumed until a path says otherwise. */
  readonly outerMtu: number;
  /** Clamp the MSS of TCP SYNs to what fits (`gateway.mss_clamp`). */
  readonly mssClamp: boolean;
  /** Where there are other workers. */
  readonly share?: PacketLoopShare;
  /** In a cluster: until when this node sends (`events/send-lease.ts`). */
  readonly lease?: Float64Array;
}

/** How a worker gives others the packets of their SAs, and gets those of its own. */
export interface PacketLoopShare {
  /** The number of this worker. */
  readonly worker: number;
  /** By worker; at its own number there is none. */
  readonly rings: readonly (
    | { readonly to: SharedArrayBuffer; readonly from: SharedArrayBuffer }
    | undefined
  )[];
  /** By worker: what wakes it (`signal`). */
  readonly wakes: readonly number[];
}

export type PacketLoopCommand =
  /** `resumed`: a worker that is gone had it, and its counters say how far it came. */
  | { readonly kind: 'install'; readonly sa: InstalledChildSa; readonly resumed?: boolean }
  | { readonly kind: 'remove'; readonly id: number }
  /** A peer was offered this SPI: its packets wait for the SA. */
  | { readonly kind: 'expect'; readonly spiIn: number }
  | { readonly kind: 'set-outbound'; readonly id: number; readonly outbound: OutboundUse }
  /** The SA goes on from and to other addresses. */
  | ({ readonly kind: 'move'; readonly id: number } & EspSaEnds)
  /** The peer was told, or told us, that so many are left out. */
  | {
      readonly kind: 'skip-numbers';
      readonly id: number;
      readonly direction: 'outbound' | 'inbound';
      readonly count: number;
    }
  /** A policy without an SA: a trap, a bypass or a discard. */
  | { readonly kind: 'install-policy'; readonly policy: EspPolicy }
  | { readonly kind: 'remove-policy'; readonly id: number }
  /** Another worker has an SA that sends. */
  | { readonly kind: 'hand-over'; readonly policy: ForeignPolicy }
  /** An ICMP error quoting a live SPI: the path to the SA's peer carries this many octets. */
  | {
      readonly kind: 'path-mtu';
      readonly spiOut: number;
      readonly remote: Endpoint;
      readonly mtu: number;
    }
  /** What the path of an SA was found to carry. */
  | ({ readonly kind: 'measured-mtu'; readonly id: number } & MeasuredMtu)
  | { readonly kind: 'cluster'; readonly command: ClusterCommand }
  /** The control thread took this many IKE datagrams off its queue. */
  | { readonly kind: 'ike-taken'; readonly count: number }
  /** Copies of packets are wanted from now on. */
  | { readonly kind: 'capture'; readonly settings: TapSettings }
  /** Those of this Child SA, too. */
  | { readonly kind: 'capture-follow'; readonly id: number }
  /** So much of the copies was taken off the queue. */
  | { readonly kind: 'capture-taken'; readonly credit: number }
  | { readonly kind: 'capture-end' }
  | { readonly kind: 'stop' };

export type PacketLoopReport =
  | { readonly kind: 'ready' }
  /** Installed; from now on its packets are accepted, inner ones up to `innerMtu` octets. */
  | { readonly kind: 'installed'; readonly id: number; readonly innerMtu: number }
  | { readonly kind: 'removed'; readonly id: number }
  /** What another worker's SA protects goes to that from now on. */
  | { readonly kind: 'handed-over'; readonly id: number }
  /** The SA has its new addresses, and what its path carries is assumed anew. */
  | { readonly kind: 'moved'; readonly id: number; readonly innerMtu: number }
  /** Whether the SA sends is as it was told; also said of one that is gone. */
  | { readonly kind: 'outbound-set'; readonly id: number }
  /** Packets of this SPI wait for their SA from now on. */
  | { readonly kind: 'expected'; readonly spiIn: number }
  /** The peer's first packet arrived: an SA that waited for it sends now. */
  | { readonly kind: 'outbound-activated'; readonly id: number }
  /** The newest packet of the peer has other outer addresses than the SA; at most ten a second. */
  | {
      readonly kind: 'peer-moved';
      readonly id: number;
      readonly local: Endpoint;
      readonly remote: Endpoint;
    }
  /** A packet came out of the SA that the SA is not for; `suppressed` others were not told of. */
  | {
      readonly kind: 'policy-mismatch';
      readonly id: number;
      readonly packet: PacketEnds;
      readonly suppressed: number;
    }
  | { readonly kind: 'cluster'; readonly report: ClusterReport }
  /** A packet waits at the trap of that policy for an SA that covers it. */
  | { readonly kind: 'acquire'; readonly policy: number; readonly flow: AcquiredFlow }
  /** Octets, packets or sequence numbers came to a limit; each once. `hard` ended a direction. */
  | { readonly kind: 'traffic-limit'; readonly id: number; readonly limit: 'soft' | 'hard' }
  /** IKE messages that arrived on 4500, non-ESP marker removed. */
  | {
      readonly kind: 'ike';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  | {
      readonly kind: 'path-mtu-changed';
      readonly id: number;
      readonly outerMtu: number;
      readonly innerMtu: number;
    }
  /** Copies of packets, while they are wanted. */
  | ({ readonly kind: 'captured' } & CapturedLot)
  /** No copies follow. `missed` packets were not copied since the last ones. */
  | { readonly kind: 'capture-ended'; readonly missed: number }
  | { readonly kind: 'stopped' };
