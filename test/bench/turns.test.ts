import assert from 'node:assert/strict';
import { aligned } from '../../bench/table.ts';
import { Collected, inTurn } from '../../bench/turns.ts';

describe('Turns', () => {
  it('begin one further each round, and leave nobody out', () => {
    assert.deepEqual(inTurn(['a', 'b', 'c'], 0), ['a', 'b', 'c']);
    assert.deepEqual(inTurn(['a', 'b', 'c'], 1), ['b', 'c', 'a']);
    assert.deepEqual(inTurn(['a', 'b', 'c'], 5), ['c', 'a', 'b']);
    assert.deepEqual(inTurn([], 5), []);
  });

  it('are collected in the order of the rounds', () => {
    const collected = new Collected<number>();
    collected.add('a', 1);
    collected.add('b', 2);
    collected.add('a', 3);
    assert.deepEqual(collected.of('a'), [1, 3]);
    assert.deepEqual(collected.of('c'), []);
  });
});

describe('A table', () => {
  it('has columns as wide as their widest cell, and no blanks at the end', () => {
    assert.deepEqual(
      aligned([
        ['', 'rate'],
        ['tsgw', '1'],
      ]),
      ['      rate', 'tsgw  1'],
    );
    assert.deepEqual(aligned([]), []);
  });
});
