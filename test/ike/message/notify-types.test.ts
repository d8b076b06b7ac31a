/**
 * Notify types: the border between errors and status, and the names.
 */
import { strict as assert } from 'node:assert';
import { isErrorNotify, NotifyType, notifyName } from '../../../src/ike/message/notify-types.ts';

describe('notify types', () => {
  it('are errors below 16384, known or not', () => {
    assert.ok(isErrorNotify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD));
    assert.ok(isErrorNotify(8192));
    assert.ok(isErrorNotify(16383));
    assert.ok(!isErrorNotify(NotifyType.INITIAL_CONTACT));
    assert.ok(!isErrorNotify(65535));
  });

  it('have one number for each name, and print as it', () => {
    const types = Object.values(NotifyType);
    assert.equal(new Set(types).size, types.length);
    for (const [name, type] of Object.entries(NotifyType)) assert.equal(notifyName(type), name);
    assert.equal(notifyName(40_000), '40000');
  });
});
