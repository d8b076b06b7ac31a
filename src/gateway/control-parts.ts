/**
 * What the gateway lends to its control: the rooms behind vici's commands, as doors.
 */
import type { ConfigWarning } from '../config/findings.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { Outcome, SaSelector } from '../ike/action.ts';
import type { IkeEndpoint } from '../ike/endpoint.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { ChildPolicy, Connection } from '../ipsec/connection.ts';
import type { Pad } from '../ipsec/pad.ts';
import type { PolicyList } from '../ipsec/policy-list.ts';
import type { CaptureHandle, CaptureSelection, CaptureSink } from '../vici/capture-view.ts';
import type { ClusterControl } from '../vici/cluster-view.ts';
import type { PolicyView, StatsView } from '../vici/control.ts';
import type { MtuDoctorParts } from './mtu-doctor.ts';
import type { PoolPort } from './pool-port.ts';
import type { RedirectOrder } from './redirect-order.ts';
import type { ViewContext } from './sa-views.ts';
import type { TraceSources } from './trace-parts.ts';

/** What the gateway lends to its control. */
export interface GatewayParts {
  readonly pad: Pad;
  readonly engine: IkeEndpoint;
  /** By worker of the packet path. */
  readonly counters: readonly SharedCounters[];
  readonly spd: PolicyList;
  /** Version, machine and start of the daemon. */
  readonly identity: Pick<StatsView, 'version' | 'sysname' | 'release' | 'machine' | 'since'>;
  uptimeSeconds(): number;
  /** What ciphers packets, and how they come and go. */
  dataPlane(): Pick<StatsView, 'backEnds' | 'ciphers' | 'offload'>;
  /** What the sockets of the control thread discarded, by reason. */
  socketDrops(): Readonly<Record<string, number>>;
  view(): ViewContext;
  childSas(): readonly ChildSa[];
  readonly trace: TraceSources;
  readonly paths: Pick<MtuDoctorParts, 'measure' | 'measured' | 'childSa'>;
  /** Where this gateway is a node of a cluster. */
  cluster(): ClusterControl | undefined;
  capture(selection: CaptureSelection, sink: CaptureSink): CaptureHandle | string;
  /** Tells the PAD where the connection's names are, as soon as that is known. */
  resolveNames(connection: Connection): void;
  /** Traps and shunts. */
  readonly policies: PolicyPort;
  readonly pools: Pick<PoolPort, 'load' | 'unload' | 'views'>;
  /** Without a child: the IKE SA alone. */
  /** Of several nodes of a cluster, this one begins it by itself. */
  begins(connection: string): boolean;
  initiate(connection: string, child: string | undefined): Promise<Outcome>;
  terminate(selector: SaSelector, force: boolean): Promise<Outcome>;
  rekey(selector: SaSelector, reauthenticate: boolean): Promise<Outcome>;
  redirect(order: RedirectOrder): Promise<Outcome>;
  /** Reads the daemon's settings again; answers those that wait for a restart. */
  reloadSettings(): readonly string[];
  warn(warnings: readonly ConfigWarning[]): void;
}

/** Policies that stand without an SA. */
export interface PolicyPort {
  views(): readonly PolicyView[];
  /** Throws an `Error` that says why it cannot be installed. */
  install(connection: Connection, child: ChildPolicy): void;
  /** False where none is installed. */
  uninstall(connection: string, child: string): boolean;
  /** Whose a policy of the SPD is that is no Child SA's. */
  owner(id: number): { readonly ike: string; readonly child: string } | undefined;
}
