import assert from 'node:assert/strict';
import { EdgeDigest } from '../../src/events/edge-digest.ts';
import { createSharedCounters, SA_COUNTERS, SaCounter } from '../../src/events/shared-counters.ts';

describe('The digest of replay edges', () => {
  it('has each edge that moved, by its halves, in one batch', () => {
    const counters = createSharedCounters(8);
    const digest = new EdgeDigest(counters);
    const move = (row: number, edge: number): void => {
      counters.sas[row * SA_COUNTERS + SaCounter.SEQUENCE] = edge;
    };
    digest.add(0xc000_0001, 0);
    digest.add(0x1000, 4);
    assert.deepEqual([...digest.read()], []);
    move(0, 7);
    move(2, 99);
    move(4, 3 * 2 ** 32 + 0xffff_fffe);
    assert.deepEqual([...digest.read()], [0xc000_0001, 0, 7, 0x1000, 3, 0xffff_fffe]);
    assert.deepEqual([...digest.read()], []);
    move(0, 8);
    assert.deepEqual([...digest.read()], [0xc000_0001, 0, 8]);
    assert.deepEqual([...digest.read(true)], [0xc000_0001, 0, 8, 0x1000, 3, 0xffff_fffe]);
    digest.remove(0xc000_0001);
    move(0, 9);
    assert.deepEqual([...digest.read(true)], [0x1000, 3, 0xffff_fffe]);
    assert.equal(digest.size, 1);
  });
});
