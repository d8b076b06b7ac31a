import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { equalSecrets } from '../../src/crypto/constant-time.ts';

describe('Comparison of secrets', () => {
  it('finds a copy equal and any other octets unequal', () => {
    const octets = fc.uint8Array({ maxLength: 20 });
    fc.assert(
      fc.property(octets, octets, (a, b) => {
        assert.equal(equalSecrets(a, Uint8Array.from(a)), true);
        assert.equal(equalSecrets(a, b), Buffer.compare(a, b) === 0);
      }),
    );
  });

  it('finds one flipped bit, wherever it is', () => {
    const secret = Uint8Array.from({ length: 32 }, (_, index) => index);
    for (let bit = 0; bit < 256; bit++) {
      const other = Uint8Array.from(secret);
      other[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(equalSecrets(secret, other), false);
    }
  });

  it('answers no, and throws nothing, for octets of different lengths', () => {
    assert.equal(equalSecrets(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)), false);
    assert.equal(equalSecrets(new Uint8Array(0), Uint8Array.of(0)), false);
  });
});
