import assert from 'node:assert/strict';
import { formatSpi, isReservedSpi, spi } from '../../src/ipsec/spi.ts';

describe('SPI (RFC 4303 §2.1)', () => {
  it('is 32 bits without a sign, 0-255 reserved', () => {
    assert.equal(spi(-1), 0xffff_ffff);
    assert.deepEqual([0, 255, 256, 0xffff_ffff, -1].map(isReservedSpi), [
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('prints as eight hex digits', () => {
    assert.equal(formatSpi(0xc12), '00000c12');
    assert.equal(formatSpi(-1), 'ffffffff');
  });
});
