/**
 * The report of `failover`: a row for each cluster and fault, with the worst of what must not be.
 */
import assert from 'node:assert/strict';
import { type FailoverRun, failoverReport, failoverTable } from '../../bench/failover-report.ts';

const terms = { runs: 2, perSecond: 1000, secondsBefore: 5 };

function run(changes: Partial<FailoverRun> & { readonly gap?: number }): FailoverRun {
  const { gap = 10, ...rest } = changes;
  const way = { gapMilliseconds: gap, lost: gap, duplicated: 0 };
  return {
    ...{ cluster: 'one', fault: 'crash', there: way, back: way, handledMilliseconds: 5 },
    ...{ rekeyed: 0, repeats: { packets: 9, sequences: 0, ivs: 0 }, answers: true },
    ...rest,
  };
}

describe('The report of failover', () => {
  it('has a row for each cluster and fault, in order', () => {
    const runs = [run({}), run({ fault: 'move' }), run({ cluster: 'two' }), run({ gap: 30 })];
    const { rows } = failoverReport(terms, runs, []);
    assert.deepEqual(
      rows.map(({ cluster, fault }) => `${cluster} ${fault}`),
      ['one crash', 'one move', 'two crash'],
    );
    assert.deepEqual(rows[0]?.gapBack, { median: 20, least: 10, most: 30 });
  });

  it('tells the worst run of what must not be', () => {
    const bad = { repeats: { packets: 9, sequences: 4, ivs: 2 }, answers: false };
    const [row] = failoverReport(terms, [run(bad), run({})], []).rows;
    assert.deepEqual([row?.repeatedSequences, row?.repeatedIvs, row?.unanswered], [4, 2, 1]);
  });

  it('is a table with what was replayed under it', () => {
    const replays = [{ cluster: 'one', sent: 500, delivered: 499 }];
    const text = failoverTable(failoverReport(terms, [run({}), run({ gap: 40 })], replays));
    assert.match(text, /^one {6}crash +25 \[10-40\] +25 \[10-40\]/m);
    assert.match(text, /^one: 499 of 500 old packets were delivered again/m);
    assert.match(text, /0 of 2$/m);
  });
});
