import assert from 'node:assert/strict';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { holder, lease, listed, poolOf } from '../support/pools.ts';

function pools(...all: readonly Parameters<typeof poolOf>[]): AddressPools {
  const made = new AddressPools();
  for (const one of all) assert.equal(made.load(poolOf(...one)), 'loaded');
  return made;
}

describe('Leases of an address pool (RFC 7296 §2.19)', () => {
  it('go in the order of the addresses, each to one IKE SA', () => {
    const one = pools(['rw', '10.3.0.0/30']);
    assert.equal(lease(one, ['rw'], 'alice'), '10.3.0.1');
    assert.equal(lease(one, ['rw'], 'bob'), '10.3.0.2');
    assert.equal(lease(one, ['rw'], 'carol'), undefined);
    assert.deepEqual(listed(one.views()[0]), ['10.3.0.1 alice online', '10.3.0.2 bob online']);
  });

  it('give an identity that comes twice a second address', () => {
    const one = pools(['rw', '10.3.0.0/24']);
    assert.equal(lease(one, ['rw'], 'alice'), '10.3.0.1');
    assert.equal(lease(one, ['rw'], 'Alice'), '10.3.0.2', 'names compare without case');
  });

  it('stay with an identity that went away, while there are others', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    const first = holder();
    lease(one, ['rw'], 'alice', { holder: first });
    one.release(first);
    assert.deepEqual(listed(one.views()[0]), ['10.3.0.1 alice offline']);
    assert.equal(lease(one, ['rw'], 'bob'), '10.3.0.2');
    assert.equal(lease(one, ['rw'], 'alice'), '10.3.0.1');
  });

  it('go to others when no address is unused, of whoever is away longest first', () => {
    const one = pools(['rw', '10.3.0.0/30']);
    const [alice, bob] = [holder(), holder()];
    lease(one, ['rw'], 'alice', { holder: alice });
    lease(one, ['rw'], 'bob', { holder: bob });
    one.release(bob);
    one.release(alice);
    assert.equal(lease(one, ['rw'], 'carol'), '10.3.0.2');
    assert.equal(lease(one, ['rw'], 'bob'), '10.3.0.1', 'bob lost his');
    assert.equal(lease(one, ['rw'], 'alice'), undefined);
  });

  it('are its identity’s again while the IKE SA that had one is going, and nobody else’s', () => {
    const one = pools(['fixed', '10.3.0.5']);
    const going = holder('198.51.100.1', 4500, true);
    const renewed = holder('203.0.113.7');
    lease(one, ['fixed'], 'alice', { holder: going });
    assert.equal(lease(one, ['fixed'], 'bob'), undefined);
    assert.equal(lease(one, ['fixed'], 'alice', { holder: renewed }), '10.3.0.5');
    one.release(going);
    assert.deepEqual(listed(one.views()[0]), ['10.3.0.5 alice online']);
  });

  it('begin and end where a pool of one address does', () => {
    const one = pools(['fixed', '10.3.0.5']);
    const alice = holder();
    assert.equal(lease(one, ['fixed'], 'alice', { holder: alice }), '10.3.0.5');
    assert.equal(lease(one, ['fixed'], 'bob'), undefined);
    one.release(alice);
    assert.equal(lease(one, ['fixed'], 'bob'), '10.3.0.5');
  });

  it('of a /8 and of a /64 cost what they are, not what there could be', () => {
    const one = pools(['four', '10.0.0.0/8'], ['six', '2001:db8::/64']);
    assert.equal(
      lease(one, ['four', 'six'], 'alice', { requested: '10.255.255.254' }),
      '10.255.255.254',
    );
    assert.equal(lease(one, ['four', 'six'], 'alice', { requested: '::' }), '2001:db8::1');
    assert.deepEqual(
      one.views().map(({ size, online }) => [size, online]),
      [
        [2 ** 24 - 2, 1],
        [2 ** 31 - 2, 1],
      ],
    );
  });

  it('are remembered up to a bound, the latest to go', () => {
    const one = new AddressPools(10);
    one.load(poolOf('rw', '10.0.0.0/8'));
    for (let count = 0; count < 12; count++) {
      const client = holder();
      lease(one, ['rw'], `client ${count}`, { holder: client });
      one.release(client);
    }
    assert.equal(one.views()[0]?.offline, 10);
    assert.equal(lease(one, ['rw'], 'client 2'), '10.0.0.3');
    assert.notEqual(lease(one, ['rw'], 'client 0'), '10.0.0.1');
    const full = lease(one, ['rw'], 'newcomer', { requested: '10.200.0.1' });
    assert.notEqual(full, undefined, 'a full memory leases still');
  });
});

