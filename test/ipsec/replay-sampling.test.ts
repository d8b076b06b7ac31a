import assert from 'node:assert/strict';
import {
  EdgeRate,
  replayExposure,
  samplingEvery,
  samplingMask,
  strictLead,
} from '../../src/ipsec/replay-sampling.ts';
import { instant } from '../../src/wire/instant.ts';

const NONE = { every: 0, residue: 0 };
const EACH_64TH = { every: 64, residue: 3 };

describe('Sampling of an SA that another node has', () => {
  it('is by the low bits of the number', () => {
    assert.equal(samplingMask({ every: 1, residue: 0 }), 0);
    assert.equal(samplingMask(EACH_64TH), 63);
    assert.equal(samplingMask({ every: 65_536, residue: 65_535 }), 65_535);
    for (const [every, residue] of [
      [3, 0],
      [64, 64],
      [64, -1],
      [-2, 0],
      [0, 1],
      [1.5, 0],
      [131_072, 0],
    ] as const) {
      assert.throws(() => samplingMask({ every, residue }), RangeError, `${every} ${residue}`);
    }
  });

  it('is of each packet of slow SAs and of few of fast ones', () => {
    const every = [0, 63, 64, 100_000, 100_001].map((perSecond) => samplingEvery(perSecond / 1000));
    assert.deepEqual(every, [1, 1, 64, 64, 256]);
  });

  it('bounds what is accepted once more by samples and by digests, whichever is less', () => {
    const exposure = (perSecond: number, sampling = EACH_64TH): number =>
      replayExposure(sampling, perSecond / 1000, 'bounded');
    assert.deepEqual(
      [10, 500, 1000, 100_000].map((rate) => exposure(rate)),
      [1, 50, 63, 63],
    );
    assert.equal(exposure(1000, NONE), 100);
    assert.equal(exposure(Number.POSITIVE_INFINITY), 63);
    assert.equal(replayExposure(NONE, 1000, 'strict'), 0);
  });

  it('leads a strict successor as far as two samples, or two digests, are apart', () => {
    assert.equal(strictLead(EACH_64TH, 1000), 128);
    assert.equal(strictLead(EACH_64TH, 0.064), 13);
    assert.equal(strictLead(NONE, 1), 200);
    assert.equal(strictLead(NONE, Number.POSITIVE_INFINITY), 65_536);
  });
});

describe('The rate of an edge', () => {
  it('is known from the first digest on, and falls no faster than by half', () => {
    const rate = new EdgeRate({ high: 0, low: 1000 }, instant(0));
    const noted = (at: number, low: number, high = 0): number => {
      rate.note(high, low, instant(at));
      return rate.at(instant(at));
    };
    assert.equal(rate.at(instant(0)), Number.POSITIVE_INFINITY);
    assert.equal(noted(50, 1100), Number.POSITIVE_INFINITY, 'too soon to say');
    assert.equal(noted(100, 1400), 4);
    assert.equal(noted(200, 1400), 2);
    assert.equal(noted(300, 1700), 3);
    assert.equal(noted(400, 1699, 1), 2 ** 32 / 100 - 0.01);
  });

  it('is that of a slow SA where digests said nothing of it', () => {
    const rate = new EdgeRate({ high: 0, low: 1000 }, instant(0));
    assert.equal(rate.at(instant(199)), Number.POSITIVE_INFINITY);
    assert.equal(rate.at(instant(200)), 0.064);
    rate.note(0, 1000, instant(300));
    assert.equal(rate.at(instant(300)), 0.064);
  });
});
