/**
 * The segment hash against figures, and against a lookup3 written down plainly.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  jhash,
  scaled,
  segmentHash,
  segmentOfAddress,
  segmentOfIkeSpi,
  segmentOfSpi,
  sourceSeed,
} from '../../src/cluster/segment-hash.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';

interface HashVector {
  readonly key: string;
  readonly seed: number;
  readonly hash: string;
  readonly segmentOf2: number;
  readonly segmentOf256: number;
}

const file: { readonly cases: readonly HashVector[] } = JSON.parse(
  readFileSync('vectors/cluster/nft-jhash.json', 'utf8'),
);

/** The segment by the function for keys of this length. */
function segmentOf(key: Uint8Array, count: number, seed: number): number {
  const hash = segmentHash(count, seed);
  return key.length === 4
    ? segmentOfSpi(Number.parseInt(toHex(key), 16), hash)
    : segmentOfIkeSpi(key, hash);
}

describe('The segment hash (nft(8), jhash)', () => {
  it('has figures to agree with', () => assert.equal(file.cases.length, 22));

  for (const { key, seed, hash, segmentOf2, segmentOf256 } of file.cases) {
    it(`of ${key} with seed ${seed.toString(16)}`, () => {
      const octets = fromHex(key);
      assert.equal(jhash(octets, seed).toString(16).padStart(8, '0'), hash);
      assert.equal(segmentOf(octets, 2, seed), segmentOf2);
      assert.equal(segmentOf(octets, 256, seed), segmentOf256);
    });
  }

  it('of a key of every length is that of the words written down plainly', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40, size: 'max' }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (key, seed) => assert.equal(jhash(key, seed), plainLookup3(key, seed)),
      ),
    );
  });

  it('of an SPI as a number is that of its octets', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (key, seed) =>
          assert.equal(segmentOf(key, 256, seed), scaled(jhash(key, seed), 256), toHex(key)),
      ),
    );
  });

  it('covers its range, both ends included', () => {
    assert.deepEqual([scaled(0, 256), scaled(0xffffffff, 256)], [0, 255]);
    assert.deepEqual([scaled(0, 1), scaled(0xffffffff, 1)], [0, 0]);
  });

  it('refuses counts and seeds that nodes cannot agree on', () => {
    for (const count of [0, 3, 255, 8192, -256, 0.5, Number.NaN]) {
      assert.throws(() => segmentHash(count, 0), /segments: not a power of two/, String(count));
    }
    for (const seed of [-1, 2 ** 32, 0.5]) {
      assert.throws(() => segmentHash(256, seed), /segment seed .*: not a number of 32 bits/);
    }
    assert.throws(() => segmentOfIkeSpi(new Uint8Array(4), segmentHash(256, 0)), /of 4 octets/);
  });
});

describe('The segment of a source address', () => {
  const seed = (text: string) => sourceSeed(new SecretBytes(new TextEncoder().encode(text)));

  it('depends on the secret of the cluster and on nothing else', () => {
    assert.equal(seed('one secret'), seed('one secret'));
    assert.notEqual(seed('one secret'), seed('another secret'));
    // HMAC-SHA-256 by openssl: its first four octets.
    assert.equal(seed('one secret').toString(16), '2ba87cab');
  });

  for (const [family, prefix] of [
    [4, '198.51.100.'],
    [6, '2001:db8::'],
  ] as const) {
    it(`is spread evenly over neighbours of IPv${family}`, () => {
      const counts = new Array<number>(16).fill(0);
      const hash = segmentHash(16, seed('one secret'));
      const sources = 256;
      for (let host = 0; host < sources; host++) {
        const text = family === 4 ? `${prefix}${host}` : `${prefix}${host.toString(16)}`;
        const address = parseAddress(text);
        assert.ok(address !== undefined);
        const segment = segmentOfAddress(address, hash);
        counts[segment] = (counts[segment] ?? 0) + 1;
      }
      const expected = sources / 16;
      const chiSquare = counts.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0);
      // 15 degrees of freedom, one in ten thousand.
      assert.ok(chiSquare < 44.3, String(chiSquare));
    });
  }
});

/** lookup3 with unsigned big numbers and no cleverness. */
function plainLookup3(key: Uint8Array, seed: number): number {
  const all = 0xffffffffn;
  const word = (at: number) =>
    [0, 1, 2, 3].reduce((sum, each) => sum + (BigInt(key[at + each] ?? 0) << BigInt(8 * each)), 0n);
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & all;
  let [a, b, c] = [0, 0, 0].map(() => (0xdeadbeefn + BigInt(key.length) + BigInt(seed)) & all);
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  let at = 0;
  for (; key.length - at > 12; at += 12) {
    [a, b, c] = [a + word(at), b + word(at + 4), c + word(at + 8)].map((x) => x & all);
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    for (const [first, second] of [
      [4n, 6n],
      [16n, 19n],
    ] as const) {
      a = ((a - c) & all) ^ rotate(c, first);
      c = (c + b) & all;
      b = ((b - a) & all) ^ rotate(a, second);
      a = (a + c) & all;
      c = ((c - b) & all) ^ rotate(b, first === 4n ? 8n : 4n);
      b = (b + a) & all;
    }
  }
  if (at === key.length) return Number(c);
  a = (a + word(at)) & all;
  b = (b + word(at + 4)) & all;
  c = (c + word(at + 8)) & all;
  c = ((c ^ b) - rotate(b, 14n)) & all;
  a = ((a ^ c) - rotate(c, 11n)) & all;
  b = ((b ^ a) - rotate(a, 25n)) & all;
  c = ((c ^ b) - rotate(b, 16n)) & all;
  a = ((a ^ c) - rotate(c, 4n)) & all;
  b = ((b ^ a) - rotate(a, 14n)) & all;
  c = ((c ^ b) - rotate(b, 24n)) & all;
  return Number(c);
}
