/**
 * Puts and watches over three NATS servers of this machine: sealed values of a snapshot's size, written over one
 * connection and heard over another. Both are of this process: its CPU time is of both.
 */
import type { BusEvent } from '../src/cluster/bus/bus.ts';
import { ClusterKey, KeyRing } from '../src/cluster/bus/cluster-key.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import { NatsBus } from '../src/io/nats-bus.ts';
import { randomBytes } from '../src/io/random.ts';
import { NatsCluster } from '../test/support/nats-servers.ts';
import type { LagSample } from './cluster-sync-report.ts';

export interface NatsLagOptions {
  readonly rates: readonly number[];
  readonly seconds: number;
  readonly outstanding: number;
}

const BUCKET = { bucket: 'tsgw', replicas: 3, storage: 'memory' } as const;
const VALUE_OCTETS = 914;
const KEYS = 1000;
const PREFIX = 'sa/';
const OPEN_MS = 20_000;
const WATCH = 1;
const MOST_A_TURN = 50;

export async function measureNatsLags({
  rates,
  seconds,
  outstanding,
}: NatsLagOptions): Promise<readonly LagSample[]> {
  const servers = await NatsCluster.start();
  const pair = new NatsPair();
  try {
    await pair.open(servers);
    const lags: LagSample[] = [];
    for (const perSecond of rates) lags.push(await pair.atRate(perSecond, seconds));
    lags.push(await pair.atOnce(outstanding, seconds));
    return lags;
  } finally {
    await pair.close();
    await servers.stop();
  }
}

class NatsPair {
  readonly #value = randomBytes(VALUE_OCTETS);
  #writer: NatsBus | undefined;
  #reader: NatsBus | undefined;
  readonly #askedAt = new Map<number, number>();
  /** When the newest value of a key was put. */
  readonly #putAt = new Map<string, number>();
  #written: number[] = [];
  #watched: number[] = [];
  #id = 0;
  #answered = (): void => {};

  async open(cluster: NatsCluster): Promise<void> {
    this.#writer = await eventually(() => this.#bus(cluster, 1));
    this.#reader = await eventually(() => this.#bus(cluster, 2));
    this.#reader.handle({ kind: 'watch', id: WATCH, prefix: PREFIX, from: undefined });
  }

  atRate(perSecond: number, seconds: number): Promise<LagSample> {
    return this.#round(perSecond, async (begin) => {
      const count = perSecond * seconds;
      let asked = 0;
      await new Promise<void>((resolve) => {
        const pace = setInterval(() => {
          const due = Math.floor(((performance.now() - begin) / 1000) * perSecond);
          for (let some = 0; some < MOST_A_TURN && asked < Math.min(due, count); some++, asked++) {
            this.#put();
          }
          if (asked < count) return;
          clearInterval(pace);
          resolve();
        }, 1);
      });
    });
  }

  atOnce(outstanding: number, seconds: number): Promise<LagSample> {
    return this.#round(undefined, async (begin) => {
      const until = begin + seconds * 1000;
      await new Promise<void>((resolve) => {
        this.#answered = () => {
          if (performance.now() >= until) resolve();
          else setImmediate(() => this.#put());
        };
        for (let some = 0; some < outstanding; some++) this.#put();
      });
    });
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    await this.#writer?.close();
  }

  async #round(
    perSecond: number | undefined,
    load: (begin: number) => Promise<void>,
  ): Promise<LagSample> {
    this.#written = [];
    this.#watched = [];
    const before = this.#id;
    const cpu = process.cpuUsage();
    const begin = performance.now();
    await load(begin);
    this.#answered = () => {};
    for (let tries = 0; this.#askedAt.size > 0 && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const seconds = (performance.now() - begin) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    this.#askedAt.clear();
    return {
      ...{ bus: 'nats', nodes: 2, perSecond, seconds, late: 0 },
      ...{ asked: this.#id - before, answered: this.#written.length },
      ...{ milliseconds: this.#written, watchMilliseconds: this.#watched },
      cpuMilliseconds: (user + system) / 1000,
    };
  }

  #put(): void {
    const id = ++this.#id;
    const key = `${PREFIX}${id % KEYS}`;
    const now = performance.now();
    this.#askedAt.set(id, now);
    this.#putAt.set(key, now);
    this.#writer?.handle({ kind: 'put', id, key, value: this.#value, epoch: 0 });
  }

  #hear(event: BusEvent): void {
    const now = performance.now();
    if (event.kind === 'changed') {
      const putAt = this.#putAt.get(event.record.key);
      if (putAt !== undefined) this.#watched.push(now - putAt);
      return;
    }
    if (event.kind !== 'written') return;
    const askedAt = this.#askedAt.get(event.id);
    if (askedAt === undefined) return;
    this.#askedAt.delete(event.id);
    this.#written.push(now - askedAt);
    this.#answered();
  }

  #bus(cluster: NatsCluster, local: number): Promise<NatsBus> {
    return NatsBus.open({
      local,
      servers: cluster.servers,
      bucket: BUCKET,
      ring: new KeyRing(new ClusterKey(new SecretBytes(new Uint8Array(32).fill(9)))),
      random: randomBytes,
      onEvent: (event) => this.#hear(event),
      onNotice: () => {},
    });
  }
}

/** The servers elect a leader first. */
async function eventually<Thing>(attempt: () => Promise<Thing>): Promise<Thing> {
  for (const end = performance.now() + OPEN_MS; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() >= end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
