import assert from 'node:assert/strict';
import { native } from '../../src/io/native.ts';
import { practise } from '../../src/io/practice.ts';
import { practicePackets } from '../../src/io/practice-packets.ts';
import { describeNative } from '../support/native-addon.ts';

describeNative('Practice of the packet loop', () => {
  for (const offload of [undefined, { udp: true }]) {
    const name = offload === undefined ? 'one by one' : 'with super-packets';
    it(`gets every packet through and out again, ${name}`, () => {
      const setup = { offload, mssClamp: true, tunMtu: 1400, outerMtu: 1500 };
      const { small, large, unwanted } = practicePackets(offload);
      // One round: the small ones alone, the large ones alone, the small ones at once.
      const delivered = practise({ setup, addon: native(), rounds: 1 });
      // What was cut is joined again; twice, for there are two loops.
      assert.equal(delivered, 2 * (2 * (small.length - unwanted) + large.length));
    });
  }

  it('ends in time', () => {
    const setup = { offload: undefined, mssClamp: true, tunMtu: 1400, outerMtu: 1500 };
    assert.equal(practise({ setup, addon: native(), mostMilliseconds: 0 }), 0);
  });
});
