import assert from 'node:assert/strict';
import { SequenceNumber } from '../../src/ipsec/sequence-number.ts';

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
