import assert from 'node:assert/strict';
import { Collected } from '../../bench/turns.ts';
import { type WorkersSample, workersReport, workersTable } from '../../bench/workers-report.ts';

const terms = {
  ...{ rounds: 2, seconds: 1, workers: [1, 2], sas: 4, offloads: 'wire', cipher: 'aes128gcm16' },
} as const;

interface Shares {
  readonly oneSa: number;
  readonly severalSas: number;
  readonly arrived: number;
}

function reportOf(share: Shares, owned: readonly number[] = [2, 3]) {
  const samples = new Collected<WorkersSample>();
  for (const speed of [1, 3]) {
    samples.add('1', { oneSa: 1000 * speed, severalSas: 800 * speed, arrived: 1e5 * speed });
    samples.add('2', {
      oneSa: 1000 * speed * share.oneSa,
      severalSas: 800 * speed * share.severalSas,
      arrived: 1e5 * speed * share.arrived,
    });
  }
  const work = owned.map((childSas, worker) => ({
    ...{ worker: String(worker), 'child-sas': childSas, 'packets-in': 10, 'packets-out': 20 },
    ...{ 'handed-over': 3, 'taken-over': 4 },
  }));
  return workersReport(terms, samples, new Map([[2, work]]));
}

const same: Shares = { oneSa: 1, severalSas: 1, arrived: 1 };

describe('The report of workers', () => {
  it('holds each rate to 0.95 of that with one worker', () => {
    const kept = (share: Partial<Shares>) =>
      reportOf({ ...same, ...share }).verdicts.map((verdict) => verdict.kept);
    assert.deepEqual(kept({}), [true, true, true, true]);
    assert.deepEqual(kept({ oneSa: 0.94 }), [false, true, true, true]);
    assert.deepEqual(kept({ severalSas: 0.94 }), [true, false, true, true]);
    assert.deepEqual(kept({ arrived: 0.94 }), [true, true, false, true]);
  });

  it('wants SAs with more than one of several workers', () => {
    assert.deepEqual(reportOf(same, [5, 0]).verdicts.at(-1)?.kept, false);
  });

  it('is a row for each number of workers, and one for each worker', () => {
    const text = workersTable(reportOf(same));
    assert.match(text, /^1 +2000 \[1000-3000\] +1\.00 \[1\.00-1\.00\] +1600 \[/m);
    assert.match(text, /^2 +1 +3 +10 +20 +3 +4$/m);
  });
});
