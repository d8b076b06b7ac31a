/**
 * P8, no address for two clients, ever: for many seeds, and never without one of the rules.
 */
import assert from 'node:assert/strict';
import type { PoolRule } from '../../../src/cluster/pools/cluster-pool.ts';
import { DoubleLease, PoolWorld } from './pool-world.ts';

const SEEDS = 60;
const MOST_SEEDS = 300;

const RULES: readonly PoolRule[] = [
  'offered-first',
  'written-only',
  'holder-leases',
  'list-before',
];

describe('An address pool of a cluster', () => {
  it('never gives an address to two, and loses none', function () {
    this.timeout(60_000);
    let leases = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new PoolWorld({ seed });
      world.run();
      leases += world.leases;
    }
    assert.ok(leases > SEEDS * 20, `${leases} leases`);
  });

  for (const without of RULES) {
    it(`gives one to two without ${without}`, function () {
      this.timeout(120_000);
      for (let seed = 1; seed <= MOST_SEEDS; seed++) {
        if (isDouble(seed, without)) return;
      }
      assert.fail(`P8 holds for ${MOST_SEEDS} seeds without ${without}`);
    });
  }
});

function isDouble(seed: number, without: PoolRule): boolean {
  try {
    new PoolWorld({ seed, without }).run();
  } catch (error) {
    if (error instanceof DoubleLease) return true;
  }
  return false;
}
