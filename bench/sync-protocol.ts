/**
 * What the bench of cluster synchronisation and its node processes say to one another.
 */

/** What a node is told to do; each is answered by one `SyncAnswer`. */
export type SyncOrder =
  /** So many clients establish an IKE SA each. */
  | { readonly kind: 'establish'; readonly count: number }
  /** Requests of clients: at a rate, or as many at a time as `outstanding`. */
  | { readonly kind: 'update'; readonly seconds: number; readonly perSecond: number }
  | { readonly kind: 'saturate'; readonly seconds: number; readonly outstanding: number }
  | { readonly kind: 'state' };

export interface Updates {
  /** Requests that were handed to the engine, and those answered. */
  readonly asked: number;
  readonly answered: number;
  readonly seconds: number;
  /** Milliseconds of CPU time, of all threads. */
  readonly cpuMilliseconds: number;
  /** From the turn of the engine to the message, in milliseconds, for each message. */
  readonly milliseconds: readonly number[];
  /** Messages that left because they had waited long enough. */
  readonly late: number;
}

export interface SyncState {
  readonly synced: boolean;
  /** Nodes it hears. */
  readonly others: number;
  readonly owned: number;
  readonly active: number;
  readonly passive: number;
  /** Since the process began. */
  readonly cpuMilliseconds: number;
  /** From its start to `synced`; 0 = not yet. */
  readonly syncedAfterMilliseconds: number;
  readonly syncCpuMilliseconds: number;
  /** From its start until the last IKE SA of others came. */
  readonly heldAfterMilliseconds: number;
  /** Octets of the snapshot of one IKE SA. */
  readonly snapshotOctets: number;
  /** How long the process stood still at most, whatever the reason. */
  readonly longestPauseMilliseconds: number;
  readonly counters: Readonly<Record<string, number>>;
}
