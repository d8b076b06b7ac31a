import assert from 'node:assert/strict';
import { type ScaleSample, scaleReport, scaleTable } from '../../bench/scale-report.ts';
import { Collected } from '../../bench/turns.ts';

const terms = {
  ...{ rounds: 2, seconds: 1, standing: [1, 1000], offloads: 'wire', cipher: 'aes128gcm16' },
} as const;

function reportOf(share: { readonly throughput: number; readonly packets: number }) {
  const samples = new Collected<ScaleSample>();
  for (const speed of [1, 3]) {
    samples.add('1', { there: 1000 * speed, back: 500 * speed, arrived: 1e5 * speed });
    samples.add('1000', {
      ...{ there: 1000 * speed * share.throughput, back: 500 * speed * share.throughput },
      arrived: 1e5 * speed * share.packets,
    });
  }
  return scaleReport(terms, samples);
}

describe('The report of scale', () => {
  it('holds throughput and packets to 0.9 of those with one SA, round by round', () => {
    const kept = (throughput: number, packets: number) =>
      reportOf({ throughput, packets }).verdicts.map((verdict) => verdict.kept);
    assert.deepEqual(kept(0.91, 0.91), [true, true]);
    assert.deepEqual(kept(0.89, 0.91), [false, true]);
    assert.deepEqual(kept(0.91, 0.89), [true, false]);
  });

  it('does not let a faster round hide a slower one', () => {
    const [, many] = reportOf({ throughput: 0.5, packets: 1 }).rows;
    assert.deepEqual(many?.throughputRatio, { median: 0.5, least: 0.5, most: 0.5 });
  });

  it('is a row for each number of SAs', () => {
    const text = scaleTable(reportOf({ throughput: 1, packets: 1 }));
    assert.match(text, /^1 +2000 \[1000-3000\] +1000 \[500-1500\] +1\.00 \[/m);
    assert.match(text, /^1000 +2000 \[/m);
  });
});
