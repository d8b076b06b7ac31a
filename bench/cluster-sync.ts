/**
 * How fast is the state of IKE SAs at other nodes, and at one that starts?
 *
 *   clients --- node 1 ---- node 2 [---- node 3]      loopback
 *
 * Node 1 has all IKE SAs, established by clients in its own process, and they ask it for signs of life: each
 * request changes its IKE SA, and the response leaves when others have that. Then node 2 is killed and starts
 * anew with nothing.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { sleep } from '../lab/command.ts';
import {
  type ClusterSyncReport,
  clusterSyncReport,
  type LagSample,
  type PacketCosts,
  type ResyncSample,
} from './cluster-sync-report.ts';
import { measureNatsLags } from './nats-lag.ts';
import { measurePacketCosts } from './packet-costs.ts';
import type { SyncNodeSetup } from './sync-node.ts';
import type { SyncOrder, SyncState, Updates } from './sync-protocol.ts';

export const SYNC_PARTS = ['udp', 'resync', 'nats', 'packets'] as const;

export interface ClusterSyncOptions {
  readonly sas: number;
  readonly seconds: number;
  readonly rates: readonly number[];
  readonly parts: readonly (typeof SYNC_PARTS)[number][];
  readonly progress: (line: string) => void;
}

/** Of the clusters that carry no resync. */
const FEW_SAS = 200;
const TAIL_PER_SECOND = 500;
const OUTSTANDING = 32;
const PATIENCE_MS = 120_000;

export async function measureClusterSync(options: ClusterSyncOptions): Promise<ClusterSyncReport> {
  const { sas, seconds, rates, parts, progress } = options;
  const lags: LagSample[] = [];
  const absent: string[] = [];
  let resync: ResyncSample | undefined;
  let packets: PacketCosts | undefined;
  const wantsUdp = parts.includes('udp');
  if (wantsUdp || parts.includes('resync')) {
    const pair = await SyncCluster.start(2);
    try {
      progress(`two nodes: ${sas} clients establish an IKE SA each`);
      await pair.establish(sas);
      if (wantsUdp) lags.push(...(await measureLags(pair, options)));
      if (parts.includes('resync')) {
        progress('node 2 starts anew');
        resync = await pair.resync(sas, seconds);
      }
    } finally {
      await pair.stop();
    }
  }
  if (wantsUdp) {
    const three = await SyncCluster.start(3);
    try {
      progress(`three nodes: ${FEW_SAS} clients establish an IKE SA each`);
      await three.establish(FEW_SAS);
      lags.push(...(await measureLags(three, options)));
    } finally {
      await three.stop();
    }
  }
  if (parts.includes('nats')) {
    progress('nats: three servers');
    try {
      lags.push(...(await measureNatsLags({ rates, seconds, outstanding: OUTSTANDING })));
    } catch (error) {
      absent.push(`nats: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (parts.includes('packets')) progress('packets');
  if (parts.includes('packets')) packets = await measurePacketCosts();
  return clusterSyncReport({ sas, seconds }, { lags, resync, packets, absent });
}

async function measureLags(
  cluster: SyncCluster,
  { rates, seconds, progress }: ClusterSyncOptions,
): Promise<readonly LagSample[]> {
  const lags: LagSample[] = [];
  for (const perSecond of [...rates, undefined]) {
    const what =
      perSecond === undefined ? 'as many updates as go' : `${perSecond} updates a second`;
    progress(`${cluster.count} nodes: ${what}`);
    lags.push(await cluster.update(perSecond, seconds));
  }
  return lags;
}

/** Nodes as processes; the first one has all IKE SAs. */
class SyncCluster {
  readonly #ports: readonly number[];
  readonly #nodes: SyncProcess[];

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#nodes = ports.map((_, index) => new SyncProcess({ self: index + 1, boot: 1, ports }));
  }

  /** Answers when every node has been told everything, and the first one has segments. */
  static async start(count: number): Promise<SyncCluster> {
    const cluster = new SyncCluster(await freePorts(count));
    try {
      await Promise.all(cluster.#nodes.map((node) => node.synced));
      await cluster.#when(({ owned }) => owned > 0);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get count(): number {
    return this.#nodes.length;
  }

  async establish(count: number): Promise<void> {
    await this.#first.ask({ kind: 'establish', count });
  }

  async update(perSecond: number | undefined, seconds: number): Promise<LagSample> {
    const order: SyncOrder =
      perSecond === undefined
        ? { kind: 'saturate', seconds, outstanding: OUTSTANDING }
        : { kind: 'update', seconds, perSecond };
    // On a busy machine it may have lost its lease for a moment.
    await this.#when(({ owned, active }) => owned > 0 && active > 0);
    const updates = await this.#first.ask<Updates>(order);
    return { bus: 'udp', nodes: this.count, perSecond, ...updates };
  }

  /** The second node loses everything and is told of it again, while the first one goes on. */
  async resync(sas: number, seconds: number): Promise<ResyncSample> {
    await this.#nodes[1]?.end();
    await this.#when(({ others, active }) => others === 0 && active > 0);
    const before = await this.#first.ask<SyncState>({ kind: 'state' });
    const tail = this.update(TAIL_PER_SECOND, seconds);
    const joining = new SyncProcess({ self: 2, boot: 2, ports: this.#ports });
    this.#nodes[1] = joining;
    await joining.synced;
    const [joined, owner] = await Promise.all([
      joining.ask<SyncState>({ kind: 'state' }),
      this.#first.ask<SyncState>({ kind: 'state' }),
    ]);
    return {
      sas,
      held: joined.passive,
      snapshotOctets: owner.snapshotOctets,
      seconds: joined.syncedAfterMilliseconds / 1000,
      heldSeconds: joined.heldAfterMilliseconds / 1000,
      cpuMilliseconds: joined.syncCpuMilliseconds,
      ownerCpuMilliseconds: owner.cpuMilliseconds - before.cpuMilliseconds,
      tail: await tail,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.end()));
  }

  get #first(): SyncProcess {
    const [first] = this.#nodes;
    if (!first) throw new Error('a cluster without nodes');
    return first;
  }

  async #when(isSo: (state: SyncState) => boolean): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
      if (isSo(await this.#first.ask<SyncState>({ kind: 'state' }))) return;
      await sleep(100);
    }
    throw new Error('the nodes do not come together');
  }
}

/** A node's process, and what it answers. */
class SyncProcess {
  /** Once it has all that others have. */
  readonly synced: Promise<void>;
  readonly #child: ChildProcess;

  constructor(setup: SyncNodeSetup) {
    this.#child = fork('build/bench/cluster-sync-node.js', [JSON.stringify(setup)]);
    this.synced = this.#said<true>('synced').then(() => undefined);
    // Who waits for it is told; nobody else has to be.
    this.synced.catch(() => undefined);
  }

  /** One order at a time of each kind. */
  async ask<Answer>(order: SyncOrder): Promise<Answer> {
    const answer = this.#said<Answer>(order.kind);
    this.#child.send(order);
    return answer;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  #said<Answer>(kind: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const heard = (message: { readonly kind: string; readonly answer: Answer }): void => {
        if (message.kind !== kind) return;
        this.#child.off('message', heard);
        this.#child.off('exit', ended);
        resolve(message.answer);
      };
      const ended = (): void => reject(new Error(`a node ended before it said ${kind}`));
      this.#child.on('message', heard);
      this.#child.once('exit', ended);
    });
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const sockets = Array.from({ length: count }, (_, index) =>
    createSocket('udp4').bind(0, `127.0.0.${index + 1}`),
  );
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}
