import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatSpread, knownSpread, quantile, spread } from '../../bench/statistics.ts';

describe('The spread of a few rounds', () => {
  it('has the middle value of an odd number of rounds', () => {
    assert.deepEqual(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  });

  it('has the mean of the two middle values of an even number', () => {
    assert.deepEqual(spread([4, 1, 2, 8]), { median: 3, least: 1, most: 8 });
  });

  it('has as many values below the median as above it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 20 }), (values) => {
        const { median, least, most } = spread(values);
        const below = values.filter((value) => value < median).length;
        const above = values.filter((value) => value > median).length;
        return Math.max(below, above) <= values.length / 2 && least <= median && median <= most;
      }),
    );
  });

  it('leaves out what is no number, and is nothing of nothing', () => {
    assert.deepEqual(knownSpread([2, Number.NaN, 1, 1 / 0]), { median: 1.5, least: 1, most: 2 });
    assert.equal(knownSpread([Number.NaN]), undefined);
  });

  it('is printed with its ends', () => {
    assert.equal(formatSpread({ median: 1.25, least: 1, most: 2 }, 1), '1.3 [1.0-2.0]');
  });
});

describe('A quantile of many values', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it('is the value that this share does not exceed', () => {
    assert.equal(quantile(hundred, 0.99), 99);
    assert.equal(quantile(hundred, 0.5), 50);
    assert.equal(quantile(hundred, 1), 100);
  });

  it('is the only value of one, and no number of none', () => {
    assert.equal(quantile([7], 0.99), 7);
    assert.equal(quantile([], 0.5), Number.NaN);
  });
});
