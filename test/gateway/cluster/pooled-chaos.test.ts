/**
 * P8, no address for two clients, ever: nodes with engines and clients with engines, while nodes crash, are cut
 * off, come back with what they have on disk and take segments of each other.
 */
import assert from 'node:assert/strict';
import { type Client, PooledClients } from '../../support/pooled-clients.ts';
import { poolOf } from '../../support/pools.ts';

const SEEDS = Number(process.env.TSGW_POOL_SEEDS ?? 4);
const FIRST = Number(process.env.TSGW_POOL_SEED ?? 1);
const BUSY_MS = 5000;

/** Clients that come and go as chance has it. */
class Chaos {
  readonly seed: number;
  readonly some: PooledClients;
  readonly nodes: number;
  readonly size: number;
  readonly #pool;
  #boot = 1;

  constructor(seed: number) {
    this.seed = seed;
    this.nodes = seed % 3 === 0 ? 3 : 2;
    this.size = [1, 3, 14, 62][seed % 4] ?? 1;
    const prefix = { 1: '/32', 3: '-10.3.0.3', 14: '/28', 62: '/26' }[this.size];
    this.#pool = poolOf('rw', this.size === 3 ? '10.3.0.1-10.3.0.3' : `10.3.0.0${prefix}`);
    const clients = Math.min(this.size + 2, 10);
    this.some = new PooledClients({ seed, nodes: this.nodes, clients, pool: this.#pool });
  }

  run(): void {
    this.#fault();
    for (let at = 0; at < BUSY_MS; at += 50) {
      for (const client of this.some.clients) this.#live(client);
      this.some.run(50);
    }
    this.#heal();
    this.some.run(4500);
  }

  /** Every address can be had again. */
  fill(): void {
    const { clients } = this.some;
    for (const client of clients) this.some.terminate(client);
    this.some.run(2000);
    const wanting = clients.slice(0, this.size);
    const isFull = () => wanting.every(({ addresses }) => addresses.length > 0);
    for (let round = 0; round < 6 && !isFull(); round++) {
      for (const client of wanting) {
        if (client.addresses.length > 0) continue;
        if (client.side.established > 0) this.some.terminate(client);
        else this.some.initiate(client);
      }
      this.some.run(2000, isFull);
    }
    const without = wanting.filter(({ addresses }) => addresses.length === 0).length;
    assert.equal(without, 0, `seed ${this.seed}: ${without} of ${wanting.length} get none`);
  }

  #live(client: Client): void {
    const { some } = this;
    const { ikeSas } = client.side.engine;
    const has = client.addresses.length > 0;
    if (has && some.chance() < 0.05) some.terminate(client);
    else if (!has && ikeSas.call(client.side.engine).length > 0) {
      if (client.side.established > 0 && some.chance() < 0.2) some.terminate(client);
    } else if (!has && some.chance() < 0.2) some.initiate(client);
  }

  #fault(): void {
    const { world, chance } = this.some;
    const victim = 1 + Math.floor(chance() * this.nodes);
    const kind = Math.floor(chance() * 4);
    const at = world.now + 500 + chance() * 1500;
    const length = 700 + chance() * 3000;
    if (kind === 0) {
      this.#at(at, () => world.crash(victim));
      this.#at(at + length, () => this.#restart(victim));
    } else if (kind === 1) {
      this.#at(at - 300, () => this.some.save(victim));
      this.#at(at, () => world.crash(victim));
      this.#at(at + length, () => this.#restart(victim));
    } else if (kind === 2) {
      this.#at(at, () => {
        world.network.passes = ({ from, to }) => from !== victim && to !== victim;
      });
      this.#at(at + length, () => {
        world.network.passes = () => true;
      });
    } else {
      const order = () => this.#at(world.now, () => this.#drain(victim));
      this.#at(at, order);
    }
  }

  #drain(victim: number): void {
    const { world } = this.some;
    world.give(world.node(victim), { kind: 'order', order: { kind: 'drain' } });
    this.#at(world.now + 1500, () =>
      world.give(world.node(victim), { kind: 'order', order: { kind: 'undrain' } }),
    );
  }

  #restart(victim: number): void {
    if (!this.some.world.node(victim).isUp) this.some.restart(victim, ++this.#boot, this.#pool);
  }

  #heal(): void {
    this.some.world.network.passes = () => true;
    for (const { id } of this.some.world.nodes) this.#restart(id);
  }

  #at(at: number, run: () => void): void {
    this.some.at(at, run);
  }
}

describe('Address pools of a cluster with engines and clients (P8)', () => {
  it('never give an address to two clients, and lose none', function () {
    this.timeout(200_000);
    let given = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const chaos = new Chaos(seed);
      chaos.run();
      chaos.fill();
      given += chaos.some.given;
    }
    assert.ok(given > SEEDS * 5, `${given} addresses were given`);
  });
});
