import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Sad } from '../../src/ipsec/sad.ts';

describe('SAD look-up (RFC 4301 §4.1, §4.4.2)', () => {
  it('finds what was inserted, over the whole range of SPIs', () => {
    const sad = new Sad();
    for (const [row, spi] of [256, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff].entries()) {
      assert.ok(sad.insert(spi, row));
      assert.equal(sad.find(spi), row);
    }
    assert.equal(sad.find(257), -1);
    assert.equal(sad.find(0), -1);
    assert.equal(sad.size, 4);
  });

  it('keeps the row that has the SPI', () => {
    const sad = new Sad();
    sad.insert(1000, 1);
    assert.equal(sad.insert(1000, 2), false);
    assert.equal(sad.find(1000), 1);
  });

  it('refuses SPI 0 and rows below 0', () => {
    assert.throws(() => new Sad().insert(0, 1), RangeError);
    assert.throws(() => new Sad().insert(1000, -1), RangeError);
  });

  it('agrees with a Map over insertions and removals', () => {
    // Few and neighbouring SPIs, so that probes collide and slots are reused.
    const spis = fc.oneof(
      fc.integer({ min: 256, max: 300 }),
      fc.integer({ min: 1, max: 0xffff_ffff }),
    );
    const steps = fc.array(fc.record({ spi: spis, keep: fc.integer({ min: 0, max: 3 }) }), {
      maxLength: 200,
      size: 'max',
    });
    fc.assert(
      fc.property(steps, (list) => {
        const sad = new Sad();
        const map = new Map<number, number>();
        for (const [row, { spi, keep }] of list.entries()) {
          if (keep > 0) {
            assert.equal(sad.insert(spi, row), !map.has(spi));
            if (!map.has(spi)) map.set(spi, row);
          } else {
            assert.equal(sad.remove(spi), map.delete(spi));
          }
          assert.equal(sad.size, map.size);
          for (const { spi: any } of list) assert.equal(sad.find(any), map.get(any) ?? -1);
        }
      }),
      { numRuns: 100 },
    );
  });
});
