/**
 * What the vici server asks of the gateway, and the views it lists.
 *
 * Views are plain: names as strongSwan spells them, numbers in seconds or octets. The gateway
 * fills them; the commands only order and encode them.
 */

import type { Section } from '../config/section.ts';
import type { Event } from '../events/event.ts';
import type { CaptureHandle, CaptureSelection, CaptureSink } from './capture-view.ts';
import type { ClusterControl } from './cluster-view.ts';
import type { MtuOutcome, PathSelector } from './mtu-view.ts';
import type { TraceQuestion } from './trace-question.ts';
import type { TraceView } from './trace-view.ts';

export interface ChildSaView {
  readonly name: string;
  readonly uniqueId: number;
  readonly reqid: number;
  readonly state: string;
  readonly mode: 'TUNNEL' | 'TRANSPORT' | 'BEET';
  readonly udpEncapsulation: boolean;
  readonly spiIn: string;
  readonly spiOut: string;
  readonly encrAlg: string;
  readonly encrKeySize?: number;
  readonly integAlg?: string;
  readonly dhGroup?: string;
  readonly esn: boolean;
  readonly octetsIn: number;
  readonly packetsIn: number;
  /** Seconds since the last packet; unset = none yet. */
  readonly useInSeconds?: number;
  readonly octetsOut: number;
  readonly packetsOut: number;
  readonly useOutSeconds?: number;
  /** Packets that were dropped, by reason. */
  readonly droppedIn: Readonly<Record<string, number>>;
  readonly droppedOut: Readonly<Record<string, number>>;
  readonly rekeySeconds?: number;
  readonly lifeSeconds?: number;
  readonly installedSeconds: number;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
}

export interface IkeSaView {
  readonly connection: string;
  readonly uniqueId: number;
  readonly state: string;
  readonly localHost: string;
  readonly localPort: number;
  readonly localId: string;
  readonly remoteHost: string;
  readonly remotePort: number;
  readonly remoteId: string;
  readonly initiator: boolean;
  /** Sixteen hex digits. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly natLocal: boolean;
  readonly natRemote: boolean;
  readonly natFake: boolean;
  readonly encrAlg?: string;
  readonly encrKeySize?: number;
  readonly integAlg?: string;
  readonly prfAlg?: string;
  readonly dhGroup?: string;
  readonly establishedSeconds?: number;
  readonly rekeySeconds?: number;
  readonly reauthSeconds?: number;
  /** Virtual addresses the peer gave us, and those we gave the peer. */
  readonly localVips: readonly string[];
  readonly remoteVips: readonly string[];
  readonly tasksQueued: readonly string[];
  readonly tasksActive: readonly string[];
  readonly tasksPassive: readonly string[];
  readonly children: readonly ChildSaView[];
}

/** One trap policy or shunt (mode PASS or DROP); strongSwan lists no policies of installed SAs. */
export interface PolicyView {
  readonly child: string;
  readonly ike: string;
  readonly mode: string;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
}

/** A pool of virtual addresses. */
export interface PoolView {
  readonly name: string;
  /** The first address. */
  readonly base: string;
  /** Addresses there are, leased or not. */
  readonly size: number;
  readonly online: number;
  readonly offline: number;
  readonly leases: readonly LeaseView[];
}

export interface LeaseView {
  readonly address: string;
  readonly identity: string;
  /** Offline: kept for this identity until another needs it. */
  readonly status: 'online' | 'offline';
}

/** Why something with a peer failed, in plain words: one row of `tsgw why`. */
export interface FailureView {
  readonly secondsAgo: number;
  /** How often it happened alike, one after the other. */
  readonly count: number;
  /** vici's name of it: `proposal-mismatch-ike`. */
  readonly alert: string;
  /** The peer's address. */
  readonly peer: string;
  readonly identity?: string;
  readonly connection?: string;
  readonly child?: string;
  /** What happened, and what that means. */
  readonly what: string;
  readonly why: string;
  /** What would mend it at this end, at the peer's, either of which is enough. */
  readonly here: readonly string[];
  readonly there: readonly string[];
  readonly transforms: readonly {
    readonly type: string;
    readonly offered: readonly string[];
    readonly accepted: readonly string[];
  }[];
}

export interface AuthView {
  readonly class: string;
  readonly id?: string;
}

export interface ChildPolicyView {
  readonly name: string;
  readonly mode: string;
  readonly rekeySeconds: number;
  readonly rekeyOctets: number;
  readonly rekeyPackets: number;
  /** `none` for clear, `start` for restart: so strongSwan 5.9.8 lists them. */
  readonly dpdAction: string;
  readonly closeAction: string;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
}

export interface ConnectionView {
  readonly name: string;
  readonly localAddrs: readonly string[];
  readonly remoteAddrs: readonly string[];
  readonly version: string;
  readonly reauthSeconds: number;
  readonly rekeySeconds: number;
  readonly unique: string;
  readonly dpdDelaySeconds: number;
  readonly local: AuthView;
  readonly remote: AuthView;
  readonly children: readonly ChildPolicyView[];
}

/** One row of `tsgw sad`: an SA of one direction with its window and drops. */
export interface SadView {
  readonly direction: 'in' | 'out';
  readonly spi: string;
  readonly local: string;
  readonly remote: string;
  readonly child: string;
  readonly ike: string;
  readonly encapsulation: 'udp' | 'none';
  readonly encr: string;
  readonly integ?: string;
  readonly esn: boolean;
  readonly sequence: number;
  readonly replayWindow: number;
  readonly packets: number;
  readonly octets: number;
  readonly drops: number;
  readonly replays: number;
  readonly badIcvs: number;
  readonly mtu: number;
}

