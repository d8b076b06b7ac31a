import assert from 'node:assert/strict';
import {
  laterNumber,
  numberAfter,
  numbersBetween,
  SequenceNumber,
} from '../../src/ipsec/sequence-number.ts';

describe('Sequence numbers (RFC 4303 §3.3.3)', () => {
  it('start at 1', () => {
    const sequence = new SequenceNumber(false);
    assert.ok(sequence.advance());
    assert.deepEqual([sequence.high, sequence.low], [0, 1]);
    assert.ok(sequence.advance());
    assert.deepEqual([sequence.high, sequence.low], [0, 2]);
  });

  it('end with 2^32 - 1 without ESN', () => {
    const sequence = new SequenceNumber(false);
    sequence.resumeAfter(0, 0xffff_fffe);
    assert.ok(sequence.advance());
    assert.equal(sequence.low, 0xffff_ffff);
    assert.equal(sequence.advance(), false);
    assert.equal(sequence.advance(), false);
    assert.deepEqual([sequence.high, sequence.low], [0, 0xffff_ffff]);
  });

  it('carry into the high half with ESN and end with 2^64 - 1', () => {
    const sequence = new SequenceNumber(true);
    sequence.resumeAfter(0, 0xffff_ffff);
    assert.ok(sequence.advance());
    assert.deepEqual([sequence.high, sequence.low], [1, 0]);
    sequence.resumeAfter(0xffff_ffff, 0xffff_fffe);
    assert.ok(sequence.advance());
    assert.equal(sequence.advance(), false);
    assert.deepEqual([sequence.high, sequence.low], [0xffff_ffff, 0xffff_ffff]);
  });

  it('are nearly used from 15 sixteenths of them on', () => {
    const short = new SequenceNumber(false);
    assert.equal(short.nearlyUsed, false);
    short.resumeAfter(0, 0xefff_ffff);
    assert.equal(short.nearlyUsed, false);
    short.advance();
    assert.equal(short.nearlyUsed, true);
    const long = new SequenceNumber(true);
    long.resumeAfter(0xefff_ffff, 0xffff_ffff);
    assert.equal(long.nearlyUsed, false);
    long.advance();
    assert.equal(long.nearlyUsed, true);
  });
});

describe('Sequence numbers that are allotted', () => {
  it('are as many as was said last', () => {
    const sequence = new SequenceNumber(true);
    sequence.allot(2);
    assert.deepEqual(
      [1, 2, 3].map(() => sequence.advance()),
      [true, true, false],
    );
    assert.equal(sequence.low, 2);
    sequence.allot(1);
    assert.deepEqual(
      [1, 2].map(() => sequence.advance()),
      [true, false],
    );
    sequence.allot(0);
    assert.equal(sequence.advance(), false);
  });

  it('are counted over the end of a half', () => {
    const sequence = new SequenceNumber(true);
    sequence.resumeAfter(3, 0xffff_fffd);
    sequence.allot(4);
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => sequence.advance()),
      [true, true, true, true, false],
    );
    assert.deepEqual([sequence.high, sequence.low], [4, 1]);
    sequence.resumeAfter(3, 0xffff_ffff);
    assert.equal(sequence.advance(), false, 'what was allotted is gone');
    sequence.allot(1);
    assert.equal(sequence.advance(), true);
    assert.deepEqual([sequence.high, sequence.low], [4, 0]);
    assert.equal(sequence.advance(), false);
  });

  it('are no more than there are without ESN', () => {
    const sequence = new SequenceNumber(false);
    sequence.resumeAfter(0, 0xffff_fffe);
    sequence.allot(10);
    assert.deepEqual(
      [1, 2].map(() => sequence.advance()),
      [true, false],
    );
  });
});

describe('Numbers by their halves', () => {
  const last = { high: 0xffff_ffff, low: 0xffff_ffff };

  it('are apart by so many, either way', () => {
    assert.equal(numbersBetween({ high: 1, low: 0xffff_ffff }, { high: 2, low: 1 }), 2);
    assert.equal(numbersBetween({ high: 2, low: 1 }, { high: 1, low: 0xffff_ffff }), -2);
    assert.equal(numbersBetween(last, last), 0);
  });

  it('follow one another, up to the last', () => {
    assert.deepEqual(numberAfter({ high: 1, low: 0xffff_ffff }, 2), { high: 2, low: 1 });
    assert.deepEqual(numberAfter({ high: 0xffff_ffff, low: 0xffff_fff0 }, 15), last);
    assert.deepEqual(numberAfter({ high: 0xffff_ffff, low: 0xffff_fff0 }, 16), last);
  });

  it('are one later than the other', () => {
    const [one, other] = [
      { high: 1, low: 5 },
      { high: 0, low: 9 },
    ];
    assert.equal(laterNumber(one, other), one);
    assert.equal(laterNumber(other, one), one);
  });
});
