/**
 * A cluster of tsgw under faults. Nobody helps it: no manager moves addresses, no script watches.
 */
import type { TsgwClusterSettings } from './cluster-conf.ts';
import { type ClusterNodeName, clusterAddresses, SYNC_DEVICES } from './cluster-network.ts';
import { sleep, until } from './command.ts';
import type { FailoverCluster, Fault } from './failover-cluster.ts';
import type { Network } from './namespaces.ts';
import { TsgwCluster } from './tsgw-cluster.ts';

const STOPPED_MS = 10_000;
const CUT_MS = 5_000;

export class TsgwFailover implements FailoverCluster {
  readonly title: string;
  readonly outer: { readonly client: string; readonly gateway: string };
  readonly inner: { readonly client: string; readonly host: string };
  readonly cluster: TsgwCluster;
  /** The node that a fault is made at. */
  #struck: ClusterNodeName = 'a';

  private constructor(cluster: TsgwCluster, client: string) {
    const { mode = 'active-passive', replay = 'bounded' } = cluster.settings;
    this.title = `tsgw ${mode}${replay === 'strict' ? ' strict' : ''}`;
    this.outer = cluster.outer;
    this.inner = { client, host: clusterAddresses.host };
    this.cluster = cluster;
  }

  /** Connected, with the client's SAs at every node. */
  static async start(settings: TsgwClusterSettings = {}): Promise<TsgwFailover> {
    const cluster = await TsgwCluster.build(settings);
    try {
      await cluster.start();
      const failover = new TsgwFailover(cluster, await cluster.connect());
      await failover.#calm();
      return failover;
    } catch (error) {
      const said = cluster.said();
      await cluster.destroy();
      throw new Error(`${error instanceof Error ? error.message : error}\n${said}`);
    }
  }

  get network(): Network {
    return this.cluster.network;
  }

  /** Who serves the client, and who did when a fault was made. */
  get struck(): ClusterNodeName {
    return this.#struck;
  }

  async prepare(fault: Fault): Promise<void> {
    const { cluster } = this;
    this.#struck = await cluster.owner();
    const [other] = cluster.others(this.#struck);
    // Not to the node that is struck: how soon a router knows of that is the router's affair.
    if (cluster.settings.mode === 'forward' && other) await cluster.sendTo(other);
    if (fault !== 'rejoin') return;
    await cluster.node(this.#struck).kill();
    await cluster.owner(cluster.others(this.#struck));
    await sleep(2000);
  }

  async happen(fault: Fault): Promise<void> {
    const { cluster } = this;
    const struck = this.#struck;
    const others = cluster.others(struck);
    switch (fault) {
      case 'none':
        return;
      case 'crash':
        await cluster.node(struck).kill();
        await cluster.owner(others);
        return;
      case 'stop':
        return this.stopFor(STOPPED_MS);
      case 'wan-down':
      case 'lan-down':
        await this.#unplug(struck, fault === 'wan-down' ? 'wan' : 'lan');
        await cluster.owner(others);
        return;
      case 'move':
        await cluster.order(struck, ['drain']);
        await cluster.owner(others);
        return;
      case 'sync-cut':
        return this.cutFor(CUT_MS);
      case 'rejoin':
        await cluster.startNode(struck);
        await this.#calm();
        return;
      default:
        fault satisfies never;
    }
  }

  /** SIGSTOP, and SIGCONT when others serve and the time is over. */
  async stopFor(milliseconds: number): Promise<void> {
    const { cluster } = this;
    const node = cluster.node(this.#struck).process();
    node.kill('SIGSTOP');
    try {
      const over = sleep(milliseconds);
      await cluster.owner(cluster.others(this.#struck));
      await over;
    } finally {
      node.kill('SIGCONT');
    }
  }

  /** The node hears nothing of the others for a while, nor they of it; no link goes down. */
  async cutFor(milliseconds: number): Promise<void> {
    await this.cutPaths(SYNC_DEVICES);
    await sleep(milliseconds);
    await this.#mendPaths(this.#struck);
    await this.#calm();
  }

  /** The switches lose what comes from the node by these paths and what is for it. */
  async cutPaths(paths: readonly (typeof SYNC_DEVICES)[number][]): Promise<void> {
    const lines = paths.map((path) => `link set ${path}-${this.#struck} nomaster`);
    await this.network.ip('switch', lines);
  }

  /** Undoes what was made to happen, and waits until all is as it was in the beginning. */
  async recover(): Promise<void> {
    const { cluster } = this;
    for (const name of cluster.names) {
      await this.network.ip('switch', [`link set wan-${name} up`, `link set lan-${name} up`]);
      await this.#mendPaths(name);
      if (!cluster.node(name).runs) await cluster.startNode(name);
      else await cluster.node(name).cli(['cluster', 'undrain']);
    }
    await this.#calm();
  }

  rekeyed(): Promise<number> {
    return this.cluster.client.rekeyed();
  }

  /** Of the client's IKE SA; empty when it has not one. */
  ikeSpis(): Promise<string> {
    return this.cluster.client.ikeSpis();
  }

  answers(): Promise<boolean> {
    return this.cluster.client.isAnswered();
  }

  async destroy(): Promise<void> {
    await this.cluster.destroy();
  }

  /** One node serves the client, and all others that run stand by; for a while. */
  async #calm(): Promise<void> {
    const { cluster } = this;
    const running = cluster.names.filter((name) => cluster.node(name).runs);
    let [same, last] = [0, ''];
    await until(
      `${running} to be calm`,
      async () => {
        // It may move meanwhile: all are asked again each time.
        const states = await Promise.all(running.map((name) => cluster.state(name)));
        const owners = running.filter((_, index) => states[index] === 'ESTABLISHED');
        const others = states.filter((state) => state === 'PASSIVE');
        const isOne = owners.length === 1 && others.length === running.length - 1;
        same = !isOne ? 0 : owners.join() === last ? same + 1 : 1;
        last = owners.join();
        return same > CALM_LOOKS || undefined;
      },
      CALM_PATIENCE_MS,
      CALM_PAUSE_MS,
    );
  }

  /** As if somebody pulled the cable: the node sees no carrier. */
  async #unplug(node: ClusterNodeName, device: 'wan' | 'lan'): Promise<void> {
    await this.network.ip('switch', [`link set ${device}-${node} down`]);
  }

  async #mendPaths(node: ClusterNodeName): Promise<void> {
    await this.network.ip(
      'switch',
      SYNC_DEVICES.map((path) => `link set ${path}-${node} master ${path}`),
    );
  }
}

/** So often it must look the same, this far apart: a hand-over may be about to begin. */
const CALM_LOOKS = 3;
const CALM_PAUSE_MS = 300;
const CALM_PATIENCE_MS = 20_000;
