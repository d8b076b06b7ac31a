/**
 * A wire that is held: what the gateways send waits at its sender, each way in order, until its
 * way is let go. Requests that both send meanwhile cross, surely.
 *
 * A token bucket of six hundred octets that is emptied at once and fills by twelve a second.
 */
import { run, until } from './command.ts';
import { type GatewayNode, outerAddress, type Topology } from './topology.ts';

const nodes: readonly GatewayNode[] = ['g1', 'g2'];
const bucketOctets = 600;
const headerOctets = 14 + 20 + 8;

export class HeldWire {
  readonly #topology: Topology;

  private constructor(topology: Topology) {
    this.#topology = topology;
  }

  /** Holds what g1 and g2 send to one another from now on. */
  static async hold(topology: Topology): Promise<HeldWire> {
    const wire = new HeldWire(topology);
    for (const node of nodes) {
      await wire.#tc(node, ['qdisc', 'add', 'dev', 'wan', 'root', ...bucket('100bit')]);
    }
    // The echo request empties one bucket, the answer the other: what is left holds no IKE message.
    await wire.#echo('g1', bucketOctets - headerOctets - 8);
    return wire;
  }

  /** Waits until so many packets of a gateway are held, at least. */
  async holds(node: GatewayNode, packets: number): Promise<void> {
    const enough = async () => (await this.#held(node)) >= packets || undefined;
    await until(`${packets} packets to be held at ${node}`, enough);
  }

  /** Lets go what a gateway sent and sends, and an echo request behind it. */
  async release(node: GatewayNode): Promise<void> {
    await this.#tc(node, ['qdisc', 'change', 'dev', 'wan', 'root', ...bucket('1gbit', 1_000_000)]);
    // Sending is what makes a queue look at its bucket.
    await this.#echo(node, 0);
  }

  /** Lets go both ways, whatever is still held. */
  async end(): Promise<void> {
    for (const node of nodes) {
      await this.release(node);
    }
    for (const node of nodes) {
      const empty = async () => (await this.#held(node)) === 0 || undefined;
      await until(`nothing to be held at ${node}`, empty);
      await this.#tc(node, ['qdisc', 'delete', 'dev', 'wan', 'root']);
    }
  }

  async #held(node: GatewayNode): Promise<number> {
    const shown = await this.#tc(node, ['-s', 'qdisc', 'show', 'dev', 'wan']);
    return Number(/backlog \S+ (\d+)p/.exec(shown)?.[1]);
  }

  async #tc(node: GatewayNode, argv: readonly string[]): Promise<string> {
    const { stdout } = await this.#topology.network.exec(node, ['tc', ...argv]);
    return stdout;
  }

  /** The answer may be held: nobody waits for it. */
  async #echo(node: GatewayNode, octets: number): Promise<void> {
    const to = outerAddress(this.#topology, node === 'g1' ? 'g2' : 'g1', 'ipv4');
    const ping = ['ping', '-q', '-c', '1', '-W', '0.1', '-s', String(octets), to];
    await run([...this.#topology.network.at(node), ...ping], { mayFail: true });
  }
}

function bucket(rate: string, octets = bucketOctets): readonly string[] {
  return ['tbf', 'rate', rate, 'burst', String(octets), 'limit', '1000000'];
}
