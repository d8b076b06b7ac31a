/**
 * A gateway at g1 or g2, whoever made it: charon or tsgw, driven by the same swanctl.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Network } from './namespaces.ts';
import type { Swanctl } from './swanctl.ts';
import type { GatewayNode } from './topology.ts';

export type GatewayKind = 'tsgw' | 'strongswan';

/** Settings of the daemon that are not a connection's; each kind writes them in its own file. */
export interface DaemonSettings {
  /** Half-open IKE SAs from which on cookies are asked for. */
  readonly cookieThreshold?: number;
  readonly retransmitTimeoutSeconds?: number;
  readonly retransmitTries?: number;
  readonly retransmitBase?: number;
  readonly keepAliveSeconds?: number;
  /** Octets of an IP packet that a fragment of an IKE message fills at most. */
  readonly fragmentSize?: number;
  /** Seconds for which a replaced Child SA still receives. */
  readonly deleteRekeyedDelaySeconds?: number;
  /** strongSwan's: reauthenticates before it takes down; tsgw always does. */
  readonly makeBeforeBreak?: boolean;
  /** Further `key = value` of tsgw's section `gateway { }`; charon does not see them. */
  readonly own?: Readonly<Record<string, string>>;
}

export interface Gateway {
  readonly kind: GatewayKind;
  readonly node: GatewayNode;
  readonly network: Network;
  readonly swanctl: Swanctl;
  /** The daemon's log so far. */
  log(): string;
  /** The running process. */
  process(): ChildProcess;
  /** Starts the daemon and waits until it answers on vici. */
  start(settings?: DaemonSettings): Promise<void>;
  /** Ends it as an administrator would; it says goodbye to its peers. */
  stop(): Promise<void>;
  /** Ends it without a word. */
  kill(): Promise<void>;
}

/** Reads a log that may not be there yet. */
export function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
