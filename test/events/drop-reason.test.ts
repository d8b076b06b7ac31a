import assert from 'node:assert/strict';
import { DROP_REASONS, DropReason, dropReasonName } from '../../src/events/drop-reason.ts';

const reasons = Object.entries(DropReason);

describe('Reasons to drop a packet', () => {
  it('have a number each, none of them twice', () => {
    assert.equal(new Set(reasons.map(([, number]) => number)).size, reasons.length);
  });

  it('fit into the counters', () => {
    const outside = reasons.filter(([, number]) => !(number >= 0 && number < DROP_REASONS));
    assert.deepEqual(outside, []);
  });

  it('are called what they are declared as', () => {
    for (const [name, number] of reasons) assert.equal(dropReasonName(number), name);
  });

  it('are names that fit into a log line and a metric', () => {
    const odd = reasons.filter(([name]) => name !== 'NONE' && !/^[a-z]+(-[a-z]+)*$/.test(name));
    assert.deepEqual(odd, []);
    assert.equal(DropReason.NONE, 0);
  });

  it('that are none are called by their number', () => {
    assert.equal(dropReasonName(63), 'reason-63');
  });
});
