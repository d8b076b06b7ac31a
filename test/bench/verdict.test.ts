import assert from 'node:assert/strict';
import { atLeast, atMost, noneMissed, verdictLines } from '../../bench/verdict.ts';

describe('A limit and what was measured', () => {
  it('is kept at the limit itself', () => {
    assert.equal(atLeast('rate', 5, 5).kept, true);
    assert.equal(atMost('cost', 1.5, 1.5).kept, true);
  });

  it('is missed on the wrong side of it', () => {
    assert.equal(atLeast('rate', 5, 4.99).kept, false);
    assert.equal(atMost('cost', 1.5, 1.51).kept, false);
  });

  it('is missed by what never came back', () => {
    assert.equal(atMost('ping', 5, Number.POSITIVE_INFINITY).kept, false);
    assert.equal(atLeast('rate', 5, Number.NaN).kept, false);
  });

  it('is open where nothing was measured, and open limits are not missed', () => {
    const open = atLeast('rate', 5, undefined);
    assert.deepEqual(open, { limit: 'rate', measured: 'not measured' });
    assert.equal(noneMissed([open, atLeast('rate', 5, 6)]), true);
    assert.equal(noneMissed([open, atLeast('rate', 5, 4)]), false);
  });

  it('is one line', () => {
    const verdicts = [atLeast('a', 5, 6), atLeast('b', 5, 4), atMost('c', 5, undefined)];
    assert.deepEqual(verdictLines(verdicts), [
      'kept    a: 6.00',
      'MISSED  b: 4.00',
      'open    c: not measured',
    ]);
  });
});
