/**
 * A strongSwan HA cluster under faults, and the manager that charon leaves to others: it gives the virtual
 * addresses to the node that serves, the moment that node's log says so.
 *
 * The manager is better than real ones: it knows at once that a link is down, and never errs.
 */
import { CharonHaCluster, type HaNode, haAddresses, moveTo } from './charon-ha.ts';
import { sleep, until } from './command.ts';
import type { FailoverCluster, Fault } from './failover-cluster.ts';
import type { Network } from './namespaces.ts';

/** The segment all is in. */
const SEGMENT = 1;
const STOPPED_MS = 10_000;
const CUT_MS = 5_000;
/** Of the log of a node. */
const LOOK_EVERY_MS = 10;

export class CharonFailover implements FailoverCluster {
  readonly title = 'charon HA 5.9.8';
  readonly outer = { client: haAddresses.client, gateway: haAddresses.wan };
  readonly inner: { readonly client: string; readonly host: string };
  readonly #cluster: CharonHaCluster;
  #owner: HaNode = 'a';

  private constructor(cluster: CharonHaCluster, client: string) {
    this.#cluster = cluster;
    this.inner = { client, host: haAddresses.host };
  }

  static async start(): Promise<CharonFailover> {
    const cluster = await CharonHaCluster.build();
    try {
      await cluster.start();
      return new CharonFailover(cluster, await cluster.connect());
    } catch (error) {
      cluster.destroy();
      throw error;
    }
  }

  get network(): Network {
    return this.#cluster.network;
  }

  async prepare(fault: Fault): Promise<void> {
    if (fault !== 'rejoin') return;
    await this.#cluster.nodes[this.#owner].kill();
    await this.#follow();
    // The one that took over begins its numbers anew; the client must have come to terms with that.
    await this.#cluster.client.swanctl.must(['--rekey', '--child', 'net']);
    await sleep(2000);
  }

  async happen(fault: Fault): Promise<void> {
    const { nodes, network } = this.#cluster;
    const owner = this.#owner;
    switch (fault) {
      case 'none':
        return;
      case 'crash':
        await nodes[owner].kill();
        return this.#follow();
      case 'stop': {
        const { pid = 0 } = nodes[owner].process();
        process.kill(pid, 'SIGSTOP');
        const stopped = sleep(STOPPED_MS);
        await this.#follow();
        await stopped;
        process.kill(pid, 'SIGCONT');
        return;
      }
      case 'wan-down':
      case 'lan-down':
        await network.ip(owner, [`link set ${fault === 'wan-down' ? 'wan' : 'lan'} down`]);
        await nodes[other(owner)].writeFifo('charon.ha', `+${SEGMENT}`);
        return this.#follow();
      case 'move':
        await nodes[owner].writeFifo('charon.ha', `-${SEGMENT}`);
        return this.#follow();
      case 'sync-cut':
        await network.ip(owner, ['link set sync down']);
        await sleep(CUT_MS);
        await network.ip(owner, ['link set sync up']);
        return;
      case 'rejoin':
        return this.#cluster.startNode(other(owner));
    }
  }

  rekeyed(): Promise<number> {
    return this.#cluster.client.rekeyed();
  }

  answers(): Promise<boolean> {
    return this.#cluster.client.isAnswered();
  }

  destroy(): void {
    this.#cluster.destroy();
  }

  /** Waits until the other node serves, and gives it the addresses. */
  async #follow(): Promise<void> {
    const next = other(this.#owner);
    const serves = () => this.#cluster.active(next).includes(SEGMENT) || undefined;
    await until(`charon at ${next} to take over`, serves, 10_000, LOOK_EVERY_MS);
    await moveTo(this.network, next);
    this.#owner = next;
  }
}

function other(node: HaNode): HaNode {
  return node === 'a' ? 'b' : 'a';
}
