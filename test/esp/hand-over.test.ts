import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createBatch, HEADROOM, ORIGIN_OCTETS, WORDS, Word } from '../../src/esp/batch.ts';
import { HandedOver, HandOver, HandOverRing } from '../../src/esp/hand-over.ts';
import { createSharedCounters, WorkerCounter } from '../../src/events/shared-counters.ts';
import { workerOfSpi } from '../../src/ipsec/spi.ts';

const NO_ORIGIN = { origins: new Uint8Array(ORIGIN_OCTETS), at: 0 };

function packetOf(length: number, octet: number) {
  return { arena: new Uint8Array(length).fill(octet), offset: 0, length };
}

describe('Worker of an SPI (RFC 4303 §2.1)', () => {
  it('is the SPI modulo their number, as the kernel reckons it', () => {
    assert.equal(workerOfSpi(0xffff_ffff, 2), 1);
    assert.equal(workerOfSpi(0xffff_ffff | 0, 2), 1, 'as a signed word');
    assert.equal(workerOfSpi(0x8000_0000, 3), 0x8000_0000 % 3);
    assert.equal(workerOfSpi(7, 1), 0);
  });
});

describe('Ring from one worker to another', () => {
  it('gives packets in the order they came, with kind, class and origin, and no more', () => {
    const ring = new HandOverRing(HandOverRing.memory());
    const origins = Uint8Array.from({ length: 2 * ORIGIN_OCTETS }, (_, at) => at);
    assert.equal(ring.kind, HandedOver.NOTHING);
    assert.ok(ring.put(HandedOver.ARRIVAL, 3, packetOf(100, 1), { origins, at: ORIGIN_OCTETS }));
    assert.ok(ring.put(HandedOver.ARRIVAL, 0, packetOf(0, 0), NO_ORIGIN));
    assert.ok(ring.put(HandedOver.READ, 1, packetOf(1410, 2), NO_ORIGIN));
    const batch = createBatch(4, 2048);
    assert.equal(ring.kind, HandedOver.ARRIVAL);
    assert.equal(ring.takeInto(batch, HandedOver.ARRIVAL, 0), 2);
    assert.deepEqual([batch.words[Word.LENGTH], batch.words[Word.TOS]], [100, 3]);
    assert.deepEqual(batch.arena.subarray(HEADROOM, HEADROOM + 100), packetOf(100, 1).arena);
    assert.deepEqual(batch.origins.subarray(0, ORIGIN_OCTETS), origins.subarray(ORIGIN_OCTETS));
    assert.equal(batch.words[WORDS + Word.LENGTH], 0);
    assert.equal(ring.kind, HandedOver.READ);
    assert.equal(ring.takeInto(batch, HandedOver.ARRIVAL, 0), 0, 'of this kind');
    assert.equal(ring.takeInto(createBatch(1, 2048), HandedOver.READ, 10), 1);
    assert.equal(ring.kind, HandedOver.NOTHING);
  });

  it('puts what stands in front of a packet in front of its slot', () => {
    const ring = new HandOverRing(HandOverRing.memory());
    ring.put(HandedOver.READ, 0, packetOf(30, 5), NO_ORIGIN);
    const batch = createBatch(1, 256);
    ring.takeInto(batch, HandedOver.READ, 10);
    assert.equal(batch.words[Word.LENGTH], 20);
    assert.deepEqual(batch.arena.subarray(HEADROOM - 10, HEADROOM + 20), packetOf(30, 5).arena);
  });

  it('refuses what does not fit and loses nothing, however often it turns round', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ put: fc.integer({ min: 0, max: 65_000 }) }),
        fc.record({ take: fc.integer({ min: 1, max: 9 }) }),
      ),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const ring = new HandOverRing(HandOverRing.memory());
        const batch = createBatch(9, 65_700);
        const waiting: number[] = [];
        let octet = 0;
        for (const step of all) {
          if ('put' in step) {
            const fitted = ring.put(HandedOver.READ, 0, packetOf(step.put, ++octet), NO_ORIGIN);
            const octets = waiting.reduce((sum, length) => sum + length + 63, 0);
            if (!fitted) assert.ok(octets + 2 * 65_100 > 1 << 19, 'only a full ring refuses');
            if (fitted) waiting.push(step.put);
          } else {
            const few = { ...batch, size: step.take };
            for (let row = 0; row < 9; row++) {
              batch.words[row * WORDS + Word.OFFSET] = row * 65_700 + HEADROOM;
            }
            const count = ring.takeInto(few, HandedOver.READ, 0);
            assert.equal(count, Math.min(step.take, waiting.length));
            for (let row = 0; row < count; row++) {
              assert.equal(batch.words[row * WORDS + Word.LENGTH], waiting.shift());
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('A worker among others', () => {
  const memory = HandOverRing.memory();
  const back = HandOverRing.memory();
  const counters = createSharedCounters(1);
  const woken: number[] = [];
  const pair = (to: SharedArrayBuffer, from: SharedArrayBuffer) => ({
    to: new HandOverRing(to),
    from: new HandOverRing(from),
  });
  const wake = (worker: number): void => {
    woken.push(worker);
  };
  const first = new HandOver({
    worker: 0,
    rings: [undefined, pair(memory, back)],
    counters,
    front: 10,
    wake,
  });
  const second = new HandOver({
    worker: 1,
    rings: [pair(back, memory), undefined],
    counters: createSharedCounters(1),
    front: 10,
    wake,
  });

  it('knows the SPIs that are not its own', () => {
    assert.deepEqual([first.concerns(0x1000), first.concerns(0x1001)], [false, true]);
  });

  it('wakes who was given something, once', () => {
    const reads = createBatch(2, 256);
    reads.words[Word.LENGTH] = 40;
    assert.ok(first.giveRead(1, reads, 0));
    assert.ok(first.giveRead(1, reads, 0));
    assert.ok(!first.giveRead(0, reads, 0), 'there is no way to itself');
    first.tell();
    first.tell();
    assert.deepEqual(woken, [1]);
    assert.equal(counters.work[WorkerCounter.HANDED_OVER], 2);
  });

  it('takes what it was given until nothing is left, and counts who had it', () => {
    const batches = { arrivals: createBatch(2, 256), reads: createBatch(2, 256) };
    const taken: string[] = [];
    const taker = {
      received: (count: number): void => void taken.push(`received ${count}`),
      read: (count: number): void => void taken.push(`read ${count}`),
    };
    assert.ok(second.take(batches, taker));
    assert.ok(!second.take(batches, taker));
    assert.deepEqual(taken, ['read 2']);
    // What each worker takes for another's goes round no more than a few times.
    let hops = 0;
    while (second.giveRead(0, batches.reads, 0)) batches.reads.words[Word.TOS] = ++hops + 1;
    assert.equal(hops, 3);
  });
});
