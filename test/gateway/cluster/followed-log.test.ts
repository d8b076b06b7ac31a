/** What may be acknowledged of another process's log. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FollowedLog } from '../../../src/gateway/cluster/followed-log.ts';

describe("Another process's log", () => {
  it('is here from its first record on', () => {
    const log = new FollowedLog(7);
    assert.equal(log.applied, undefined);
    assert.equal(log.record(1), false);
    assert.equal(log.record(2), false);
    assert.equal(log.applied, 2);
  });

  it('waits for what was written before', () => {
    const log = new FollowedLog(7);
    assert.equal(log.record(5), true);
    assert.equal(log.record(6), true);
    assert.equal(log.applied, undefined);
    assert.equal(log.snapshot(3), true, 'number 4 is missing');
    assert.equal(log.snapshot(4), false);
    assert.equal(log.applied, 6);
  });

  it('has a gap where a record did not come', () => {
    const log = new FollowedLog(7);
    log.snapshot(4);
    assert.equal(log.record(6), true);
    assert.equal(log.applied, undefined);
    assert.equal(log.snapshot(6), false);
    assert.equal(log.applied, 6);
  });

  it('is never said to be here when something of it is not', () => {
    const step = fc.oneof(
      fc.nat(12).map((position) => ({ kind: 'record' as const, position: position + 1 })),
      fc.nat(12).map((position) => ({ kind: 'snapshot' as const, position })),
      fc.constant({ kind: 'forget' as const, position: 0 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const log = new FollowedLog(7);
        const here = new Set<number>();
        for (const { kind, position } of steps) {
          if (kind === 'forget') log.forget();
          else if (kind === 'record') log.record(position);
          else log.snapshot(position);
          if (kind === 'record') here.add(position);
          if (kind === 'snapshot') for (let one = 1; one <= position; one++) here.add(one);
          for (let one = 1; one <= (log.applied ?? 0); one++) assert.ok(here.has(one), `${one}`);
        }
      }),
    );
  });
});
