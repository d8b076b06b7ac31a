import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { FLAG_DF, ORIGIN_OCTETS, Origin, WORDS, Word } from '../../src/esp/batch.ts';
import { native } from '../../src/io/native.ts';
import { describeNative } from '../support/native-addon.ts';
import { EMSGSIZE, type Ends, loopbackEnds, portOf } from '../support/native-ends.ts';

describeNative('Native UDP sockets', () => {
  for (const family of [4, 6] as const) {
    it(`carry octets, TOS and both addresses over IPv${family}`, () => {
      const ends = loopbackEnds(family);
      for (let row = 0; row < 5; row++)
        ends.row(row, `packet ${row}`, { tos: row * 51, flags: row % 2 });
      assert.equal(ends.addon.send(ends.number, 0, 5), 5);
      ends.clear(32);
      assert.equal(ends.addon.receive(ends.receiver, ends.number, 0, 8), 5);
      for (let row = 0; row < 5; row++) {
        assert.equal(ends.text(row), `packet ${row}`);
        assert.equal(ends.word(row, Word.STATUS), 0);
        assert.equal(ends.word(row, Word.TOS), row * 51);
        const origin = ends.batch.origins.subarray(row * ORIGIN_OCTETS, (row + 1) * ORIGIN_OCTETS);
        const view = new DataView(origin.buffer, origin.byteOffset);
        const width = family === 4 ? 4 : 16;
        assert.equal(origin[Origin.FAMILY], family);
        assert.equal(view.getUint16(Origin.PORT), portOf(ends.sender));
        assert.equal(view.getInt32(Origin.INTERFACE, true), 1);
        const loopback = ends.loopback;
        assert.deepEqual(origin.slice(Origin.SOURCE, Origin.SOURCE + width), loopback);
        assert.deepEqual(origin.slice(Origin.DESTINATION, Origin.DESTINATION + width), loopback);
      }
      ends.close();
    });
  }

  for (const merged of [true, false]) {
    it(`send datagrams of one size as one message${merged ? ', and receive them merged' : ''}`, () => {
      const ends = loopbackEnds(4, 1 << 20, { merged });
      const { words, arena } = ends.batch;
      // Three of 100 octets and a shorter one follow one another; one of another class; one apart.
      const lengths = [100, 100, 100, 40, 100, 100];
      const offsets = [0, 100, 200, 300, 340, 2000];
      for (const [row, length] of lengths.entries()) {
        ends.row(row, '', { tos: row === 4 ? 8 : 0 });
        const offset = offsets[row] ?? 0;
        words[row * WORDS + Word.OFFSET] = offset;
        words[row * WORDS + Word.LENGTH] = length;
        arena.fill(row + 1, offset, offset + length);
      }
      assert.equal(ends.addon.send(ends.number, 0, 6), 6);
      assert.deepEqual(
        lengths.map((_, row) => ends.word(row, Word.STATUS)),
        [0, 0, 0, 0, 0, 0],
      );
      ends.clear(4096);
      const count = ends.addon.receive(ends.receiver, ends.number, 0, 8);
      const heard = Array.from({ length: count }, (_, row) => {
        const at = row * WORDS;
        const offset = words[at + Word.OFFSET] ?? 0;
        const octets = arena.slice(offset, offset + (words[at + Word.LENGTH] ?? 0));
        return [[...new Set(octets)].join(), octets.length, words[at + Word.SEGMENT]];
      });
      const last = [
        ['5', 100, 0],
        ['6', 100, 0],
      ];
      const first = merged
        ? [['1,2,3,4', 340, 100]]
        : [1, 2, 3, 4].map((row) => [String(row), row === 4 ? 40 : 100, 0]);
      assert.deepEqual(heard, [...first, ...last]);
      ends.close();
    });
  }

  it('send each datagram by itself where one of several is too large for the way', () => {
    const ends = loopbackEnds(4, 1 << 20);
    const { words } = ends.batch;
    for (const [row, [offset, length]] of [
      [0, 65_508],
      [65_508, 100],
    ].entries()) {
      ends.row(row, '');
      words[row * WORDS + Word.OFFSET] = offset ?? 0;
      words[row * WORDS + Word.LENGTH] = length ?? 0;
    }
    assert.equal(ends.addon.send(ends.number, 0, 2), 1);
    assert.deepEqual([ends.word(0, Word.STATUS), ends.word(1, Word.STATUS)], [-EMSGSIZE, 0]);
    ends.close();
  });

  it('mark a datagram that is longer than its room', () => {
    const ends = loopbackEnds(4);
    ends.row(0, 'four and more');
    ends.row(1, 'four');
    assert.equal(ends.addon.send(ends.number, 0, 2), 2);
    ends.clear(4);
    assert.equal(ends.addon.receive(ends.receiver, ends.number, 0, 2), 2);
    assert.deepEqual([ends.word(0, Word.STATUS), ends.word(0, Word.LENGTH)], [-EMSGSIZE, 4]);
    assert.deepEqual([ends.word(1, Word.STATUS), ends.word(1, Word.LENGTH)], [0, 4]);
    ends.close();
  });

  it('go on after a packet that does not fit, with DF and without', () => {
    const ends = loopbackEnds(4);
    ends.row(0, 'one');
    ends.row(1, 'too long');
    ends.batch.words[WORDS + Word.LENGTH] = 65_600;
    ends.row(2, 'three', { flags: FLAG_DF });
    ends.row(3, 'four');
    ends.batch.words[3 * WORDS + Word.PATH] = -1;
    ends.row(4, 'five');
    assert.equal(ends.addon.send(ends.number, 0, 5), 3);
    const status = [0, 1, 2, 4].map((row) => ends.word(row, Word.STATUS));
    assert.deepEqual(status, [0, -EMSGSIZE, 0, 0]);
    ends.clear(32);
    assert.equal(ends.addon.receive(ends.receiver, ends.number, 0, 8), 3);
    assert.deepEqual(
      [0, 1, 2].map((row) => ends.text(row)),
      ['one', 'three', 'five'],
    );
    ends.close();
  });

  it('never block on a full buffer: the packet has -EAGAIN or arrived at the queue', () => {
    const ends = loopbackEnds(4, 4608);
    let refused = 0;
    for (let turn = 0; turn < 50; turn++) {
      for (let row = 0; row < 8; row++) ends.row(row, 'x'.repeat(1400));
      const sent = ends.addon.send(ends.number, 0, 8);
      for (let row = 0; row < 8; row++) if (ends.word(row, Word.STATUS) !== 0) refused++;
      assert.equal(sent + refused >= 8, true);
    }
    ends.close();
  });

  it('refuse a port that is taken', () => {
    const ends = loopbackEnds(4);
    const port = portOf(ends.receiver);
    const again = { family: 4, port, address: ends.loopback } as const;
    assert.throws(() => ends.addon.udpSocket(again), { code: 'EADDRINUSE', syscall: 'bind' });
    ends.close();
  });

  it('of IPv6 leave the port of IPv4 to its own socket', () => {
    const addon = native();
    const six = addon.udpSocket({ family: 6, port: 0 });
    const four = addon.udpSocket({ family: 4, port: portOf(six) });
    addon.close(six);
    addon.close(four);
  });

  it('omit the IPv4 checksum when told, and refuse that for IPv6', async () => {
    const addon = native();
    const peer = createSocket('udp4').bind(0, '127.0.0.1');
    await once(peer, 'listening');
    const fd = addon.udpSocket({ family: 4, port: 0, noChecksum: true });
    addon.close(fd);
    peer.close();
    assert.throws(() => addon.udpSocket({ family: 6, port: 0, noChecksum: true }), RangeError);
  });
});

