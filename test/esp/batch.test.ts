import assert from 'node:assert/strict';
import { createBatch, createRows, emptyRows, HEADROOM, WORDS, Word } from '../../src/esp/batch.ts';

describe('Rows of a batch', () => {
  it('have a slot each, with room in front, for the largest packet there is', () => {
    const batch = createBatch(3);
    for (let row = 0; row < 3; row++) {
      const offset = batch.words[row * WORDS + Word.OFFSET]!;
      const end = offset + batch.words[row * WORDS + Word.LENGTH]!;
      assert.equal(offset, row * batch.slotOctets + HEADROOM);
      assert.equal(end, (row + 1) * batch.slotOctets);
      assert.ok(end - offset >= 65_535);
      assert.equal(batch.words[row * WORDS + Word.SOURCE_LENGTH], 0);
      assert.equal(batch.words[row * WORDS + Word.NEXT], 0);
    }
    assert.equal(batch.arena.length, 3 * batch.slotOctets);
  });

  it('are left alone behind the count', () => {
    const batch = createBatch(2, 1000);
    batch.words.fill(7);
    emptyRows(batch, 1);
    assert.equal(batch.words[Word.LENGTH], 1000 - HEADROOM);
    assert.equal(batch.words[WORDS + Word.LENGTH], 7);
  });

  it('may stand over memory of another batch', () => {
    const batch = createBatch(2, 1000, 500);
    const rows = createRows(batch.arena, 9);
    assert.equal(batch.arena.length, 2500);
    assert.equal(rows.arena, batch.arena);
    assert.equal(rows.words.length, 9 * WORDS);
  });
});
