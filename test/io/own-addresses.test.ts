import assert from 'node:assert/strict';
import { OwnAddresses } from '../../src/io/own-addresses.ts';
import { ipAddress } from '../../src/wire/address.ts';

const address = (...octets: readonly number[]) => ipAddress(Uint8Array.from(octets));

describe('Own addresses', () => {
  it('are one object each, of either family', () => {
    const own = new OwnAddresses();
    const four = address(192, 0, 2, 1);
    const six = ipAddress(new Uint8Array(16).fill(1));
    assert.equal(own.shared(four), four);
    assert.equal(own.shared(six), six);
    assert.equal(own.shared(address(192, 0, 2, 1)), four);
    assert.equal(own.shared(ipAddress(new Uint8Array(16).fill(1))), six);
    assert.deepEqual(own.shared(address(192, 0, 2, 2)), address(192, 0, 2, 2));
  });

  it('are right also where there are more than any gateway has', () => {
    const own = new OwnAddresses();
    for (let round = 0; round < 2; round++) {
      for (let last = 0; last < 200; last++) {
        assert.deepEqual(own.shared(address(10, 0, 0, last)), address(10, 0, 0, last));
      }
    }
    const first = own.shared(address(10, 0, 0, 0));
    assert.equal(own.shared(address(10, 0, 0, 0)), first);
  });
});