describeNative('Native watch', () => {
  it('calls while there is something to read, and ticks and promises settle in between', async () => {
    const ends: Ends = loopbackEnds(4);
    const seen: string[] = [];
    const heard = new Promise<void>((resolve) => {
      const watch = ends.addon.watch(ends.receiver, () => {
        const count = ends.addon.receive(ends.receiver, ends.number, 0, 1);
        for (let row = 0; row < count; row++) seen.push(ends.text(row));
        process.nextTick(() => seen.push('tick'));
        Promise.resolve().then(() => {
          seen.push('settled');
          if (seen.length < 6) return;
          ends.addon.unwatch(watch);
          resolve();
        });
        ends.clear(32);
      });
    });
    ends.row(0, 'one');
    ends.row(1, 'two');
    ends.addon.send(ends.number, 0, 2);
    ends.clear(32);
    await heard;
    assert.deepEqual(seen, ['one', 'tick', 'settled', 'two', 'tick', 'settled']);
    ends.close();
  });

  it('ends inside its own callback, once, and closing the descriptor ends it too', async () => {
    const ends = loopbackEnds(4);
    let calls = 0;
    await new Promise<void>((resolve) => {
      const watch = ends.addon.watch(ends.receiver, () => {
        calls++;
        ends.addon.unwatch(watch);
        assert.throws(() => ends.addon.unwatch(watch), RangeError);
        setImmediate(() => setImmediate(resolve));
      });
      ends.row(0, 'never read');
      ends.addon.send(ends.number, 0, 1);
    });
    assert.equal(calls, 1);
    const watch = ends.addon.watch(ends.receiver, () => calls++);
    ends.close();
    assert.throws(() => ends.addon.unwatch(watch), RangeError);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(calls, 1);
  });

  it('does not leave the loop spinning when the descriptor was closed behind its back', async () => {
    const { closeSync } = await import('node:fs');
    const ends = loopbackEnds(4);
    let calls = 0;
    const watch = ends.addon.watch(ends.receiver, () => calls++);
    closeSync(ends.receiver);
    await new Promise((resolve) => setTimeout(resolve, 20));
    ends.addon.unwatch(watch);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(calls, 0);
    ends.addon.close(ends.sender);
    ends.addon.freePath(ends.path);
    ends.addon.freeBatch(ends.number);
  });
});
