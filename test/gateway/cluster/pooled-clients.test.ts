/** Nodes of a cluster lease from one pool, as their clients see it (RFC 7296 §2.19): P8. */
import assert from 'node:assert/strict';
import { type Client, PooledClients } from '../../support/pooled-clients.ts';
import { listed, poolOf } from '../../support/pools.ts';

const POOL = poolOf('rw', '10.3.0.0/24');

function addressesOf(clients: readonly Client[]): readonly string[] {
  return clients.flatMap((client) => client.addresses);
}

function up(some: PooledClients, clients: readonly Client[] = some.clients): void {
  for (const client of clients) some.initiate(client);
  some.run(2500);
}

describe('Clients of a cluster that want virtual addresses', () => {
  for (const nodes of [2, 3]) {
    it(`get one each, of ${nodes} nodes, and every node knows`, () => {
      const some = new PooledClients({ nodes, clients: 8, pool: POOL });
      up(some);
      assert.equal(new Set(addressesOf(some.clients)).size, 8);
      const lists = some.world.nodes.map(({ pools }) => listed(pools?.views('rw')[0]));
      assert.equal(lists[0]?.length, 8);
      for (const list of lists) assert.deepEqual(list, lists[0]);
    });

    it(`keep it when one of ${nodes} nodes dies, and others get some of those who are left`, () => {
      const some = new PooledClients({ nodes, clients: 10, pool: POOL });
      const [first, later] = [some.clients.slice(0, 6), some.clients.slice(6)];
      up(some, first);
      const before = addressesOf(first);
      assert.equal(before.length, 6);
      some.world.crash(1);
      some.run(1000);
      up(some, later);
      assert.deepEqual(addressesOf(first), before);
      assert.equal(addressesOf(later).length, 4, 'new ones get addresses');
      some.restart(1, 2, POOL);
      some.run(5000);
      assert.deepEqual(addressesOf(first), before);
      assert.equal(
        some.clients.every(({ side }) => side.established === 1),
        true,
      );
    });
  }

  it('get what they had when they come again, to another node too', () => {
    const some = new PooledClients({ nodes: 3, clients: 4, pool: POOL });
    up(some);
    const before = addressesOf(some.clients);
    for (const client of some.clients) some.terminate(client);
    some.run(1000);
    assert.deepEqual(addressesOf(some.clients), []);
    some.world.crash(2);
    some.run(1000);
    up(some);
    assert.deepEqual(addressesOf(some.clients), before);
  });

  it('get what they had when all nodes started anew', () => {
    const some = new PooledClients({ nodes: 2, clients: 4, pool: POOL });
    up(some);
    const before = addressesOf(some.clients);
    for (const id of [1, 2]) some.save(id);
    for (const id of [1, 2]) some.world.crash(id);
    some.run(3000);
    assert.deepEqual(addressesOf(some.clients), []);
    for (const id of [1, 2]) some.restart(id, 2, POOL);
    some.run(3000);
    up(some);
    assert.deepEqual(addressesOf(some.clients), before);
  });

  it('wait for the other of two nodes after a start, unless somebody vouches that it does not run', () => {
    const some = new PooledClients({ nodes: 2, clients: 3, pool: POOL });
    for (const id of [1, 2]) some.world.crash(id);
    some.restart(1, 2, POOL);
    some.run(3000);
    some.initiate(some.client(0));
    some.run(900);
    assert.deepEqual(addressesOf(some.clients), []);
    const { world } = some;
    world.give(world.node(1), { kind: 'order', order: { kind: 'declare-dead', node: 2 } });
    some.run(1500);
    up(some);
    const before = addressesOf(some.clients);
    assert.equal(new Set(before).size, 3);
    some.restart(2, 2, POOL);
    some.run(4000);
    assert.deepEqual(addressesOf(some.clients), before);
    const lists = world.nodes.map(({ pools }) => listed(pools?.views('rw')[0]));
    assert.deepEqual(lists[0], lists[1]);
  });

  it('are told that there is none when all are taken', () => {
    const pool = poolOf('rw', '10.3.0.1');
    const some = new PooledClients({ nodes: 2, clients: 3, pool });
    up(some);
    assert.deepEqual(addressesOf(some.clients), ['10.3.0.1']);
    const outcomes = some.clients.map(({ side }) => side.outcomes.get(1)?.kind);
    assert.deepEqual(outcomes.toSorted(), ['done', 'refused', 'refused']);
    const has = some.clients.find(({ addresses }) => addresses.length > 0);
    const other = some.clients.find(({ addresses }) => addresses.length === 0);
    assert.ok(has && other);
    some.terminate(has);
    some.run(1000);
    some.terminate(other);
    some.run(500);
    up(some, [other]);
    assert.deepEqual(other.addresses, ['10.3.0.1']);
  });
});
