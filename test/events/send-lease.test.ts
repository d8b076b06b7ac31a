import assert from 'node:assert/strict';
import { SendLease } from '../../src/events/send-lease.ts';
import { instant } from '../../src/wire/instant.ts';

describe('The lease of a node', () => {
  it('holds until it is over, for all who look at its memory', () => {
    const lease = new SendLease();
    const other = new SendLease(lease.memory);
    assert.equal(other.holds(instant(1)), false);
    lease.extend(instant(1250));
    assert.equal(other.holds(instant(1249.9)), true);
    assert.equal(other.holds(instant(1250)), false);
    lease.extend(instant(1300));
    assert.equal(other.holds(instant(1250)), true);
    lease.end();
    assert.equal(other.holds(instant(1)), false);
    assert.ok(lease.memory.buffer instanceof SharedArrayBuffer);
  });
});
