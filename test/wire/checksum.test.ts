import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addWord,
  checksum,
  complement,
  sumOctets,
  sumPseudoHeader,
  updateChecksum,
} from '../../src/wire/checksum.ts';

/** The definition, digit by digit: pad, add words, add the carries at the end. */
function plainChecksum(octets: readonly number[]): number {
  const padded = octets.length % 2 === 0 ? octets : [...octets, 0];
  let sum = 0n;
  for (let index = 0; index < padded.length; index += 2) {
    sum += BigInt((padded[index] ?? 0) * 256 + (padded[index + 1] ?? 0));
  }
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(sum ^ 0xffffn);
}

describe('Internet checksum (RFC 1071 §1)', () => {
  it('gives the example of RFC 1071 §3', () => {
    const octets = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    assert.equal(sumOctets(octets, 0, 8), 0xddf2);
    assert.equal(checksum(octets, 0, 8), 0x220d);
  });

  it('agrees with the definition at any offset and length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (octets, skip) => {
        const at = Math.min(skip, octets.length);
        const length = octets.length - at;
        assert.equal(checksum(octets, at, length), plainChecksum([...octets.subarray(at)]));
      }),
    );
  });

  it('does not overflow over the largest packet', () => {
    const octets = new Uint8Array(65_535).fill(0xff);
    assert.equal(checksum(octets, 0, octets.length), plainChecksum([...octets]));
  });

  it('can be carried on at an even offset', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(32), (octets, words) => {
        const cut = Math.min(words * 2, octets.length & ~1);
        const first = sumOctets(octets, 0, cut);
        assert.equal(
          complement(sumOctets(octets, cut, octets.length - cut, first)),
          plainChecksum([...octets]),
        );
      }),
    );
  });

  it('covers the pseudo-header (RFC 9293 §3.1)', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4, 16),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(255),
        fc.nat(0x1_ffff),
        (width, addresses, protocol, length) => {
          const pseudo = [
            ...addresses.subarray(0, 2 * width),
            ...[length >>> 24, length >>> 16, length >>> 8, length].map((octet) => octet & 0xff),
            ...[0, 0, 0, protocol],
          ];
          assert.equal(
            complement(sumPseudoHeader(addresses, 0, width, protocol, length)),
            plainChecksum(pseudo),
          );
        },
      ),
    );
  });

  it('adds single words', () => {
    assert.equal(addWord(0xffff, 1), 1);
    assert.equal(addWord(0x1234, 0x0001), 0x1235);
  });
});

describe('Incremental checksum (RFC 1624 §3)', () => {
  it('gives the example of RFC 1624 §4', () => {
    assert.equal(updateChecksum(0xdd2f, 0x5555, 0x3285), 0x0000);
  });

  it('equals a new computation, +0 and -0 being one number', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 40 }),
        fc.nat(3),
        fc.nat(0xffff),
        (octets, word, value) => {
          const at = word * 2;
          const before = checksum(octets, 0, octets.length);
          const old = ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
          octets.set([value >>> 8, value & 0xff], at);
          const after = checksum(octets, 0, octets.length);
          assert.equal(updateChecksum(before, old, value) % 0xffff, after % 0xffff);
        },
      ),
    );
  });
});
