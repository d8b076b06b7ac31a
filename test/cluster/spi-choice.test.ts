import assert from 'node:assert/strict';
import { segmentHash, segmentOfIkeSpi, segmentOfSpi } from '../../src/cluster/segment-hash.ts';
import { chooseIkeSpi, chooseSpi } from '../../src/cluster/spi-choice.ts';
import { type Spi, workerOfSpi } from '../../src/ipsec/spi.ts';
import { toHex } from '../../src/wire/octets.ts';
import { seededRandom } from '../support/seeded-random.ts';

const hash = segmentHash(256, 0x5eed);
const always = () => true;

/** Chi-square of counts that should all be equal. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, one) => sum + one, 0) / counts.length;
  return counts.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0);
}

/** Exceeded once in ten thousand times by chance, for so many degrees of freedom. */
const RARE: Readonly<Record<number, number>> = { 1: 15.2, 2: 18.5, 3: 21.2, 7: 29.9, 15: 44.3 };

function draw(segment: number, random = seededRandom(segment)): Spi {
  const drawn = chooseSpi({ hash, segment, random, isFree: always });
  assert.ok(drawn !== undefined);
  return drawn;
}

describe('SPIs of a segment', () => {
  it('are found in every segment, for ESP and for IKE', () => {
    const random = seededRandom(1);
    for (let segment = 0; segment < hash.count; segment++) {
      assert.equal(segmentOfSpi(draw(segment, random), hash), segment);
      const ikeSpi = chooseIkeSpi({ hash, segment, random, isFree: always });
      assert.ok(ikeSpi !== undefined);
      assert.equal(ikeSpi.length, 8);
      assert.equal(segmentOfIkeSpi(ikeSpi, hash), segment);
    }
  });

  it('are found of one segment only, too', () => {
    const one = segmentHash(1, 0);
    assert.equal(segmentOfSpi(draw(0), one), 0);
    assert.ok(chooseSpi({ hash: one, segment: 0, random: seededRandom(3), isFree: always }));
  });

  it('are none of the reserved ones (RFC 4303 §2.1)', () => {
    const reserved = Array.from({ length: 256 }, (_, value) => value);
    const segment = segmentOfSpi(0xff, hash);
    const candidates = [...reserved, 0xff, draw(segment)];
    const found = chooseSpi({ hash, segment, random: scripted(candidates), isFree: always });
    assert.equal(found, draw(segment));
  });

  it('are not zero for IKE (RFC 7296 §3.1)', () => {
    const zero = new Uint8Array(8);
    const segment = segmentOfIkeSpi(zero, hash);
    const random = seededRandom(9);
    let calls = 0;
    const found = chooseIkeSpi({
      hash,
      segment,
      random: (length) => (calls++ === 0 ? new Uint8Array(length) : random(length)),
      isFree: always,
    });
    assert.ok(found !== undefined);
    assert.ok(found.some((octet) => octet !== 0));
    assert.equal(segmentOfIkeSpi(found, hash), segment);
  });

  it('are free', () => {
    const taken = new Set<number>();
    const random = seededRandom(5);
    for (let each = 0; each < 30; each++) {
      const wish = { hash, segment: 7, random: seededRandom(4) };
      const drawn = chooseSpi({ ...wish, isFree: (one) => !taken.has(one) });
      assert.ok(drawn !== undefined && !taken.has(drawn));
      taken.add(drawn);
    }
    const ikeSpis = new Set<string>();
    for (let each = 0; each < 20; each++) {
      const isFree = (one: Uint8Array) => !ikeSpis.has(toHex(one));
      const drawn = chooseIkeSpi({ hash, segment: 7, random, isFree });
      assert.ok(drawn !== undefined && isFree(drawn));
      ikeSpis.add(toHex(drawn));
    }
  });

  it('are given up where none is free, or chance is none', () => {
    let asked = 0;
    const isFree = () => {
      asked++;
      return false;
    };
    const random = seededRandom(6);
    assert.equal(chooseSpi({ hash, segment: 1, random, isFree }), undefined);
    assert.equal(chooseIkeSpi({ hash, segment: 1, random, isFree }), undefined);
    assert.ok(asked > 64 && asked < 512, `${asked} candidates were looked at`);
    const stuck = (length: number) => new Uint8Array(length).fill(0x77);
    const segment = (segmentOfSpi(0x77777777, hash) + 1) % 256;
    assert.equal(chooseSpi({ hash, segment, random: stuck, isFree: always }), undefined);
  });
});

describe('SPIs of a segment and the workers of a node', () => {
  for (const workers of [2, 3, 4, 8]) {
    it(`fall to each of ${workers} workers evenly, whatever the segment`, () => {
      for (const segment of [0, 1, 127, 128, 255]) {
        const random = seededRandom(1000 * workers + segment);
        const counts = new Array<number>(workers).fill(0);
        for (let each = 0; each < 400; each++) {
          const worker = workerOfSpi(draw(segment, random), workers);
          counts[worker] = (counts[worker] ?? 0) + 1;
        }
        const value = chiSquare(counts);
        assert.ok(value < (RARE[workers - 1] ?? 0), `segment ${segment}: ${counts} (${value})`);
      }
    });

    it(`can be had for each of ${workers} workers`, () => {
      const random = seededRandom(workers);
      for (const segment of [0, 100, 255]) {
        for (let number = 0; number < workers; number++) {
          const worker = { number, of: workers };
          const drawn = chooseSpi({ hash, segment, random, isFree: always, worker });
          assert.ok(drawn !== undefined);
          assert.equal(segmentOfSpi(drawn, hash), segment);
          assert.equal(workerOfSpi(drawn, workers), number);
        }
      }
    });
  }

  it('leave every bit of the SPI to chance', () => {
    const random = seededRandom(77);
    const drawn = Array.from({ length: 400 }, () => draw(42, random));
    for (let bit = 0; bit < 32; bit++) {
      const ones = drawn.filter((one) => ((one >>> bit) & 1) === 1).length;
      assert.ok(chiSquare([ones, 400 - ones]) < (RARE[1] ?? 0), `bit ${bit}: ${ones} of 400`);
    }
  });
});

/** Gives these words one behind the other, then zeros. */
function scripted(words: readonly number[]): (length: number) => Uint8Array {
  const left = [...words];
  return (length) => {
    const octets = new Uint8Array(length);
    const view = new DataView(octets.buffer);
    for (let at = 0; at < length; at += 4) view.setUint32(at, left.shift() ?? 0);
    return octets;
  };
}
