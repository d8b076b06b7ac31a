import assert from 'node:assert/strict';
import { randomBytes } from '../../src/io/random.ts';
import { toHex } from '../../src/wire/octets.ts';

describe('Randomness of the operating system', () => {
  it('gives each octet out once, whatever sizes are asked for', () => {
    const drawn = new Set<string>();
    for (let round = 0; round < 200; round++) {
      for (const length of [16, 31, 32, 100, 500, 4000, 4096, 5000]) {
        const octets = randomBytes(length);
        assert.equal(octets.length, length);
        // Sixteen octets that were seen before, or are all zero, were not drawn.
        for (let at = 0; at + 16 <= length; at += 16) drawn.add(toHex(octets.slice(at, at + 16)));
      }
    }
    const pieces = [16, 31, 32, 100, 500, 4000, 4096, 5000].map((length) => length >> 4);
    const expected = 200 * pieces.reduce((sum, count) => sum + count, 0);
    assert.equal(drawn.size, expected);
    assert.ok(!drawn.has('00'.repeat(16)));
  });

  it('gives octets that do not change under the taker', () => {
    const first = randomBytes(32);
    const before = toHex(first);
    for (let round = 0; round < 300; round++) randomBytes(32).fill(0);
    assert.equal(toHex(first), before);
  });
});
