import assert from 'node:assert/strict';
import { MAX_REPLAY_WINDOW, ReplayVerdict, ReplayWindow } from '../../src/ipsec/replay-window.ts';

const { FRESH, REPLAYED, LEFT_OF_WINDOW } = ReplayVerdict;

/** One packet whose ICV is good: checked, then taken in. */
function receive(window: ReplayWindow, low: number): number {
  const verdict = window.check(low);
  return verdict === FRESH ? window.update(window.high, low) : verdict;
}

describe('Replay window (RFC 4303 §3.4.3)', () => {
  it('accepts each number once', () => {
    const window = new ReplayWindow(64, false);
    assert.equal(receive(window, 1), FRESH);
    assert.equal(receive(window, 3), FRESH);
    assert.equal(receive(window, 2), FRESH);
    assert.deepEqual(
      [1, 2, 3].map((low) => window.check(low)),
      [REPLAYED, REPLAYED, REPLAYED],
    );
    assert.deepEqual([window.topHigh, window.topLow], [0, 3]);
  });

  it('follows a sender that loses nothing, and knows all it has seen', () => {
    for (const size of [32, 64, 1024]) {
      const window = new ReplayWindow(size, false);
      for (let low = 1; low <= 3000; low++) {
        assert.equal(receive(window, low), FRESH);
        const oldest = Math.max(1, low - size + 1);
        assert.equal(window.check(oldest), REPLAYED);
      }
    }
  });

  it('never accepts zero, which no sender uses', () => {
    assert.equal(new ReplayWindow(64, false).check(0), LEFT_OF_WINDOW);
    assert.equal(new ReplayWindow(0, true).check(0), LEFT_OF_WINDOW);
  });

  it('drops a number to the left of the window, at exactly its size', () => {
    for (const size of [1, 31, 32, 33, 1024, MAX_REPLAY_WINDOW]) {
      const window = new ReplayWindow(size, false);
      receive(window, 1_000_000);
      assert.equal(window.check(1_000_000 - size + 1), size === 1 ? REPLAYED : FRESH);
      assert.equal(window.check(1_000_000 - size), LEFT_OF_WINDOW);
    }
  });

  it('tells the newest packet from one that was late, and from a copy', () => {
    for (const size of [0, 64]) {
      const window = new ReplayWindow(size, false);
      const advances = (low: number): boolean => {
        window.update(0, low);
        return window.advanced;
      };
      assert.deepEqual([5, 4, 5, 6, 6].map(advances), [true, false, false, true, false]);
    }
  });

  it('sees that the peer has few numbers left', () => {
    const short = new ReplayWindow(64, false);
    short.update(0, 0xefff_ffff);
    assert.equal(short.nearlyUsed, false);
    short.update(0, 0xf000_0000);
    assert.equal(short.nearlyUsed, true);
    const long = new ReplayWindow(64, true);
    long.update(0, 0xffff_ffff);
    assert.equal(long.nearlyUsed, false);
    long.update(0xf000_0000, 0);
    assert.equal(long.nearlyUsed, true);
  });

  it('changes nothing before the ICV is verified', () => {
    const window = new ReplayWindow(64, false);
    assert.equal(window.check(5000), FRESH);
    assert.equal(window.check(5000), FRESH);
    assert.equal(window.topLow, 0);
  });

  it('takes one of two equal packets that were checked in one batch', () => {
    const window = new ReplayWindow(64, false);
    assert.equal(window.check(7), FRESH);
    assert.equal(window.check(7), FRESH);
    assert.equal(window.update(0, 7), FRESH);
    assert.equal(window.update(0, 7), REPLAYED);
  });

  it('does not wrap without ESN', () => {
    const window = new ReplayWindow(64, false);
    receive(window, 0xffff_ffff);
    assert.equal(window.check(5), LEFT_OF_WINDOW);
    assert.equal(window.high, 0);
  });

  it('accepts everything but zero with size 0', () => {
    const window = new ReplayWindow(0, false);
    assert.deepEqual(
      [5, 5, 1].map((low) => receive(window, low)),
      [FRESH, FRESH, FRESH],
    );
    assert.equal(window.topLow, 5);
  });

  it('refuses sizes it cannot hold', () => {
    for (const size of [-1, 1.5, MAX_REPLAY_WINDOW + 1]) {
      assert.throws(() => new ReplayWindow(size, false), RangeError);
    }
  });
});

describe('Replay window with ESN (RFC 4303 Appendix A)', () => {
  it('infers the next high half when the low half wraps', () => {
    const window = new ReplayWindow(64, true);
    window.update(0, 0xffff_fff0);
    assert.equal(receive(window, 0xffff_ffff), FRESH);
    assert.equal(receive(window, 0), FRESH);
    assert.deepEqual([window.topHigh, window.topLow], [1, 0]);
    assert.equal(receive(window, 0xffff_fffe), FRESH);
    assert.equal(window.high, 0);
    assert.equal(window.check(0xffff_ffff), REPLAYED);
    assert.equal(window.check(1), FRESH);
    assert.equal(window.high, 1);
  });

  it('takes a number far left of the window for one of the next round', () => {
    const window = new ReplayWindow(64, true);
    window.update(3, 1000);
    window.check(1000 - 64);
    assert.equal(window.high, 4);
    window.check(1000 - 63);
    assert.equal(window.high, 3);
  });

  it('has nothing before the first round and after the last', () => {
    const window = new ReplayWindow(64, true);
    assert.equal(window.check(0xffff_fff0), LEFT_OF_WINDOW);
    window.update(0xffff_ffff, 0x8000_0000);
    assert.equal(window.check(5), LEFT_OF_WINDOW);
    assert.equal(window.check(0x8000_0001), FRESH);
  });

  it('follows the rounds with size 0', () => {
    const window = new ReplayWindow(0, true);
    window.update(0, 0xffff_ffff);
    window.check(1);
    assert.equal(window.high, 1);
  });

  it('forgets the whole window after a jump', () => {
    const window = new ReplayWindow(1024, true);
    for (let low = 1; low <= 1024; low++) receive(window, low);
    window.update(7, 1024);
    for (let low = 1; low < 1024; low++) assert.equal(window.check(low), FRESH);
  });
});
