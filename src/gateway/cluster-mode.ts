/**
 * What the gateway asks of a cluster it is a node of, whichever protocol its nodes speak: turns of the IKE
 * engine go through it, and so do Child SAs, for others follow both.
 */
import type { SendLease } from '../events/send-lease.ts';
import type { Input } from '../ike/action.ts';
import type { IkeEndpoint } from '../ike/endpoint.ts';
import type { IkeEnvironment } from '../ike/turn.ts';
import type { ClusterReport } from '../io/cluster-protocol.ts';
import type { LeasePools, ManagedPools } from '../ipsec/address-pools.ts';
import type { ClusterControl } from '../vici/cluster-view.ts';
import type { IpAddress } from '../wire/address.ts';
import type { ClusteredChildSas } from './cluster/clustered-child-sas.ts';

export interface ClusterMode {
  /** What the IKE engine of a node has besides. */
  readonly environment: Pick<
    IkeEnvironment,
    'ivs' | 'replicated' | 'spis' | 'epochOf' | 'sequences' | 'heardSequences' | 'keyingWatch'
  >;
  /** Where clients get addresses from; undefined = from pools of this node alone. */
  readonly pools: (LeasePools & ManagedPools) | undefined;
  /** How long this node may send; undefined where nothing bounds it. */
  readonly lease: SendLease | undefined;
  /** This node has segments. */
  readonly serves: boolean;
  /** One of the nodes begins a connection by itself: whether it is this one. */
  begins(connection: string): boolean;
  /** Of the addresses that peers reach the cluster by, those of every node alike; none = each has its own. */
  readonly sharedAddresses: readonly IpAddress[];
  readonly childSas: Pick<
    ClusteredChildSas,
    'install' | 'follow' | 'activate' | 'deactivate' | 'forget'
  >;
  /** Whose IKE SAs these are; before anything is handled. */
  join(engine: IkeEndpoint): void;
  /** Connections are loaded. Rejects where the nodes cannot be reached at all. */
  start(): Promise<void>;
  /** A turn of the IKE engine. Messages of IKE SAs that other nodes have are not this node's to handle. */
  handle(input: Input): void;
  hear(report: ClusterReport): void;
  /** What operators order and look at; undefined where there is nothing for them. */
  readonly operations?: ClusterControl | undefined;
  /** Connections came, or changed. */
  configured(): void;
  /** Hands everything to the others and says goodbye; answers whether there are any. */
  leave(): Promise<boolean>;
  close(): void;
}
