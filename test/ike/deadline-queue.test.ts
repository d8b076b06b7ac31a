import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DeadlineQueue } from '../../src/ike/deadline-queue.ts';
import { instant } from '../../src/wire/instant.ts';

describe('The queue of deadlines', () => {
  it('answers what a sorted list answers', () => {
    const step = fc.record({
      key: fc.nat(40),
      at: fc.option(fc.nat(100), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(100), (steps, now) => {
        const queue = new DeadlineQueue<number>();
        const plain = new Map<number, number>();
        for (const { key, at } of steps) {
          queue.set(key, at === undefined ? undefined : instant(at));
          if (at === undefined) plain.delete(key);
          else plain.set(key, at);
          const sorted = [...plain.values()].sort((x, y) => x - y);
          assert.equal(queue.first, sorted[0]);
        }
        const due = [...plain].filter(([, at]) => at <= now).map(([key]) => key);
        assert.deepEqual([...queue.due(instant(now))].sort(), due.sort());
      }),
      { numRuns: 200 },
    );
  });
});
