/**
 * IKE messages that cross surely, while ESP flows: those of the NAT traversal port wait at their
 * sender until both gateways have sent theirs.
 *
 * They have a class of their own on the wire, behind a token bucket that is emptied to hold them.
 * The classes stay: to put them up or take them down would lose packets.
 */
import { run, until } from './command.ts';
import { type GatewayNode, outerAddress, type Topology } from './topology.ts';

const nodes: readonly GatewayNode[] = ['g1', 'g2'];
const bucketOctets = 600;
const headerOctets = 14 + 20 + 8;

export class Crossing {
  readonly #topology: Topology;

  private constructor(topology: Topology) {
    this.#topology = topology;
  }

  /** Divides the wire of both gateways; nothing is held yet. */
  static async prepare(topology: Topology): Promise<Crossing> {
    const crossing = new Crossing(topology);
    for (const node of nodes) {
      await crossing.#divide(node);
    }
    return crossing;
  }

  /** Holds IKE messages from now on. */
  async hold(): Promise<void> {
    for (const node of nodes) {
      await this.#bucket(node, 'change', '100bit', bucketOctets);
    }
    // The echo request empties one bucket, the answer the other: what is left holds no IKE message.
    await this.#echo('g1', bucketOctets - headerOctets - 8);
  }

  /** Waits until a gateway's messages are held: at least so many. */
  async holds(node: GatewayNode, messages = 1): Promise<void> {
    const enough = async () => (await this.#held(node)) >= messages || undefined;
    await until(`${messages} IKE messages to be held at ${node}`, enough);
  }

  /** Lets go what was held, g1's or g2's first, and what follows. */
  async release(first: GatewayNode): Promise<void> {
    for (const node of first === 'g1' ? nodes : nodes.toReversed()) {
      await this.#bucket(node, 'change', '1gbit', 1_000_000);
      // Sending is what makes a queue look at its bucket.
      await this.#echo(node, 0);
    }
    for (const node of nodes) {
      const empty = async () => (await this.#held(node)) === 0 || undefined;
      await until(`nothing to be held at ${node}`, empty);
    }
  }

  /** Two classes: 1:2 for IKE messages and echo requests, 1:1 for the rest. */
  async #divide(node: GatewayNode): Promise<void> {
    const root = ['qdisc', 'add', 'dev', 'wan', 'root', 'handle', '1:', 'htb', 'default', '1'];
    await this.#tc(node, root);
    for (const id of ['1:1', '1:2']) {
      const rate = ['htb', 'rate', '10gbit', 'quantum', '1514'];
      await this.#tc(node, ['class', 'add', 'dev', 'wan', 'parent', '1:', 'classid', id, ...rate]);
    }
    // RFC 3948 §2.2: four octets of zero behind the UDP header; there are no IP options.
    const marker = ['match', 'u32', '0', '0xffffffff', 'at', '28'];
    const ike = ['match', 'ip', 'protocol', '17', '0xff', ...marker];
    for (const match of [ike, ['match', 'ip', 'protocol', '1', '0xff']]) {
      const filter = ['filter', 'add', 'dev', 'wan', 'parent', '1:', 'protocol', 'ip', 'u32'];
      await this.#tc(node, [...filter, ...match, 'flowid', '1:2']);
    }
    await this.#bucket(node, 'add', '1gbit', 1_000_000);
  }

  async #bucket(
    node: GatewayNode,
    verb: 'add' | 'change',
    rate: string,
    octets: number,
  ): Promise<void> {
    const bucket = ['tbf', 'rate', rate, 'burst', String(octets), 'limit', '1000000'];
    await this.#tc(node, ['qdisc', verb, 'dev', 'wan', 'parent', '1:2', 'handle', '2:', ...bucket]);
  }

  async #held(node: GatewayNode): Promise<number> {
    const shown = await this.#tc(node, ['-s', 'qdisc', 'show', 'dev', 'wan']);
    return Number(/qdisc tbf[\s\S]*?backlog \S+ (\d+)p/.exec(shown)?.[1]);
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
