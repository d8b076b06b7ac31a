import assert from 'node:assert/strict';
import { SequenceNumber } from '../../src/ipsec/sequence-number.ts';
import {
  LARGEST_BATCH,
  LARGEST_JUMP,
  LEAST_BATCH,
  SequenceReservation,
} from '../../src/ipsec/sequence-reservation.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';

const HALF = 2 ** 32;

function halves(number: number): { readonly high: number; readonly low: number } {
  return { high: Math.floor(number / HALF), low: number % HALF };
}

/** An SA that counts with a reservation, as the packet path does. */
class Sender {
  readonly sequence: SequenceNumber;
  readonly reservation: SequenceReservation;
  now: Instant = instant(1000);
  /** What it asked for, as numbers. */
  readonly wanted: number[] = [];

  constructor(options: { esn?: boolean; used?: number; reserved?: number; solo?: boolean } = {}) {
    const { esn = true, used = 0, reserved = used + LEAST_BATCH, solo = false } = options;
    this.sequence = new SequenceNumber(esn);
    this.sequence.resumeAfter(halves(used).high, halves(used).low);
    this.reservation = new SequenceReservation(
      esn,
      { used: halves(used), reserved: halves(reserved), solo },
      this.now,
    );
    this.renew();
  }

  get number(): number {
    return this.sequence.high * HALF + this.sequence.low;
  }

  get reserved(): number {
    return this.reservation.reserved.high * HALF + this.reservation.reserved.low;
  }

  /** Sends up to so many packets; answers how many it had numbers for. */
  send(count: number, everyMs = 0): number {
    for (let sent = 0; sent < count; sent++) {
      if (!this.sequence.advance()) {
        this.renew();
        if (!this.sequence.advance()) return sent;
      }
      this.now = instant(this.now + everyMs);
    }
    return count;
  }

  grant(upTo: number): void {
    this.reservation.grant(halves(upTo), this.sequence);
    this.renew();
  }

  renew(): void {
    this.sequence.allot(this.reservation.renew(this.sequence, this.now));
    const { wanted } = this.reservation;
    if (wanted) this.wanted.push(wanted.high * HALF + wanted.low);
  }
}

