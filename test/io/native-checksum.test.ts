import assert from 'node:assert/strict';
import fc from 'fast-check';
import { native } from '../../src/io/native.ts';
import { sumOctets } from '../../src/wire/checksum.ts';
import { describeNative } from '../support/native-addon.ts';

describeNative('Native checksum (RFC 1071)', () => {
  it('adds the example of RFC 1071 §3', () => {
    const octets = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    assert.equal(native().checksum(octets, 0, 8, 0), 0xddf2);
  });

  it('equals the plain sum for any octets, offset, length and initial value', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100, size: 'max' }),
        fc.nat(9),
        fc.nat(0xffff),
        (octets, skip, initial) => {
          const offset = Math.min(skip, octets.length);
          const length = octets.length - offset;
          const sum = native().checksum(octets, offset, length, initial);
          assert.equal(sum, sumOctets(octets, offset, length, initial));
        },
      ),
    );
  });

  it('refuses a range outside the octets', () => {
    assert.throws(() => native().checksum(new Uint8Array(4), 2, 3, 0), RangeError);
    assert.throws(() => native().checksum(new Uint8Array(4), -1, 1, 0), RangeError);
  });
});
