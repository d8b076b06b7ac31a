import assert from 'node:assert/strict';
import { Retransmission } from '../../src/ike/retransmission.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { instant } from '../../src/wire/instant.ts';

describe('Retransmission (RFC 7296 §2.4)', () => {
  it('repeats after 4, 11, 24, 47 and 89 seconds and gives up after 165', () => {
    const retransmission = new Retransmission(DEFAULT_IKE_SETTINGS, instant(0));
    const seconds: number[] = [];
    for (;;) {
      seconds.push(Math.floor(retransmission.nextAt / 1000));
      if (retransmission.expire(retransmission.nextAt) === 'give-up') break;
    }
    assert.deepEqual(seconds, [4, 11, 24, 47, 89, 165]);
    assert.equal(retransmission.attempts, 5);
  });

  it('begins with waits of its own, which do not count', () => {
    const retransmission = new Retransmission(DEFAULT_IKE_SETTINGS, instant(0), [250, 300]);
    const repeats: unknown[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const at = retransmission.nextAt;
      repeats.push([at, retransmission.expire(at), retransmission.hasEarly]);
    }
    assert.deepEqual(repeats, [
      [250, 'early', true],
      [550, 'early', false],
      [4550, 'repeat', false],
      [11_750, 'repeat', false],
    ]);
    assert.equal(retransmission.attempts, 2);
  });

  it('without tries gives up at the first deadline', () => {
    const once = new Retransmission({ ...DEFAULT_IKE_SETTINGS, retransmitTries: 0 }, instant(0));
    assert.equal(once.expire(once.nextAt), 'give-up');
  });
});
