import assert from 'node:assert/strict';
import fc from 'fast-check';
import { after, earliest, instant } from '../../src/wire/instant.ts';
import {
  latin1OfOctets,
  MalformedError,
  OctetReader,
  OctetWriter,
  octetsOfLatin1,
} from '../../src/wire/octets.ts';

describe('An octet writer', () => {
  it('takes back what was written last', () => {
    const writer = new OctetWriter().u32(1).u16(2);
    assert.throws(() => writer.truncate(7), RangeError);
    assert.deepEqual([...writer.truncate(4).u8(9).finish()], [0, 0, 0, 1, 9]);
  });
});

describe('Octets as text', () => {
  it('are the same when they come back, however many', () => {
    const all = fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 1000, maxLength: 5000 }));
    fc.assert(
      fc.property(all, (octets) => {
        const text = latin1OfOctets(octets);
        assert.equal(text.length, octets.length);
        assert.deepEqual([...octetsOfLatin1(text)], [...octets]);
      }),
    );
  });
});

describe('Octet reader and writer', () => {
  it('read what was written', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(0xffff),
        fc.nat(0xffff_ffff),
        fc.uint8Array({ maxLength: 600 }),
        (one, two, four, many) => {
          const writer = new OctetWriter().u8(one).u16(two).u32(four).octets(many);
          assert.equal(writer.length, 7 + many.length);
          const reader = new OctetReader(writer.finish());
          assert.deepEqual([reader.u8('a'), reader.u16('b'), reader.u32('c')], [one, two, four]);
          assert.deepEqual(reader.rest(), many);
          reader.end('d');
        },
      ),
    );
  });

  it('keep a number that makes the writer grow', () => {
    for (let before = 1017; before <= 1024; before++) {
      const writer = new OctetWriter().octets(new Uint8Array(before));
      writer.u8(0xa1).u16(0xb1b2).u32(0xc1c2c3c4);
      const tail = [0xa1, 0xb1, 0xb2, 0xc1, 0xc2, 0xc3, 0xc4];
      assert.deepEqual([...writer.finish().subarray(before)], tail);
    }
  });

  it('overwrite only what is there', () => {
    const writer = new OctetWriter().u32(0).u32(0);
    writer.u8At(0, 1).u16At(2, 0x0203).u32At(4, 0x04050607);
    assert.throws(() => writer.u8At(8, 0), RangeError);
    assert.throws(() => writer.u16At(7, 0), RangeError);
    assert.throws(() => writer.u32At(5, 0), RangeError);
    assert.deepEqual([...writer.finish()], [1, 0, 2, 3, 4, 5, 6, 7]);
  });

  it('write into memory of their own, also after others have finished', () => {
    for (let round = 0; round < 20; round++) {
      const writers = Array.from({ length: 12 }, (_, at) => new OctetWriter().u32(at));
      for (const [at, writer] of writers.entries()) writer.octets(new Uint8Array(100).fill(at));
      const written = writers.map((writer) => writer.finish());
      for (const [at, octets] of written.entries()) {
        assert.deepEqual([...octets], [0, 0, 0, at, ...new Uint8Array(100).fill(at)]);
      }
    }
  });

  it('start anew when they have finished', () => {
    const writer = new OctetWriter().u32(1);
    const first = writer.finish();
    assert.equal(writer.length, 0);
    const other = new OctetWriter().u16(0x0202);
    writer.u8(3);
    assert.deepEqual([...other.finish()], [2, 2]);
    assert.deepEqual([...writer.finish()], [3]);
    assert.deepEqual([...first], [0, 0, 0, 1]);
    assert.deepEqual([...writer.finish()], []);
  });

  it('refuse short and left-over octets with the offset of the outermost message', () => {
    const reader = new OctetReader(Uint8Array.of(1, 2, 3, 4, 5, 6), 100);
    reader.skip(1, 'header');
    const inner = reader.within(3, 'body');
    assert.equal(inner.u16('word'), 0x0203);
    assert.throws(() => inner.u16('word'), { name: 'MalformedError', at: 103 });
    assert.throws(() => inner.end('body'), { what: 'body: 1 octets left over' });
    assert.throws(() => reader.take(3, 'tail'), { what: 'tail: 3 octets needed, 2 present' });
    assert.throws(() => reader.u32('tail'), MalformedError);
    assert.equal(reader.remaining, 2);
  });

  it('copy what they take', () => {
    const octets = Uint8Array.of(1, 2, 3);
    const taken = new OctetReader(octets).take(2, 'x');
    octets.fill(9);
    assert.deepEqual([...taken], [1, 2]);
  });
});

describe('Instants', () => {
  it('order and add', () => {
    assert.equal(after(instant(5), 10), 15);
    assert.equal(earliest(undefined, instant(7), instant(3)), 3);
    assert.equal(earliest(undefined), undefined);
  });
});
