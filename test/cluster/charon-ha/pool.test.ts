/**
 * Pools that two nodes of a strongSwan HA cluster share.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HaPool } from '../../../src/cluster/charon-ha/pool.ts';
import { formatAddress, parseAddress, parsePrefix } from '../../../src/wire/address.ts';

function pool(text: string, segmentCount: number): HaPool {
  return new HaPool('rw', parsePrefix(text) ?? assert.fail(text), segmentCount);
}

function acquired(from: HaPool, active: readonly number[]): string | undefined {
  const address = from.acquire(active);
  return address && formatAddress(address);
}

function address(text: string) {
  return parseAddress(text) ?? assert.fail(text);
}

describe('A pool of a strongSwan HA cluster', () => {
  it('gives what charon 5.9.8 gives with one segment of four', () => {
    const given = [1, 2, 3, 4].map((segment) => acquired(pool('10.3.0.0/24', 4), [segment]));
    assert.deepEqual(given, ['10.3.0.4', '10.3.0.1', '10.3.0.2', '10.3.0.3']);
  });

  it('gives every address but the first and the last once', () => {
    const small = pool('10.3.0.8/29', 2);
    const given = Array.from({ length: 8 }, () => acquired(small, [1, 2]));
    const expected = [9, 10, 11, 12, 13, 14].map((last) => `10.3.0.${last}`);
    assert.deepEqual(given, [...expected, undefined, undefined]);
    assert.equal(acquired(small, []), undefined);
  });

  it('gives again what was released, and not what the other node gave', () => {
    const own = pool('10.3.0.0/24', 2);
    assert.ok(own.reserve(address('10.3.0.1')));
    assert.equal(acquired(own, [2]), '10.3.0.3');
    assert.ok(own.release(address('10.3.0.1')));
    assert.equal(acquired(own, [2]), '10.3.0.1');
    assert.equal(acquired(own, [2]), '10.3.0.5');
  });

  it('knows what is not its own', () => {
    const own = pool('10.3.0.0/24', 2);
    for (const text of ['10.3.0.0', '10.3.0.255', '10.3.1.0', '10.2.255.255', '2001:db8::1']) {
      assert.equal(own.reserve(address(text)), false, text);
      assert.equal(own.release(address(text)), false, text);
    }
  });

  it('holds IPv6 addresses, of a large subnet the first 2^24', () => {
    const large = pool('2001:db8::/64', 1);
    assert.equal(acquired(large, [1]), '2001:db8::1');
    assert.equal(large.reserve(address('2001:db8::ff:fffe')), true);
    assert.equal(large.reserve(address('2001:db8::100:0')), false);
  });

  it('never gives one address twice, whoever gives', () => {
    const step = fc.record({ take: fc.boolean(), node: fc.nat(1), which: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const nodes = [pool('10.3.0.0/27', 2), pool('10.3.0.0/27', 2)];
        const held: string[] = [];
        for (const { take, node, which } of steps) {
          if (take) {
            const given = acquired(nodes[node] ?? assert.fail(), [node + 1]);
            if (given === undefined) continue;
            assert.ok(!held.includes(given), given);
            assert.ok(nodes[1 - node]?.reserve(address(given)));
            held.push(given);
          } else {
            const [given] = held.splice(which % Math.max(1, held.length), 1);
            if (given !== undefined) for (const each of nodes) each.release(address(given));
          }
        }
      }),
    );
  });
});
