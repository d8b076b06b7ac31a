/**
 * A peer that speaks IKE and carries no data: pluto or iked over a stand-in for the kernel's
 * IPsec, so that it runs on any kernel. Its packages conflict with strongSwan's, so it is
 * unpacked, not installed, and runs in a mount namespace of its own.
 */
import { join, resolve } from 'node:path';
import { type Finished, run } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { connectionName } from './swanctl-conf.ts';
import {
  type GatewayNode,
  natAddress,
  outerAddress,
  protectedNet,
  type Topology,
} from './topology.ts';

export type IkePeerKind = 'libreswan' | 'openiked';

/** One connection in the peer's own words; what is left out is the same as the other gateway's. */
export interface IkePeerConnection {
  readonly name?: string;
  readonly secret?: string;
  readonly localTs?: string;
  readonly remoteTs?: string;
  /** The proposal for the IKE SA. */
  readonly ike?: string;
  /** The proposal for Child SAs. */
  readonly esp?: string;
  /** Further settings of the connection. */
  readonly further?: readonly string[];
}

/** An IKE SA as the peer lists it. */
export interface IkePeerSa {
  /** What the peer calls it. */
  readonly name: string;
  /** Both SPIs in hex, the initiator's first; only OpenIKED tells. */
  readonly spis: readonly [string, string] | undefined;
  readonly children: readonly IkePeerChildSa[];
}

export interface IkePeerChildSa {
  /** What the peer calls it. */
  readonly name: string;
  /** In hex, as its own side receives and sends. */
  readonly spiIn: string;
  readonly spiOut: string;
}

export interface IkePeer {
  readonly kind: IkePeerKind;
  readonly node: GatewayNode;
  readonly network: Network;
  /** The daemon's log so far. */
  log(): string;
  /** Starts the daemon and waits until it answers. */
  start(): Promise<void>;
  /** Ends it as an administrator would. */
  stop(): Promise<void>;
  /** Ends it without a word. */
  kill(): Promise<void>;
  /** Makes these the daemon's whole configuration. */
  load(connections: readonly IkePeerConnection[]): Promise<void>;
  /** Starts a negotiation; whether it ends well shows in the SAs. */
  initiate(connection?: string): Promise<void>;
  sas(): Promise<readonly IkePeerSa[]>;
  rekeyChildSa(child: IkePeerChildSa): Promise<void>;
  deleteIkeSas(): Promise<void>;
  deleteChildSa(child: IkePeerChildSa): Promise<void>;
}

export function firstChild({ children: [child] }: IkePeerSa): IkePeerChildSa {
  if (child === undefined) {
    throw new Error('the peer lists no Child SA');
  }
  return child;
}

/** Where `scripts/run.mjs` unpacks the packages. */
export function unpacked(kind: IkePeerKind): string {
  return resolve('build/peers', kind);
}

/** Addresses, networks and secret of a connection; identities are those of swanctl-conf.ts. */
export function described(topology: Topology, node: GatewayNode, settings: IkePeerConnection) {
  const other: GatewayNode = node === 'g1' ? 'g2' : 'g1';
  const behindNat = topology.nat && other === 'g1';
  return {
    name: settings.name ?? connectionName,
    local: outerAddress(topology, node, 'ipv4'),
    remote: behindNat ? natAddress : outerAddress(topology, other, 'ipv4'),
    localId: `${node}.lab`,
    remoteId: `${other}.lab`,
    localTs: settings.localTs ?? protectedNet(node, 'ipv4'),
    remoteTs: settings.remoteTs ?? protectedNet(other, 'ipv4'),
    secret: settings.secret ?? 'a secret only the lab knows',
  };
}

/** Compiles `lab/shim/NAME.c` to what LD_PRELOAD takes; answers its path. */
export async function compileShim(name: 'xfrm' | 'pfkey', directory: string): Promise<string> {
  const library = join(directory, `${name}.so`);
  await run(['cc', '-O1', '-shared', '-fPIC', '-o', library, join('lab/shim', `${name}.c`)]);
  return library;
}

/**
 * What stands before the daemon: its namespace, /run and whatever else `mounts` (shell commands)
 * puts in place, seen by nobody else, then the shim.
 */
export function behindShim(
  network: Network,
  node: GatewayNode,
  mounts: readonly string[],
  library: string,
): readonly string[] {
  const script = ['mount -t tmpfs tmpfs /run', ...mounts, 'LD_PRELOAD="$0" exec "$@"'].join(' && ');
  return [...network.at(node), 'sh', '-c', script, library];
}

/** The outcome of a control command that must have worked. */
export function must(what: string, { status, stdout, stderr }: Finished, log: string): string {
  if (status !== 0) {
    throw new Error(`${what}: ended with ${status}\n${stdout}${stderr}${readLog(log)}`);
  }
  return stdout;
}
