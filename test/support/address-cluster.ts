/** Two nodes of `address-node.ts` on a `clusterLink`, and the bus between them, which the test is. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../lab/command.ts';
import type { Network } from '../../lab/namespaces.ts';
import type { SharedAddressStatus } from '../../src/gateway/cluster/address-status.ts';
import type { FloodingResult } from '../../src/gateway/cluster/flooding-watch.ts';
import type { FilterCount } from '../../src/io/nft.ts';
import type { AddressNodeOrder } from './address-node.ts';
import { CLUSTER_NODES, type ClusterNode } from './cluster-link.ts';

export interface PlainStatus {
  readonly addresses: readonly SharedAddressStatus[];
  readonly flooding: Readonly<Record<string, FloodingResult>>;
  readonly filter: Readonly<Record<string, FilterCount>>;
  readonly troubles: readonly string[];
}

/** A line that a node said. */
export interface Told {
  readonly kind: string;
  readonly to: number;
  readonly type: number;
  readonly body: string;
  readonly level: string;
  readonly what: string;
  readonly wan: boolean;
  readonly lan: boolean;
  readonly at: number;
  readonly took: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly status: PlainStatus;
}

export const NODE_NUMBERS: Readonly<Record<ClusterNode, number>> = { a: 1, b: 2 };

export class AddressCluster {
  readonly told: Readonly<Record<ClusterNode, Told[]>> = { a: [], b: [] };
  readonly #processes = new Map<ClusterNode, ChildProcess>();

  /** Starts both nodes; `lines` of the section `cluster`, without those every cluster has. */
  static async start(network: Network, lines: string): Promise<AddressCluster> {
    const one = new AddressCluster();
    const file = join(network.directory, 'cluster.conf');
    writeFileSync(file, `cluster {\n${COMMON}\n${lines}\n}\n`);
    for (const node of CLUSTER_NODES) one.launch(network, node);
    for (const node of CLUSTER_NODES) await one.wait(node, 'ready');
    return one;
  }

  launch(network: Network, node: ClusterNode): void {
    const file = join(network.directory, 'cluster.conf');
    const program = 'build/test/support/address-node.js';
    const argv = [...network.at(node), process.execPath, program, file, node];
    const [command = '', ...rest] = argv;
    const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.set(node, child);
    assert.ok(child.stdout !== null);
    createInterface({ input: child.stdout }).on('line', (line) => this.#heard(node, line));
  }

  order(node: ClusterNode, order: AddressNodeOrder): void {
    this.#processes.get(node)?.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** Gives a node these segments, and waits until its kernel knows. */
  async own(node: ClusterNode, segments: readonly number[]): Promise<Told> {
    this.order(node, { kind: 'own', segments });
    return this.wait(node, 'owned');
  }

  /** The first line of the kind from now on, and with these words; those before are forgotten. */
  async wait(node: ClusterNode, kind: string, what = /^/, timeout = 5_000): Promise<Told> {
    const told = this.told[node];
    const found = await until(
      `${kind} of node ${node}`,
      () => told.find((one) => one.kind === kind && what.test(one.what ?? '')),
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

  async status(node: ClusterNode): Promise<PlainStatus> {
    this.order(node, { kind: 'status' });
    return (await this.wait(node, 'status')).status;
  }

  /** As a crash is. */
  kill(node: ClusterNode): void {
    this.#processes.get(node)?.kill('SIGKILL');
  }

  stop(): void {
    for (const node of CLUSTER_NODES) this.kill(node);
  }

  /** What is for the other node goes there. */
  #heard(node: ClusterNode, line: string): void {
    const told: Told = JSON.parse(line);
    this.told[node].push(told);
    const other = CLUSTER_NODES.find((one) => NODE_NUMBERS[one] === told.to);
    if (told.kind !== 'message' || other === undefined) return;
    const { type, body } = told;
    this.order(other, { kind: 'message', from: NODE_NUMBERS[node], type, body });
  }
}

const COMMON = `
self = SELF
name = here
secret = 0x${'5f'.repeat(32)}
nodes {
  a {
    addrs = 10.77.0.1
  }
  b {
    addrs = 10.77.0.2
  }
}`;
