/**
 * A cluster that faults are made in, whoever made it: one client, one host behind the gateway, two nodes
 * or more that are one gateway to both. What is measured is in `bench/failover.ts`.
 */
import type { Network } from './namespaces.ts';

/**
 * What happens to the node that serves the client, or to what it needs; `none` is what the machine does
 * by itself, `rejoin` the return of a node that had died before anything was measured.
 */
export const FAULTS = [
  'none',
  'crash',
  'stop',
  'wan-down',
  'lan-down',
  'move',
  'sync-cut',
  'rejoin',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface FailoverCluster {
  readonly title: string;
  /** With the namespaces `client` and `host`, each with a device: `wan` and `lan`. */
  readonly network: Network;
  /** Addresses of the tunnel's ends, outside. */
  readonly outer: { readonly client: string; readonly gateway: string };
  /** Addresses that the client and the host talk to each other by. */
  readonly inner: { readonly client: string; readonly host: string };
  /** Makes ready what must have happened before traffic begins. */
  prepare(fault: Fault): Promise<void>;
  /** Makes it happen, and heals what heals; answers when the cluster has done all it does about it. */
  happen(fault: Fault): Promise<void>;
  /** How often the client saw an SA replaced. */
  rekeyed(): Promise<number>;
  /** The client is answered when it asks for something of its IKE SA. */
  answers(): Promise<boolean>;
  /**
   * Undoes the fault, and answers when all is as it was in the beginning; without it, a cluster that saw
   * a fault is of no further use.
   */
  recover?(): Promise<void>;
  destroy(): void | Promise<void>;
}