/** One row of `tsgw spd`, in the order of look-up. */
export interface SpdView {
  readonly direction: 'in' | 'out';
  readonly action: 'protect' | 'bypass' | 'discard' | 'trap';
  readonly local: string;
  readonly remote: string;
  readonly child: string;
  readonly ike: string;
  readonly spi: string;
}

export interface StatsView {
  readonly version: string;
  readonly sysname: string;
  readonly release: string;
  readonly machine: string;
  readonly uptimeSeconds: number;
  readonly since: string;
  readonly ikeSas: number;
  readonly halfOpen: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerView[];
  /** Version by name of the libraries that cipher packets. */
  readonly backEnds: Readonly<Record<string, string>>;
  /** Which of them does by cipher; `others` are all that are not named. */
  readonly ciphers: Readonly<Record<string, string>>;
  /** Of which protocols super-packets come and go: `tcp`, `tcp,udp`, or `off`. */
  readonly offload: string;
}

/** One thread that moves packets. */
export interface WorkerView {
  /** Child SAs it has. */
  readonly childSas: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** Packets of other workers' SAs that it gave them, and packets they gave it. */
  readonly handedOver: number;
  readonly takenOver: number;
}

/** What would become of a packet, with the SAs that carry it. */
export interface TraceResult {
  readonly trace: TraceView;
  readonly childSa?: ChildSaView;
  readonly ikeSa?: IkeSaView;
}

export type ControlOutcome =
  | { readonly kind: 'done'; readonly matches: number; readonly terminated: number }
  | {
      readonly kind: 'refused' | 'authentication-failed' | 'timeout' | 'failed';
      readonly what: string;
    };

/** SAs by connection, child or number; unset = any. */
export interface SaSelection {
  readonly ike?: string;
  readonly ikeId?: number;
  readonly child?: string;
  readonly childId?: number;
}

export interface TerminateSelector extends SaSelection {
  readonly force: boolean;
}

/** Without a child that is named, IKE SAs; `reauthenticate` makes them anew from the start. */
export interface RekeySelector extends SaSelection {
  readonly reauthenticate: boolean;
}

export interface RedirectSelector {
  readonly ike?: string;
  readonly ikeId?: number;
  /** An address, a prefix or a range; an identity, possibly with wildcards. */
  readonly peerAddress?: string;
  readonly peerId?: string;
  /** Where to: an address or a name. */
  readonly gateway: string;
}

export type PolicyOutcome = 'done' | 'not-found' | { readonly failed: string };

/** Implemented by the gateway. Methods that refuse an operator's input throw `ConfigError`. */
export interface Control {
  /** What changed takes effect; SAs that are up keep what they were made under. */
  loadConnection(name: string, settings: Section): void;
  /** What is up stays up. */
  unloadConnection(name: string): boolean;
  connections(ike?: string): readonly ConnectionView[];
  /** `owners` are identities as written in swanctl.conf; empty = any peer. */
  loadShared(id: string, type: string, secret: Uint8Array, owners: readonly string[]): void;
  unloadShared(id: string): boolean;
  sharedIds(): readonly string[];
  clearCredentials(): void;
  /** Resolves when the SA is up or failed; `signal` aborts the wait, not the exchange. */
  initiate(child: string | undefined, ike: string | undefined): Promise<ControlOutcome>;
  terminate(selector: TerminateSelector): Promise<ControlOutcome>;
  rekey(selector: RekeySelector): Promise<ControlOutcome>;
  /** How many IKE SAs a redirect would go to, or what is wrong with the selector. */
  redirectable(selector: RedirectSelector): number | string;
  redirect(selector: RedirectSelector): Promise<ControlOutcome>;
  /** Traps and shunts of a child, `ike` naming its connection where several have it. */
  install(child: string, ike: string | undefined): PolicyOutcome;
  uninstall(child: string, ike: string | undefined): PolicyOutcome;
  loadPool(name: string, settings: Section): void;
  /** False where there is none of the name; throws `ConfigError` where it is in use. */
  unloadPool(name: string): boolean;
  pools(): readonly PoolView[];
  /** Reads the daemon's own settings again; answers those that wait for a restart. */
  reloadSettings(): readonly string[];
  /** The last failures with a peer, by address, identity or connection; all without a name. */
  failures(peer: string | undefined): readonly FailureView[];
  ikeSas(): readonly IkeSaView[];
  policies(): readonly PolicyView[];
  sad(): readonly SadView[];
  spd(): readonly SpdView[];
  /** Measures the path to a peer, and has what is clamped follow. */
  measureMtu(selector: PathSelector): Promise<MtuOutcome>;
  /** What would become of a packet now. */
  trace(question: TraceQuestion): TraceResult;
  /** Gives copies of packets to `sink` until it is stopped, or answers why not. */
  capture(selection: CaptureSelection, sink: CaptureSink): CaptureHandle | string;
  /** Undefined where this daemon is no node of a cluster. */
  cluster(): ClusterControl | undefined;
  stats(): StatsView;
  /**
   * Counts by strongSwan's names. Without a connection: the daemon's totals under the empty name
   * and each connection that has counts; with one: that alone, nothing where it has none.
   */
  counters(connection?: string): Readonly<Record<string, Readonly<Record<string, number>>>>;
  resetCounters(connection?: string): void;
  algorithms(): Readonly<Record<string, readonly string[]>>;
  /** Every event from now on; answers how to stop. */
  subscribe(listener: (event: Event) => void): () => void;
}
