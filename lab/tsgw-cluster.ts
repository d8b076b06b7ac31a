/**
 * Two or three tsgw that are one gateway, each a process of its own, and a strongSwan client.
 *
 * Nothing helps them: which node serves is theirs to find out. Only in the mode `forward`, where nobody
 * moves an address, the router and the host send to a node that the lab names, as routers do that share
 * their load among next hops.
 */

import { type NodeDifference, nodeConf, type TsgwClusterSettings } from './cluster-conf.ts';
import {
  buildClusterNetwork,
  type ClusterNodeName,
  clusterAddresses,
  clusterNodeNames,
  routeClientsTo,
  routeHostsTo,
} from './cluster-network.ts';
import { until } from './command.ts';
import type { Network } from './namespaces.ts';
import { Roadwarrior } from './roadwarrior.ts';
import type { Family } from './topology.ts';
import { TsgwProcess, tsgw } from './tsgw-process.ts';

/** A node as the lab sees it. */
export type SaState = 'ESTABLISHED' | 'PASSIVE' | 'none';

/** Between questions who has the client: each is a process. */
const LOOK_EVERY_MS = 30;

export class TsgwCluster {
  readonly network: Network;
  readonly settings: TsgwClusterSettings;
  readonly names: readonly ClusterNodeName[];
  readonly client: Roadwarrior;
  readonly #nodes: ReadonlyMap<ClusterNodeName, TsgwProcess>;
  readonly #differences = new Map<ClusterNodeName, NodeDifference>();

  private constructor(network: Network, settings: TsgwClusterSettings) {
    this.network = network;
    this.settings = settings;
    this.names = clusterNodeNames.slice(0, settings.nodes ?? 2);
    this.client = new Roadwarrior(network);
    this.#nodes = new Map(this.names.map((name) => [name, new TsgwProcess(network, name)]));
  }

  /** The network, and nothing that runs in it yet. */
  static async build(settings: TsgwClusterSettings = {}): Promise<TsgwCluster> {
    const names = clusterNodeNames.slice(0, settings.nodes ?? 2);
    return new TsgwCluster(await buildClusterNetwork(names), settings);
  }

  get family(): Family {
    return this.settings.family ?? 'ipv4';
  }

  /** Addresses of the tunnel's ends, outside. */
  get outer(): { readonly client: string; readonly gateway: string } {
    const { client, gateway } = clusterAddresses;
    return { client: client[this.family], gateway: gateway[this.family] };
  }

  node(name: ClusterNodeName): TsgwProcess {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`a cluster of ${this.names} has no node ${name}`);
    return node;
  }

  /** Starts all nodes and the client. */
  async start(): Promise<void> {
    await Promise.all([
      ...this.names.map((name) => this.startNode(name)),
      this.client.start({
        ...{ local: this.outer.client, gateway: this.outer.gateway },
        ...{ remoteTs: clusterAddresses.lanNet, mobike: this.settings.mobike === true },
        ...(this.settings.espProposals && { espProposals: this.settings.espProposals }),
        ...(this.settings.ikeProposals && { ikeProposals: this.settings.ikeProposals }),
      }),
    ]);
    if (this.settings.mode === 'forward') await this.sendTo('a');
  }

  /** With the same differences as when it was started last. */
  async startNode(name: ClusterNodeName, difference?: NodeDifference): Promise<void> {
    if (difference !== undefined) this.#differences.set(name, difference);
    const node = this.node(name);
    const text = nodeConf(name, this.names, this.settings, this.#differences.get(name));
    // A machine of its own, as far as files go: what a node remembers lies under /var/lib and /run.
    const program = ['sh', '-c', OWN_DIRECTORIES, node.directory, tsgw, 'run'];
    await node.start(text, program);
  }

  /** Has packets from both sides come to this node, where no address moves (`forward`). */
  async sendTo(name: ClusterNodeName): Promise<void> {
    await routeClientsTo(this.network, name, this.family);
    await routeHostsTo(this.network, name);
  }

  /** Connects as soon as the cluster answers; answers the client's inner address. */
  async connect(): Promise<string> {
    let why: unknown;
    try {
      const attempt = () =>
        this.client.connect().catch(async (error: unknown) => {
          why ??= error;
          // One without a Child SA would be asked for that alone, and not for an address.
          await this.client.disconnect();
          return undefined;
        });
      return await until('the client to connect', attempt, 20_000, 500);
    } catch (error) {
      throw new Error(`the client is not connected: ${why ?? error}`, { cause: error });
    }
  }

  /** What the node knows of the client. */
  async state(name: ClusterNodeName): Promise<SaState> {
    const node = this.node(name);
    if (!node.runs) return 'none';
    const sas = await node.swanctl.sas();
    const states = sas.map(({ state }) => state);
    if (states.includes('ESTABLISHED')) return 'ESTABLISHED';
    return states.includes('PASSIVE') ? 'PASSIVE' : 'none';
  }

  /** The node that serves the client, and no other does; waits for it. `among`: who it may be. */
  async owner(
    among: readonly ClusterNodeName[] = this.names,
    patience = 15_000,
  ): Promise<ClusterNodeName> {
    let states: readonly SaState[] = [];
    const find = async (): Promise<ClusterNodeName | undefined> => {
      states = await Promise.all(among.map((name) => this.state(name)));
      const serving = among.filter((_, index) => states[index] === 'ESTABLISHED');
      return serving.length === 1 ? serving[0] : undefined;
    };
    try {
      return await until('an owner', find, patience, LOOK_EVERY_MS);
    } catch (error) {
      const told = among.map((name, index) => `${name} ${states[index]}`).join(', ');
      throw new Error(`not one node serves the client after ${patience} ms: ${told}`, {
        cause: error,
      });
    }
  }

  /** Waits until the node has the client's SAs as somebody else's. */
  async standsBy(name: ClusterNodeName, patience = 15_000): Promise<void> {
    const known = async () => (await this.state(name)) === 'PASSIVE' || undefined;
    await until(`${name} to stand by`, known, patience, LOOK_EVERY_MS);
  }

  /** The nodes but one. */
  others(name: ClusterNodeName): readonly ClusterNodeName[] {
    return this.names.filter((each) => each !== name);
  }

  /** Orders a node what an administrator orders it: `tsgw cluster ...`. */
  async order(name: ClusterNodeName, words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.node(name).cli(['cluster', ...words]);
    if (status !== 0) throw new Error(`tsgw cluster ${words.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  /** What the nodes said last, for a test that failed. */
  said(lines = 30): string {
    return this.names
      .map((name) => `--- ${name}\n${this.node(name).log().split('\n').slice(-lines).join('\n')}`)
      .join('\n');
  }

  async destroy(): Promise<void> {
    await Promise.all(this.names.map((name) => this.node(name).kill()));
    this.network.destroy();
  }
}

/**
 * Each process of `ip netns exec` has mounts of its own. A node that waits for the processor is silent and
 * loses its segments, hence it comes before what else the machine does: `CPUSchedulingPolicy=rr` in its unit.
 */
const OWN_DIRECTORIES =
  'mkdir -p "$0/lib" && mount --bind "$0/lib" /var/lib && mount -t tmpfs tmpfs /run && exec chrt --rr 1 "$@"';