describe('An address a client asks for (§3.15.1)', () => {
  it('is given if it is unused, and nobody else gets it then', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    assert.equal(lease(one, ['rw'], 'alice', { requested: '10.3.0.2' }), '10.3.0.2');
    assert.equal(lease(one, ['rw'], 'bob'), '10.3.0.1');
    assert.equal(lease(one, ['rw'], 'carol'), '10.3.0.3');
  });

  it('is not given where it is taken, kept for another or no address of the pool', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    const bob = holder();
    lease(one, ['rw'], 'alice');
    lease(one, ['rw'], 'bob', { holder: bob });
    one.release(bob);
    for (const requested of ['10.3.0.1', '10.3.0.2', '10.3.0.0', '10.3.0.7', '10.9.9.9']) {
      const given = lease(one, ['rw'], `carol asking for ${requested}`, { requested });
      assert.notEqual(given, requested);
      assert.match(given ?? '', /^10\.3\.0\.[3456]$|^10\.3\.0\.2$/);
    }
  });

  it('wins over the address the client had', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    const alice = holder();
    lease(one, ['rw'], 'alice', { holder: alice });
    one.release(alice);
    assert.equal(lease(one, ['rw'], 'alice', { requested: '10.3.0.6' }), '10.3.0.6');
  });

  it('is shared by the IKE SAs of one client while one replaces the other, by no others', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    const requested = '10.3.0.1';
    const [old, renewed] = [holder(), holder()];
    lease(one, ['rw'], 'alice', { holder: old });
    const elsewhere = holder('198.51.100.1', 4501);
    assert.equal(lease(one, ['rw'], 'alice', { requested, holder: elsewhere }), '10.3.0.2');
    assert.equal(lease(one, ['rw'], 'bob', { requested, holder: renewed }), '10.3.0.3');
    assert.equal(lease(one, ['rw'], 'alice', { requested, holder: renewed }), requested);
    one.release(old);
    assert.deepEqual(listed(one.views()[0])[0], '10.3.0.1 alice online');
    assert.deepEqual([one.views()[0]?.online, one.views()[0]?.offline], [3, 0]);
    one.release(renewed);
    assert.deepEqual(listed(one.views()[0])[0], '10.3.0.1 alice offline');
  });

  it('is given to one IKE SA once, even if it asks twice', () => {
    const one = pools(['rw', '10.3.0.0/29']);
    const alice = holder();
    const twice = [1, 2].map(() =>
      lease(one, ['rw'], 'alice', { requested: '10.3.0.4', holder: alice }),
    );
    assert.deepEqual(twice, ['10.3.0.4', '10.3.0.1']);
  });
});

