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
    assert.match(text, /^one {6}crash +25 \[10-40\] +25 \[10-40\] +40/m);
    assert.match(text, /^one: 499 of 500 old packets were delivered again/m);
    assert.match(text, /0 of 2$/m);
  });

  it('says what could not be measured', () => {
    const report = failoverReport(terms, [run({})], [], ['two, crash: no node\nits log']);
    assert.match(failoverTable(report), /^not measured: two, crash: no node$/m);
  });
});

describe('What a cluster of tsgw must keep', () => {
  const own = { cluster: 'tsgw-forward' };
  const way = { gapMilliseconds: 10, lost: 0, duplicated: 0 };
  const missed = (runs: readonly FailoverRun[], delivered?: number, cluster = own.cluster) => {
    const replays = delivered === undefined ? [] : [{ cluster, sent: 500, delivered }];
    const { verdicts } = failoverReport(terms, runs, replays);
    return verdicts.filter(({ kept }) => kept === false).map(({ limit }) => limit);
  };

  it('is asked of no other cluster', () => {
    assert.deepEqual(failoverReport(terms, [run({ gap: 5000 })], []).verdicts, []);
  });

  it('is kept by one that does well', () => {
    const faults = ['crash', 'move', 'rejoin'] as const;
    assert.deepEqual(
      missed(
        faults.map((fault) => run({ ...own, fault, there: way, back: way })),
        63,
      ),
      [],
    );
  });

  it('is the gap of a crash, and no loss beyond it', () => {
    assert.match(missed([run({ ...own, gap: 401 })])[0] ?? '', /gap of a crash/);
    const back = { gapMilliseconds: 300, lost: 341, duplicated: 0 };
    assert.match(missed([run({ ...own, back })])[0] ?? '', /beyond what the gap holds/);
    assert.deepEqual(missed([run({ ...own, back: { ...back, lost: 340 } })]), []);
  });

  it('is that nothing is lost or replaced by plan', () => {
    const there = { ...way, lost: 1 };
    assert.match(missed([run({ ...own, fault: 'move', there, back: way })])[0] ?? '', /move: 0$/);
    const rejoin = run({ ...own, fault: 'rejoin', rekeyed: 1 });
    assert.match(missed([rejoin])[0] ?? '', /comes back: 0$/);
  });

  it('is that nothing is twice on the wire, and IKE answered', () => {
    const bad = { repeats: { packets: 9, sequences: 1, ivs: 1 }, answers: false };
    assert.equal(missed([run({ ...own, ...bad })]).length, 3);
  });

  it('is a bound of what is delivered again, and nothing in strict', () => {
    assert.equal(missed([], 121).length, 1);
    assert.equal(missed([], 120).length, 0);
    assert.equal(missed([], 64, 'tsgw-active-active').length, 1);
    assert.equal(missed([], 1, 'tsgw-strict').length, 1);
    assert.equal(missed([], 0, 'tsgw-strict').length, 0);
  });
});
