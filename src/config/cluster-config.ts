/**
 * What the section `cluster { }` says: several nodes that are one gateway to their clients. Plain data,
 * frozen; the same file may lie on every node but for `self`.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { Endpoint, IpAddress, Prefix } from '../wire/address.ts';

/** How nodes share state: our own protocol, a NATS cluster, or strongSwan's with one charon. */
export type ClusterBus = 'udp' | 'nats' | 'charon-ha';

/**
 * How packets find the node that serves them: every node receives all and takes its own
 * (`active-active`), one node has an address (`active-passive`), or any node receives and hands over.
 */
export type ClusterMode = 'active-active' | 'active-passive' | 'forward';

export interface ClusterConfig {
  /** Clusters of other names are strangers. */
  readonly name: string;
  readonly bus: ClusterBus;
  readonly mode: ClusterMode;
  /** Number of this node; 0 with `charon-ha`, which has no numbers. */
  readonly self: number;
  readonly nodes: readonly ClusterNode[];
  /** The key of the cluster, and one more while it is replaced; 32 octets each. */
  readonly secrets: readonly SecretBytes[];
  /** UDP port between nodes. */
  readonly port: number;
  /** A power of two. */
  readonly segments: number;
  readonly segmentSeed: number;
  readonly addresses: readonly ClusterAddress[];
  readonly timers: ClusterTimers;
  readonly replay: ClusterReplay;
  readonly sync: ClusterSync;
  /** What one of two nodes without a witness does while it hears nothing of the other. */
  readonly alone: 'take' | 'hold';
  /** A node that is better placed than the owner of a segment is given it. */
  readonly preempt: boolean;
  /** Seconds, as CARP has it; the lowest of this plus the node's skew wins. */
  readonly advbase: number;
  /** An IKE_AUTH response leaves only when another node has the SA. */
  readonly defer: boolean;
  /** Addresses stay at the node when its daemon ends. */
  readonly keepAddresses: boolean;
  /** Where commands `+n`, `-n`, `*n` are read; unset = nowhere. */
  readonly fifo?: string;
  /** The file of what the node must remember over its lives. */
  readonly state: string;
  readonly nats?: NatsSettings;
  readonly ha?: HaSettings;
}

export interface ClusterNode {
  readonly name: string;
  /** 1 to 64, the same on every node. */
  readonly id: number;
  /** One address for each path between the nodes. */
  readonly addresses: readonly IpAddress[];
  /** Its share of segments; 0 for a witness, which votes and serves nobody. */
  readonly weight: number;
  /** As CARP has it: 0 to 254, the lowest wins. */
  readonly advskew: number;
}

/** An address that clients, or hosts behind the gateway, know the cluster by. */
export interface ClusterAddress {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
  /** The device it is on, at every node. */
  readonly device: string;
  /** Towards clients, or towards the protected networks. */
  readonly side: 'wan' | 'lan';
  /** Hardware address that all nodes answer with; unset = made of the address. */
  readonly mac?: string;
  /** Number of the node that has it while that one is well (`active-passive`). */
  readonly preferred?: number;
}

/** In milliseconds. */
export interface ClusterTimers {
  readonly heartbeat: number;
  /** How long contact with a majority lets a node transmit. */
  readonly lease: number;
  /** Silence after which another node takes over. */
  readonly takeover: number;
  /** Between digests of replay edges. */
  readonly digest: number;
  /** How long an answer waits until another node has it. */
  readonly writeAhead: number;
}

export interface ClusterReplay {
  /** What may be delivered twice after a take-over: a bounded number of packets, or none. */
  readonly takeover: 'bounded' | 'strict';
  /** Every so many-th packet of other nodes' SAs is looked at; 0 = by their rate. */
  readonly sampling: number;
}

export interface ClusterSync {
  /** Child SAs replaced in a second, at most, after a take-over that asks for it. */
  readonly rekeysPerSecond: number;
}

export interface NatsSettings {
  readonly servers: readonly string[];
  readonly bucket: string;
  readonly replicas: number;
  readonly user?: string;
  readonly password?: SecretBytes;
  /** Files: credentials, and certificates for TLS. */
  readonly credentials?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** The section `ha { }` of charon's plugin, with the names it has there. */
export interface HaSettings {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Of the protocol: 3 up to strongSwan 6.0.0, 4 of 6.0.1, 5 since. */
  readonly version: 3 | 4 | 5;
  readonly segmentCount: number;
  readonly heartbeatDelay: number;
  readonly heartbeatTimeout: number;
  /** Seconds; 0 = never. */
  readonly autobalance: number;
  readonly fifoInterface: boolean;
  readonly monitor: boolean;
  readonly resync: boolean;
  readonly pools: readonly { readonly name: string; readonly prefix: Prefix }[];
}

/** Clocks may be wrong by this share of the time they measure. */
export const CLOCK_DRIFT = 0.1;

/** How long a take-over must wait at least: until a lease has ended on the slowest clock. */
export function leastTakeover(lease: number): number {
  return Math.floor((lease * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT)) + 1;
}

/** The longest lease that ends before a take-over. */
export function longestLease(takeover: number): number {
  return Math.ceil((takeover * (1 - CLOCK_DRIFT)) / (1 + CLOCK_DRIFT)) - 1;
}

export const DEFAULT_CLUSTER_TIMERS: ClusterTimers = Object.freeze({
  heartbeat: 100,
  lease: 245,
  takeover: 300,
  digest: 100,
  writeAhead: 5,
});
