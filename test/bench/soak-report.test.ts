import assert from 'node:assert/strict';
import { type SoakMinute, soakReport, soakTable } from '../../bench/soak-report.ts';

const terms = { minutes: 6, rekeySeconds: 60, offloads: 'wire', cipher: 'aes128gcm16' };

function minute(mbitPerSecond: number, mebibytes: number, childSasReplaced = 3): SoakMinute {
  return {
    ...{ mbitPerSecond, residentOctets: [1, mebibytes * 2 ** 20], cpuShare: [0.5, 0.5] },
    ...{ childSasReplaced, ikeSasReplaced: 1 },
  };
}

function kept(minutes: readonly SoakMinute[]): readonly (boolean | undefined)[] {
  return soakReport(terms, minutes).verdicts.map((verdict) => verdict.kept);
}

describe('The report of soak', () => {
  const steady = [1000, 1010, 990, 1000, 1005, 995].map((rate) => minute(rate, 100));

  it('keeps its limits where rate and memory stay', () => {
    assert.deepEqual(kept(steady), [true, true, true]);
  });

  it('misses them where the rate falls, memory grows or nothing was rekeyed', () => {
    assert.deepEqual(kept([...steady.slice(0, 4), minute(700, 100), minute(700, 100)])[0], false);
    assert.deepEqual(kept([...steady.slice(0, 4), minute(1000, 130), minute(1000, 130)])[1], false);
    assert.deepEqual(kept([...steady.slice(0, 5), minute(1000, 100, 0)])[2], false);
  });

  it('looks at thirds: one bad minute of nine is none', () => {
    const nine = [...steady, ...steady.slice(0, 2), minute(100, 100)];
    assert.deepEqual(kept(nine), [true, true, true]);
  });

  it('is judged after one minute, too', () => {
    assert.deepEqual(kept([minute(1000, 100)]), [true, true, true]);
    assert.match(soakTable(soakReport(terms, [minute(1000, 100)])), /^last third +1000 +100$/m);
  });
});
