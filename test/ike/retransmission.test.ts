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

  it('without tries gives up at the first deadline', () => {
    const once = new Retransmission({ ...DEFAULT_IKE_SETTINGS, retransmitTries: 0 }, instant(0));
    assert.equal(once.expire(once.nextAt), 'give-up');
  });
});
