import assert from 'node:assert/strict';
import { IvPartition, MOST_SEALED } from '../../src/ipsec/iv-partition.ts';

function ivs(partition: IvPartition, count: number): readonly string[] {
  return Array.from({ length: count }, () => {
    partition.advance();
    const half = (word: number): string => word.toString(16).padStart(8, '0');
    return half(partition.high) + half(partition.low);
  });
}

describe('IVs that several senders divide (RFC 6054 §2)', () => {
  it('are the sender and what it sealed so far', () => {
    assert.deepEqual(ivs(new IvPartition(0xabcd, 0), 2), ['abcd000000000001', 'abcd000000000002']);
    assert.deepEqual(ivs(new IvPartition(0, 0), 1), ['0000000000000001']);
  });

  it('carry within the 48 bits and never into the sender', () => {
    const partition = new IvPartition(0x0001, 0xffff_fffe);
    assert.deepEqual(ivs(partition, 3), [
      '00010000ffffffff',
      '0001000100000000',
      '0001000100000001',
    ]);
    assert.deepEqual(ivs(new IvPartition(0xffff, MOST_SEALED - 1), 1), ['ffffffffffffffff']);
  });

  it('end, rather than begin again', () => {
    const partition = new IvPartition(7, MOST_SEALED - 1);
    assert.equal(partition.left, 1);
    partition.advance();
    assert.equal(partition.left, 0);
    assert.throws(() => partition.advance(), /used up/);
    assert.equal(partition.sealed, MOST_SEALED);
  });

  it('count on under another sender', () => {
    const partition = new IvPartition(7, 41);
    partition.become(8);
    assert.deepEqual(ivs(partition, 1), ['000800000000002a']);
    assert.equal(partition.sender, 8);
  });

  it('are of a sender of 16 bits', () => {
    for (const sender of [-1, 0x1_0000, 1.5, Number.NaN]) {
      assert.throws(() => new IvPartition(sender, 0), RangeError);
      assert.throws(() => new IvPartition(0, 0).become(sender), RangeError);
    }
    for (const sealed of [-1, MOST_SEALED + 1, 0.5])
      assert.throws(() => new IvPartition(0, sealed), RangeError);
  });
});
