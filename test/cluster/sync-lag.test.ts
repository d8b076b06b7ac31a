import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SyncLag } from '../../src/cluster/sync-lag.ts';

describe('How long changes take until other nodes have them', () => {
  it('is nothing before the first', () => {
    const lag = new SyncLag();
    assert.deepEqual([lag.count, lag.quantile(0.5), lag.quantile(0.99)], [0, 0, 0]);
  });

  it('is the lag that so many of the last thousand did not exceed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 1500 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (lags, share) => {
          const lag = new SyncLag();
          for (const one of lags) lag.add(one);
          assert.equal(lag.count, lags.length);
          const last = lags.slice(-1024);
          const found = lag.quantile(share);
          assert.ok(last.includes(found));
          const within = last.filter((one) => one <= found).length;
          const below = last.filter((one) => one < found).length;
          assert.ok(within >= last.length * share && below < last.length * share);
        },
      ),
    );
  });
});
