import assert from 'node:assert/strict';
import { createBatch, emptyRows, HEADROOM, SLOT_OCTETS, WORDS, Word } from '../../src/esp/batch.ts';

describe('Rows of a batch', () => {
  it('have a slot each, with room in front and behind where ESP will need it', () => {
    const batch = createBatch(3);
    emptyRows(batch, 3, HEADROOM);
    for (let row = 0; row < 3; row++) {
      const offset = batch.words[row * WORDS + Word.OFFSET]!;
      const end = offset + batch.words[row * WORDS + Word.LENGTH]!;
      assert.equal(offset, row * SLOT_OCTETS + HEADROOM);
      // Padding to a block of 16, trailer and the longest ICV.
      assert.ok(end + 15 + 2 + 32 <= (row + 1) * SLOT_OCTETS);
      assert.ok(end - offset >= 9000);
      assert.equal(batch.words[row * WORDS + Word.PATH], -1);
    }
  });

  it('are left alone behind the count', () => {
    const batch = createBatch(2);
    emptyRows(batch, 1, 0);
    assert.equal(batch.words[Word.LENGTH], SLOT_OCTETS);
    assert.equal(batch.words[WORDS + Word.LENGTH], 0);
  });
});
