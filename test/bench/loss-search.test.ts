import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LossSearch } from '../../bench/loss-search.ts';

/** What a search finds where nothing is lost up to `limit`. */
function found(limit: number, most: number, tries: number): number | undefined {
  const search = new LossSearch({ most, mostLoss: 0.01, tries });
  for (let rate = search.next(); rate !== undefined; rate = search.next()) {
    const loss = rate <= limit ? 0 : 1 - limit / rate;
    search.tell(rate, { sentPerSecond: rate, loss });
  }
  return search.best?.sentPerSecond;
}

describe('The search for the rate at which next to nothing is lost', () => {
  it('finds a limit within a few percent in seven tries', () => {
    fc.assert(
      fc.property(fc.double({ min: 10_000, max: 400_000, noNaN: true }), (limit) => {
        const rate = found(limit, 500_000, 7) ?? 0;
        // One in a hundred may be lost.
        assert.ok(rate <= limit * 1.02, `${rate} of ${limit}`);
        assert.ok(rate >= limit * 0.95, `${rate} of ${limit}`);
      }),
    );
  });

  it('comes near the most it may try where nothing is ever lost', () => {
    const rate = found(1e9, 500_000, 7) ?? 0;
    assert.ok(rate > 480_000 && rate <= 500_000, String(rate));
  });

  it('finds nothing where every rate loses', () => {
    assert.equal(found(1, 500_000, 7), undefined);
  });

  it('ends after its tries', () => {
    const search = new LossSearch({ most: 1000, mostLoss: 0.01, tries: 2 });
    for (const loss of [0, 1]) {
      const rate = search.next();
      assert.ok(rate !== undefined);
      search.tell(rate, { sentPerSecond: rate, loss });
    }
    assert.equal(search.next(), undefined);
  });

  it('counts what was sent, not what was asked of the sender', () => {
    const search = new LossSearch({ most: 1000, mostLoss: 0.01, tries: 2 });
    search.tell(search.next() ?? 0, { sentPerSecond: 90, loss: 0 });
    search.tell(search.next() ?? 0, { sentPerSecond: 80, loss: 0 });
    assert.equal(search.best?.sentPerSecond, 90);
  });
});
