import assert from 'node:assert/strict';
import {
  LINKTYPE_RAW,
  pcapngInterface,
  pcapngPacket,
  pcapngSection,
  pcapngStatistics,
} from '../../src/wire/pcapng.ts';

/** A block taken apart the way the draft has it. */
function blockOf(octets: Uint8Array) {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const word = (at: number): number => view.getUint32(at, true);
  assert.equal(octets.length % 4, 0);
  assert.equal(word(4), octets.length, 'the length in front');
  assert.equal(word(octets.length - 4), octets.length, 'the length behind');
  return { type: word(0), word, half: (at: number) => view.getUint16(at, true) };
}

/** From `at` on: code and value of each option, up to the end of them and no further. */
function optionsOf(octets: Uint8Array, at: number): readonly (readonly [number, Uint8Array])[] {
  const { half } = blockOf(octets);
  const found: (readonly [number, Uint8Array])[] = [];
  let next = at;
  while (half(next) !== 0) {
    const length = half(next + 2);
    found.push([half(next), octets.slice(next + 4, next + 4 + length)]);
    next += 4 + ((length + 3) & ~3);
  }
  assert.equal(next + 8, octets.length, 'nothing stands behind the options');
  return found;
}

const text = (value: Uint8Array | undefined) => new TextDecoder().decode(value);

describe('Blocks of a pcapng file', () => {
  it('begin with a section of unknown length', () => {
    const octets = pcapngSection('tsgw 0.1.0');
    const { type, word, half } = blockOf(octets);
    assert.deepEqual([type, word(8), half(12), half(14)], [0x0a0d_0d0a, 0x1a2b_3c4d, 1, 0]);
    assert.deepEqual([word(16), word(20)], [0xffff_ffff, 0xffff_ffff]);
    const [[code, value] = []] = optionsOf(octets, 24);
    assert.deepEqual([code, text(value)], [4, 'tsgw 0.1.0']);
  });

  it('describe interfaces of raw IP in microseconds', () => {
    const octets = pcapngInterface({ name: 'inner', description: 'öäü', snapLength: 96 });
    const { type, word, half } = blockOf(octets);
    assert.deepEqual([type, half(8), word(12)], [1, LINKTYPE_RAW, 96]);
    const options = optionsOf(octets, 16);
    assert.deepEqual(
      options.map(([code, value]) => [code, code === 9 ? value[0] : text(value)]),
      [
        [2, 'inner'],
        [3, 'öäü'],
        [9, 6],
      ],
    );
  });

  it('carry packets of every length with time, direction and comment', () => {
    // 2^32 microseconds and a few: the time has two halves.
    const time = 1_795_000_000_123_456;
    for (let length = 0; length < 9; length++) {
      const packet = Uint8Array.from({ length }, (_, index) => index + 1);
      const octets = pcapngPacket({
        interface: 1,
        time,
        direction: length % 2 === 0 ? 'in' : 'out',
        octets: packet,
        length: length + 100,
        comment: 'c'.repeat(length),
      });
      const { type, word } = blockOf(octets);
      assert.deepEqual([type, word(8)], [6, 1]);
      assert.equal(word(12) * 2 ** 32 + word(16), time);
      assert.deepEqual([word(20), word(24)], [length, length + 100]);
      assert.deepEqual(octets.slice(28, 28 + length), packet);
      const options = optionsOf(octets, 28 + ((length + 3) & ~3));
      const [[code, flags] = []] = options;
      assert.deepEqual([code, flags?.[0]], [2, length % 2 === 0 ? 1 : 2]);
      assert.equal(text(options.find(([one]) => one === 1)?.[1]), 'c'.repeat(length));
    }
  });

  it('end with what was missed', () => {
    const octets = pcapngStatistics(0, 5, 2 ** 33 + 1);
    const [[code, value] = []] = optionsOf(octets, 20);
    assert.equal(blockOf(octets).type, 5);
    assert.deepEqual([code, [...(value ?? [])]], [5, [1, 0, 0, 0, 2, 0, 0, 0]]);
  });
});
