/**
 * The report of `take-overs`: how many a client survived, and with what gaps.
 */
import assert from 'node:assert/strict';
import { type TakeOver, takeOversReport, takeOversTable } from '../../bench/take-overs-report.ts';

const terms = { cluster: 'tsgw-forward', by: 'crash', perSecond: 1000 } as const;
const good: TakeOver = { gapMilliseconds: 300, lost: 280, duplicated: 0, survived: true };

function missed(takeOvers: readonly TakeOver[], rekeyed = 0, by: 'crash' | 'move' = 'crash') {
  const { verdicts } = takeOversReport({ ...terms, by }, takeOvers, rekeyed);
  return verdicts.filter(({ kept }) => kept === false).map(({ limit }) => limit);
}

describe('The report of take-overs', () => {
  it('is content where the client kept all and waited no longer than it may', () => {
    assert.deepEqual(missed([good, good]), []);
  });

  it('misses SAs that did not survive, or were replaced', () => {
    assert.match(missed([good, { ...good, survived: false }])[0] ?? '', /has its IKE SA/);
    assert.match(missed([good], 1)[0] ?? '', /replaced/);
  });

  it('looks at the gaps of crashes and at the losses of moves', () => {
    assert.match(missed([{ ...good, gapMilliseconds: 401 }])[0] ?? '', /gap, p99/);
    assert.match(missed([good], 0, 'move')[0] ?? '', /planned move/);
  });

  it('is told in a few lines', () => {
    const text = takeOversTable(takeOversReport(terms, [good, { ...good, lost: 9 }], 0));
    assert.match(text, /^tsgw-forward: 2 take-overs by crash, 1000 packets/);
    assert.match(text, /^gap ms: median 300, p90 300, p99 300, most 300$/m);
    assert.match(text, /^lost: median 9, most 280; delivered twice: 0; rekeyed: 0$/m);
  });
});