describe('Several pools', () => {
  it('are tried in order, each family for itself', () => {
    const all = pools(
      ['first', '10.3.1.0/30'],
      ['six', '2001:db8:3::/64'],
      ['second', '10.3.2.0/30'],
    );
    const names = ['first', 'six', 'second', 'not loaded'];
    const given = [1, 2, 3].map((count) => lease(all, names, `client ${count}`));
    assert.deepEqual(given, ['10.3.1.1', '10.3.1.2', '10.3.2.1']);
    assert.equal(lease(all, names, 'client 1', { requested: '::' }), '2001:db8:3::1');
    assert.equal(lease(all, ['first', 'second'], 'client 1', { requested: '::' }), undefined);
  });

  it('are searched for what a client had before one gives it something new', () => {
    const all = pools(['first', '10.3.1.0/29'], ['second', '10.3.2.0/29']);
    const alice = holder();
    assert.equal(lease(all, ['second'], 'alice', { holder: alice }), '10.3.2.1');
    all.release(alice);
    assert.equal(lease(all, ['first', 'second'], 'alice'), '10.3.2.1');
  });

  it('take back all that an IKE SA held, and hand all of it over', () => {
    const all = pools(['four', '10.3.1.0/29'], ['six', '2001:db8:3::/64']);
    const [old, renewed] = [holder(), holder()];
    lease(all, ['four'], 'alice', { holder: old });
    lease(all, ['six'], 'alice', { holder: old, requested: '::' });
    all.handOver(old, renewed);
    all.release(old);
    assert.deepEqual(
      all.views().map(({ online, offline }) => [online, offline]),
      [
        [1, 0],
        [1, 0],
      ],
    );
    all.release(renewed);
    all.release(renewed);
    assert.deepEqual(
      all.views().map(({ online, offline }) => [online, offline]),
      [
        [0, 1],
        [0, 1],
      ],
    );
  });

  it('hand over nothing where nothing is held', () => {
    const all = pools(['four', '10.3.1.0/29']);
    const [old, renewed] = [holder(), holder()];
    all.handOver(old, renewed);
    all.release(renewed);
    assert.equal(all.views()[0]?.offline, 0);
  });
});

describe('Loading and unloading pools', () => {
  it('replaces the attributes while addresses are taken, the addresses only when none is', () => {
    const all = pools(['rw', '10.3.0.0/29', 'dns = 10.2.0.53']);
    const alice = holder();
    lease(all, ['rw'], 'alice', { holder: alice });
    assert.equal(all.load(poolOf('rw', '10.3.0.0/29', 'dns = 10.2.0.54')), 'loaded');
    assert.equal(all.load(poolOf('rw', '10.3.0.0/28')), 'online');
    assert.equal(all.views()[0]?.size, 6);
    const bob = { identity: { type: 2, data: Uint8Array.of(98) }, holder: holder() };
    const given = all.acquire(['rw'], {
      ...bob,
      requested: { family: 4, octets: new Uint8Array(4) },
    });
    assert.deepEqual(given?.pool.attributes[0]?.value, Uint8Array.of(10, 2, 0, 54));
    all.release(alice);
    all.release(bob.holder);
    assert.equal(all.load(poolOf('rw', '10.3.0.0/29')), 'loaded');
    assert.equal(all.views()[0]?.offline, 2, 'the same addresses: nobody is forgotten');
    assert.equal(all.load(poolOf('rw', '10.3.0.0/28')), 'loaded');
    assert.equal(all.views()[0]?.size, 14);
    assert.equal(all.views()[0]?.offline, 0);
  });

  it('does not unload what is in use or was never there', () => {
    const all = pools(['rw', '10.3.0.0/29']);
    const alice = holder();
    lease(all, ['rw'], 'alice', { holder: alice });
    assert.equal(all.unload('rw'), 'online');
    assert.equal(all.unload('other'), 'unknown');
    all.release(alice);
    assert.equal(all.unload('rw'), 'unloaded');
    assert.deepEqual(all.views(), []);
    assert.equal(lease(all, ['rw'], 'alice'), undefined);
  });

  it('lists one pool or all, with leases where they are wanted', () => {
    const all = pools(['a', '10.3.0.0/29'], ['b', '10.4.0.10-10.4.0.20']);
    lease(all, ['a'], 'alice', { requested: '10.3.0.3' });
    lease(all, ['a'], 'bob', { requested: '10.3.0.2' });
    assert.deepEqual(
      all.views().map(({ name, base, size }) => [name, formatAddress(base), size]),
      [
        ['a', '10.3.0.0', 6],
        ['b', '10.4.0.10', 11],
      ],
    );
    assert.deepEqual(listed(all.views('a')[0]), ['10.3.0.2 bob online', '10.3.0.3 alice online']);
    assert.deepEqual(all.views('a', false)[0]?.leases, []);
    assert.deepEqual(all.views('c'), []);
  });
});
