/**
 * Where the addresses of a pool are at home.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HomeSegments } from '../../../src/cluster/pools/home-segments.ts';
import { segmentHash } from '../../../src/cluster/segment-hash.ts';
import {
  type AddressRange,
  addressAfter,
  type IpAddress,
  parseAddress,
} from '../../../src/wire/address.ts';

const first4 = addressOf('10.0.0.0');
const first6 = addressOf('2001:db8::fffe');

/** A pool of 1 to 2^20 addresses, as often a small one, among 1 to 256 segments. */
const pools = fc
  .record({
    size: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 20 })),
    bits: fc.integer({ min: 0, max: 8 }),
    seed: fc.integer({ min: 0, max: 0xffff_ffff }),
    first: fc.constantFrom(first4, first6),
    name: fc.string(),
  })
  .map(({ size, bits, seed, first, name }) => {
    const range = { first, last: addressAfter(first, size - 1) };
    return { range, homes: new HomeSegments(name, range, segmentHash(2 ** bits, seed)) };
  });

describe('Home segments of a pool', () => {
  it('are equally large, to one address', () => {
    fc.assert(
      fc.property(pools, ({ homes }) => {
        const sizes = segmentsOf(homes).map((segment) => homes.piece(segment).size);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `${sizes}`);
        assert.equal(
          sizes.reduce((sum, size) => sum + size, 0),
          homes.size,
        );
      }),
    );
  });

  it('own each address once: pieces and addresses say the same', () => {
    fc.assert(
      fc.property(pools, fc.nat(), ({ homes }, chosen) => {
        const place = chosen % homes.size;
        const holders = segmentsOf(homes).filter((segment) => {
          const { first, size } = homes.piece(segment);
          return place >= first && place < first + size;
        });
        assert.deepEqual(holders, [homes.home(place)]);
        assert.equal(homes.place(homes.address(place)), place);
      }),
    );
  });

  it('of pools with few addresses are not always the same', () => {
    const homes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => {
      const one = new HomeSegments(name, { first: first4, last: first4 }, segmentHash(256, 7));
      return one.home(0);
    });
    assert.ok(new Set(homes).size > 5, `${homes}`);
  });

  it('do not change from version to version: nodes of both have the same', () => {
    const range = { first: first4, last: addressAfter(first4, 15) };
    const homes = new HomeSegments('rw', range, segmentHash(8, 0x5eed));
    const found = Array.from({ length: 16 }, (_, place) => homes.home(place));
    assert.deepEqual(found, FROZEN);
  });

  it('are those of a pool of 2^31 - 2 addresses, too', () => {
    const range: AddressRange = { first: first6, last: addressAfter(first6, 2 ** 31 - 3) };
    const homes = new HomeSegments('large', range, segmentHash(256, 1));
    const { first, size } = homes.piece(homes.home(homes.size - 1));
    assert.equal(first + size, homes.size);
  });

  it('refuse a pool of more than 32 bits', () => {
    const range = { first: first6, last: addressOf('2001:db8:1::') };
    assert.throws(() => new HomeSegments('x', range, segmentHash(256, 1)), /addresses, not 1 to/);
  });
});

function segmentsOf(homes: HomeSegments): readonly number[] {
  return Array.from({ length: homes.segments }, (_, segment) => segment);
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}

const FROZEN: readonly number[] = [2, 2, 3, 3, 1, 1, 5, 5, 4, 4, 7, 7, 6, 6, 0, 0];
