import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatSegments, parseSegments } from '../../src/vici/segment-list.ts';

describe('Segments as operators write them', () => {
  it('are numbers, ranges and lists of both', () => {
    assert.deepEqual(parseSegments(['3', '5-7,0'], 8), [0, 3, 5, 6, 7]);
    assert.deepEqual(parseSegments(['all'], 4), [0, 1, 2, 3]);
    assert.deepEqual(parseSegments(['1', '1-2'], 4), [1, 2]);
  });

  it('are refused by name', () => {
    assert.equal(parseSegments(['8'], 8), 'segment 8: there are 8, 0 to 7');
    assert.equal(parseSegments(['0-8'], 8), 'segment 8: there are 8, 0 to 7');
    assert.equal(parseSegments(['3-1'], 8), '3-1: the range ends before it begins');
    for (const word of ['', '-1', '1-', 'x', '1.5', 'ALL', '123456', '1,']) {
      assert.match(
        String(parseSegments([word], 8)),
        /write a segment, a range such as 0-63, or all/,
      );
    }
  });

  it('come back as they are from the shortest text of them', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(63), { minLength: 1 }), (segments) => {
        const text = formatSegments(segments);
        assert.deepEqual(
          parseSegments([text], 64),
          segments.toSorted((a, b) => a - b),
        );
        // Neighbours are always one range.
        const ends = text.split(/[,-]/).map(Number);
        assert.ok(ends.every((end, at) => at === 0 || end > (ends[at - 1] ?? 0)));
        for (const [, last = '', first = ''] of text.matchAll(/(\d+),(\d+)/g)) {
          assert.ok(Number(first) > Number(last) + 1, text);
        }
      }),
    );
    assert.equal(formatSegments([]), '');
  });
});
