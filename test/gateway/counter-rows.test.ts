import assert from 'node:assert/strict';
import { DropReason } from '../../src/events/drop-reason.ts';
import {
  countSaDrop,
  createSharedCounters,
  SA_COUNTERS,
  SaCounter,
  type SharedCounters,
} from '../../src/events/shared-counters.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';

const NOTHING = {
  packets: 0,
  octets: 0,
  lastUse: undefined,
  sequence: 0,
  drops: 0,
  replays: 0,
  badIcvs: 0,
  dropped: {},
};

describe('Rows of the shared counters', () => {
  let counters: SharedCounters;
  let rows: CounterRows;

  beforeEach(() => {
    counters = createSharedCounters(4);
    rows = new CounterRows(counters);
  });

  function count(row: number, column: number, value: number): void {
    counters.sas[row * SA_COUNTERS + column] = value;
  }

  it('are two for a Child SA, and no two Child SAs share one', () => {
    const taken = [rows.take(1), rows.take(2)].flatMap((one) => [one?.rowIn, one?.rowOut]);
    assert.deepEqual(new Set(taken), new Set([0, 1, 2, 3]));
  });

  it('read as what each direction has carried', () => {
    const taken = rows.take(1);
    assert.ok(taken);
    count(taken.rowIn, SaCounter.PACKETS, 3);
    count(taken.rowIn, SaCounter.OCTETS, 252);
    count(taken.rowIn, SaCounter.LAST_USE, 1500);
    count(taken.rowIn, SaCounter.SEQUENCE, 2 ** 40);
    count(taken.rowIn, SaCounter.DROPS, 6);
    count(taken.rowIn, SaCounter.REPLAYS, 4);
    count(taken.rowIn, SaCounter.BAD_ICVS, 2);
    assert.deepEqual(rows.inbound(1), {
      packets: 3,
      octets: 252,
      lastUse: 1500,
      sequence: 2 ** 40,
      drops: 6,
      replays: 4,
      badIcvs: 2,
      dropped: {},
    });
    assert.deepEqual(rows.outbound(1), NOTHING);
    count(taken.rowOut, SaCounter.PACKETS, 9);
    assert.equal(rows.outbound(1).packets, 9);
  });

  it('are zero for a Child SA that has none', () => {
    assert.deepEqual(rows.inbound(5), NOTHING);
    assert.deepEqual(rows.outbound(5), NOTHING);
  });

  it('come back empty after they were given', () => {
    const first = rows.take(1);
    assert.ok(first);
    count(first.rowIn, SaCounter.PACKETS, 3);
    count(first.rowOut, SaCounter.PACKETS, 3);
    rows.give(1);
    assert.deepEqual(rows.inbound(1), NOTHING);
    const { rowOut } = first;
    for (let dropped = 0; dropped < 3; dropped++) {
      countSaDrop(counters, rowOut * SA_COUNTERS, DropReason['packet-too-big']);
    }
    const second = rows.take(2);
    assert.deepEqual(
      new Set([second?.rowIn, second?.rowOut]),
      new Set([first.rowIn, first.rowOut]),
    );
    assert.deepEqual([rows.inbound(2), rows.outbound(2)], [NOTHING, NOTHING]);
    countSaDrop(counters, rowOut * SA_COUNTERS, DropReason['send-failed']);
    const dropped = { ...rows.inbound(2).dropped, ...rows.outbound(2).dropped };
    assert.deepEqual(dropped, { 'send-failed': 1 }, 'nothing of the one before comes back');
  });

  it('say why packets were dropped, each direction its own', () => {
    const taken = rows.take(1);
    assert.ok(taken);
    const [reasonIn, reasonOut] = [DropReason['bad-icv'], DropReason['send-failed']];
    countSaDrop(counters, taken.rowIn * SA_COUNTERS, reasonIn);
    countSaDrop(counters, taken.rowIn * SA_COUNTERS, DropReason['bad-padding']);
    countSaDrop(counters, taken.rowOut * SA_COUNTERS, reasonOut);
    countSaDrop(counters, taken.rowOut * SA_COUNTERS, reasonOut);
    assert.deepEqual(rows.inbound(1).dropped, { 'bad-icv': 1, 'bad-padding': 1 });
    assert.deepEqual(rows.outbound(1).dropped, { 'send-failed': 2 });
    assert.deepEqual([rows.inbound(1).drops, rows.outbound(1).drops], [2, 2]);
  });

  it('given twice are given once', () => {
    rows.take(1);
    rows.give(1);
    rows.give(1);
    const taken = [rows.take(2), rows.take(3)].flatMap((one) => [one?.rowIn, one?.rowOut]);
    assert.equal(new Set(taken).size, 4);
  });

  it('end with the table: the next Child SA gets none until one is given', () => {
    assert.ok(rows.take(1));
    assert.ok(rows.take(2));
    assert.equal(rows.take(3), undefined);
    rows.give(1);
    assert.ok(rows.take(4));
    assert.equal(rows.take(5), undefined);
  });
});
