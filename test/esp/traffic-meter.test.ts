import assert from 'node:assert/strict';
import { Limit, TrafficMeter } from '../../src/esp/traffic-meter.ts';

const { NONE, SOFT, HARD } = Limit;
const NO_LIMITS = { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 };

function answers(meter: TrafficMeter, ...octets: readonly number[]): readonly number[] {
  return octets.map((one) => meter.count(one));
}

describe('Octets and packets of an SA (RFC 4301 §4.4.2.1)', () => {
  it('have no limit where none is set', () => {
    const meter = new TrafficMeter(NO_LIMITS);
    assert.deepEqual(answers(meter, 2 ** 40, 2 ** 40, 1), [NONE, NONE, NONE]);
    assert.equal(meter.ended, false);
  });

  it('reach a soft limit once and go on, and end at the hard one', () => {
    const meter = new TrafficMeter({ ...NO_LIMITS, softPackets: 2, hardPackets: 4 });
    assert.deepEqual(answers(meter, 1, 1, 1), [NONE, SOFT, NONE]);
    assert.equal(meter.ended, false);
    assert.deepEqual(answers(meter, 1), [HARD]);
    assert.equal(meter.ended, true);
  });

  it('count octets beyond 32 bits', () => {
    const meter = new TrafficMeter({ ...NO_LIMITS, softOctets: 2 ** 33, hardOctets: 2 ** 34 });
    assert.deepEqual(answers(meter, 2 ** 32, 2 ** 32 - 1, 1), [NONE, NONE, SOFT]);
    assert.deepEqual(answers(meter, 2 ** 33 - 1, 1), [NONE, HARD]);
  });

  it('are told once of a soft limit, whichever of the two came first', () => {
    const meter = new TrafficMeter({ ...NO_LIMITS, softOctets: 10, softPackets: 2 });
    assert.deepEqual(answers(meter, 100, 100, 100), [SOFT, NONE, NONE]);
  });

  it('end at a hard limit below the soft one, and where one packet reaches both', () => {
    assert.deepEqual(
      answers(new TrafficMeter({ ...NO_LIMITS, softPackets: 9, hardPackets: 1 }), 1),
      [HARD],
    );
    assert.deepEqual(answers(new TrafficMeter({ ...NO_LIMITS, softOctets: 5, hardOctets: 7 }), 8), [
      HARD,
    ]);
  });
});
