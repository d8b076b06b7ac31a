import assert from 'node:assert/strict';
import { SaNumbers } from '../../src/ike/sa-numbers.ts';
import { seededRandom } from '../support/seeded-random.ts';

/** Gives these numbers as four octets each, then fails. */
function scripted(...numbers: readonly number[]): (length: number) => Uint8Array {
  const left = [...numbers];
  return (length) => {
    const next = left.shift();
    assert.ok(next !== undefined && length === 4, 'nothing more was to be drawn');
    return Uint8Array.of(next >>> 24, (next >>> 16) & 0xff, (next >>> 8) & 0xff, next & 0xff);
  };
}

describe('Numbers of SAs', () => {
  it('are never used again', () => {
    const numbers = new SaNumbers(seededRandom(1));
    const ikeSas = [numbers.newIkeSaId(), numbers.newIkeSaId(), numbers.newIkeSaId()];
    const childSas = [numbers.newChildSaId(), numbers.newChildSaId()];
    assert.deepEqual(
      [ikeSas, childSas],
      [
        [1, 2, 3],
        [1, 2],
      ],
    );
  });

  it('a reqid stays with its child for good', () => {
    const numbers = new SaNumbers(seededRandom(1));
    const first = numbers.reqid('peer', 'net');
    assert.notEqual(numbers.reqid('peer', 'other'), first);
    assert.notEqual(numbers.reqid('other', 'net'), first);
    assert.equal(numbers.reqid('peer', 'net'), first);
  });

  it('a reqid is not shared by names that read alike', () => {
    const numbers = new SaNumbers(seededRandom(1));
    assert.notEqual(numbers.reqid('a b', 'c'), numbers.reqid('a', 'b c'));
    assert.notEqual(numbers.reqid('a","b', 'c'), numbers.reqid('a', 'b","c'));
  });
});

describe('Inbound SPIs (RFC 4303 §2.1, RFC 4301 §4.4.2.1)', () => {
  it('are 32 bits, unsigned', () => {
    assert.equal(new SaNumbers(scripted(0xfffffffe)).newSpi(), 0xfffffffe);
  });

  it('are none of the reserved ones', () => {
    assert.equal(new SaNumbers(scripted(0, 1, 255, 256)).newSpi(), 256);
  });

  it('are used by one SA at a time', () => {
    const numbers = new SaNumbers(scripted(0x1000, 0x1000, 0x2000, 0x1000));
    const first = numbers.newSpi();
    assert.equal(first, 0x1000);
    assert.equal(numbers.newSpi(), 0x2000);
    numbers.releaseSpi(first);
    assert.equal(numbers.newSpi(), 0x1000);
  });
});
