/** Two nodes of `link-node.ts` on a `clusterLink`, and the bus between them, which the test is. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { until } from '../../lab/command.ts';
import type { Network } from '../../lab/namespaces.ts';
import { CLUSTER_NODES, type ClusterNode } from './cluster-link.ts';
import type { LinkNodeOrder, LinkNodeSetting } from './link-node.ts';

/** A line that a node said. */
export interface Told {
  readonly kind: string;
  readonly device: string;
  readonly node: number;
  readonly nonce: string;
  readonly heard: boolean;
  readonly deaf: readonly number[];
  readonly rounds: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly answered: number;
}

const NUMBERS: Readonly<Record<ClusterNode, number>> = { a: 1, b: 2 };

export class LinkCluster {
  readonly told: Readonly<Record<ClusterNode, Told[]>> = { a: [], b: [] };
  readonly #processes = new Map<ClusterNode, ChildProcess>();

  /** Starts both nodes with the same links. */
  static async start(
    network: Network,
    links: readonly Omit<LinkNodeSetting, 'node'>[],
  ): Promise<LinkCluster> {
    const one = new LinkCluster();
    for (const node of CLUSTER_NODES) one.#launch(network, node, links);
    for (const node of CLUSTER_NODES) await one.wait(node, 'ready');
    return one;
  }

  order(node: ClusterNode, order: LinkNodeOrder): void {
    this.#processes.get(node)?.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** The first line of the kind from now on; those before are forgotten. */
  async wait(node: ClusterNode, kind: string, timeout = 5_000): Promise<Told> {
    const told = this.told[node];
    const found = await until(
      `${kind} of node ${node}`,
      () => told.find((one) => one.kind === kind),
      timeout,
      5,
    );
    told.splice(0, told.indexOf(found) + 1);
    return found;
  }

  /** What came to sockets with shared addresses. */
  async counts(node: ClusterNode): Promise<Readonly<Record<string, number>>> {
    this.order(node, { kind: 'count' });
    return (await this.wait(node, 'counts')).counts;
  }

  /** How many questions where the addresses are the node answered. */
  async answered(node: ClusterNode): Promise<number> {
    this.order(node, { kind: 'count' });
    return (await this.wait(node, 'counts')).answered;
  }

  stop(): void {
    for (const child of this.#processes.values()) child.kill('SIGKILL');
  }

  #launch(
    network: Network,
    node: ClusterNode,
    links: readonly Omit<LinkNodeSetting, 'node'>[],
  ): void {
    const settings = JSON.stringify(links.map((link) => ({ ...link, node: NUMBERS[node] })));
    const argv = [
      ...network.at(node),
      process.execPath,
      'build/test/support/link-node.js',
      settings,
    ];
    const [file = '', ...rest] = argv;
    const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.set(node, child);
    assert.ok(child.stdout !== null);
    createInterface({ input: child.stdout }).on('line', (line) => this.#heard(node, line));
  }

  /** What is for the other node goes there. */
  #heard(node: ClusterNode, line: string): void {
    const told: Told = JSON.parse(line);
    const other = CLUSTER_NODES.find((one) => NUMBERS[one] === told.node);
    const { device, nonce, heard } = told;
    const from = { device, node: NUMBERS[node], nonce };
    if (told.kind === 'ask-probe' && other !== undefined) {
      this.order(other, { kind: 'probe-asked', ...from });
    } else if (told.kind === 'report-probe' && other !== undefined) {
      this.order(other, { kind: 'probe-reported', ...from, heard });
    }
    this.told[node].push(told);
  }
}