describe('Sequence numbers that are acknowledged ahead', () => {
  it('are used up to the last of them and not beyond', () => {
    const sender = new Sender();
    assert.equal(sender.send(1000), LEAST_BATCH);
    assert.equal(sender.number, LEAST_BATCH);
    assert.equal(sender.reservation.ended, false);
    assert.equal(sender.send(1), 0);
  });

  it('are asked for once when less than half a batch is left', () => {
    const sender = new Sender();
    sender.send(LEAST_BATCH / 2, 10);
    assert.deepEqual(sender.wanted, []);
    sender.send(1);
    sender.send(1);
    assert.deepEqual(sender.wanted, [2 * LEAST_BATCH]);
    sender.send(1000);
    assert.equal(sender.wanted.length, 1);
    sender.grant(2 * LEAST_BATCH);
    assert.equal(sender.number, LEAST_BATCH);
    assert.equal(sender.send(1000, 10), LEAST_BATCH);
  });

  it('never run dry where others acknowledge in time', () => {
    const sender = new Sender();
    for (let packet = 1; packet <= 5000; packet++) {
      assert.equal(sender.send(1, 1), 1);
      assert.ok(sender.number <= sender.reserved);
      const asked = sender.wanted.at(-1) ?? 0;
      if (asked > sender.reserved && sender.reserved - sender.number < 100) sender.grant(asked);
    }
  });

  it('are asked for by what half a second takes, within bounds', () => {
    for (const [everyMs, batch] of [
      [100, LEAST_BATCH],
      [1, 500],
      [0.01, 50_000],
      [0.000_01, LARGEST_BATCH],
    ] as const) {
      const sender = new Sender({ reserved: 1_000_000 });
      sender.send(1_000_000, everyMs);
      const asked = (sender.wanted[0] ?? 0) - 1_000_000;
      // Time is counted behind each packet; below a millisecond no rate is taken for one.
      assert.ok(Math.abs(asked - batch) <= batch / 100, `${asked} for one each ${everyMs} ms`);
      assert.equal(sender.reservation.batch, asked);
    }
  });

  it('go on where what was asked for came only in part', () => {
    const sender = new Sender();
    sender.send(200, 1);
    sender.grant(LEAST_BATCH + 10);
    assert.equal(sender.wanted.length, 2);
    assert.equal(sender.send(1000, 1), LEAST_BATCH + 10 - 200);
  });

  it('are not taken back, and not taken twice', () => {
    const sender = new Sender();
    sender.grant(1000);
    sender.grant(300);
    assert.equal(sender.reserved, 1000);
    assert.equal(sender.send(2000), 1000);
    sender.grant(900);
    assert.equal(sender.send(1), 0);
  });

  it('go on over the end of the low half', () => {
    const sender = new Sender({ used: HALF - 100, reserved: HALF + 200 });
    assert.equal(sender.send(1000), 300);
    assert.deepEqual([sender.sequence.high, sender.sequence.low], [1, 200]);
    const far = new Sender({ used: 5 * HALF - 3, reserved: 5 * HALF - 1 });
    assert.equal(far.send(10), 2);
    assert.deepEqual([far.sequence.high, far.sequence.low], [4, 0xffff_ffff]);
    far.grant(5 * HALF);
    assert.equal(far.send(10), 1);
    assert.deepEqual([far.sequence.high, far.sequence.low], [5, 0]);
  });

  it('are never so many ahead that a receiver would infer another high half', () => {
    const sender = new Sender({ used: 100 });
    sender.grant(100 + LARGEST_JUMP + 1);
    assert.equal(sender.reserved, 100 + LARGEST_JUMP);
  });

  it('end before the counter would cycle without ESN, a batch for a successor left', () => {
    const last = HALF - 2 * LEAST_BATCH;
    const sender = new Sender({ esn: false, used: HALF - 1000, reserved: HALF - 1000 });
    sender.now = instant(sender.now + 10_000_000);
    assert.equal(sender.wanted[0], HALF - 1000 + LEAST_BATCH);
    for (let turn = 0; turn < 5; turn++) {
      sender.grant(sender.wanted.at(-1) ?? 0);
      sender.send(1000, 10);
    }
    assert.equal(sender.wanted.at(-1), last);
    assert.equal(sender.number, last);
    assert.equal(sender.reservation.ended, true);
    assert.equal(sender.send(1), 0);
  });

  it('count as used for a successor of the SA from three quarters on', () => {
    const soft = 0xc000_0000;
    for (const [esn, scale] of [
      [false, 1],
      [true, HALF],
    ] as const) {
      const sender = new Sender({ esn, used: (soft - 1) * scale - 1000 });
      assert.equal(sender.reservation.nearlyUsed(sender.sequence), false);
      assert.equal(sender.reservation.nearlyUsed(halves(soft * scale)), true);
    }
    const reserving = new Sender({ esn: false, used: soft - 10, reserved: soft });
    assert.equal(reserving.reservation.nearlyUsed(reserving.sequence), true);
    const solo = new Sender({ esn: false, used: soft, reserved: 0, solo: true });
    assert.equal(solo.reservation.nearlyUsed(solo.sequence), true);
  });
});

describe('An SA whose numbers nobody acknowledges', () => {
  it('goes on until somebody does, ahead of what is used', () => {
    const sender = new Sender();
    sender.reservation.goAlone();
    sender.renew();
    assert.equal(sender.send(3_000_000), 3_000_000);
    assert.equal(sender.reservation.solo, true);
    sender.grant(2_000_000);
    assert.equal(sender.reservation.solo, true);
    const [asked = 0] = sender.wanted;
    assert.ok(asked > 3_000_000, 'asks anew from where it is');
    sender.grant(asked);
    assert.equal(sender.reservation.solo, false);
    assert.equal(sender.send(5_000_000), asked - 3_000_000);
  });

  it('ends before the counter would cycle, too', () => {
    const sender = new Sender({ esn: false, used: HALF - 2000, reserved: 0, solo: true });
    assert.equal(sender.send(5000), 2000 - 2 * LEAST_BATCH);
    assert.equal(sender.reservation.ended, true);
  });
});
