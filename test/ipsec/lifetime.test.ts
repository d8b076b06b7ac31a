import assert from 'node:assert/strict';
import fc from 'fast-check';
import { drawSoft } from '../../src/ipsec/lifetime.ts';

/** A draw of this number, as four octets. */
function drawing(number: number): (length: number) => Uint8Array {
  return (length) => {
    assert.equal(length, 4);
    const octets = new Uint8Array(4);
    new DataView(octets.buffer).setUint32(0, number);
    return octets;
  };
}

const NEVER_DRAWN = () => assert.fail('nothing is to be drawn');

describe('The soft bound of a lifetime (RFC 7296 §2.8)', () => {
  it('is never where none is configured', () => {
    assert.equal(drawSoft(0, 0, NEVER_DRAWN), undefined);
    assert.equal(drawSoft(0, 360, NEVER_DRAWN), undefined);
  });

  it('loses a share of the random part, first octet most', () => {
    const drawn = [0, 0x4000_0000, 0x8000_0000, 0xc000_0000].map((number) =>
      drawSoft(3600, 400, drawing(number)),
    );
    assert.deepEqual(drawn, [3600, 3500, 3400, 3300]);
  });

  it('is exact without a random part', () => {
    assert.equal(drawSoft(3600, 0, drawing(0xffff_ffff)), 3600);
  });

  it('is one at least where the random part is larger than all of it', () => {
    assert.equal(drawSoft(10, 1000, drawing(0x8000_0000)), 5);
    assert.equal(drawSoft(10, 1000, drawing(0xffff_ffff)), 1);
  });

  it('is between the bound less its random part and the bound', () => {
    const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.nat(), uint32, (rekey, random, number) => {
        const soft = drawSoft(rekey, random, drawing(number)) ?? Number.NaN;
        assert.ok(soft <= rekey && soft >= Math.max(1, rekey - random), `${soft}`);
      }),
    );
  });
});
