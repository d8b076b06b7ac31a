import assert from 'node:assert/strict';
import fc from 'fast-check';
import { smallWords } from '../../src/wire/small-words.ts';

describe('Words for small tables', () => {
  it('are zero, and nobody else writes them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(600), { minLength: 1, maxLength: 60 }), (lengths) => {
        const tables = lengths.map((length) => smallWords(length));
        for (const [at, table] of tables.entries()) {
          assert.equal(table.length, lengths[at]);
          assert.ok(table.every((word) => word === 0));
          table.fill(at + 1);
        }
        for (const [at, table] of tables.entries()) {
          assert.ok(table.every((word) => word === at + 1));
        }
      }),
    );
  });

  it('share memory', () => {
    const buffers = new Set(Array.from({ length: 100 }, () => smallWords(64).buffer));
    assert.ok(buffers.size <= 5, `${buffers.size} pieces of memory for 100 tables`);
  });
});
