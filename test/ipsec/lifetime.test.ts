import assert from 'node:assert/strict';
import {
  childLifetime,
  expireSeconds,
  ikeLifetime,
  rekeySeconds,
} from '../../src/ipsec/lifetime.ts';

describe('Lifetimes (RFC 4301 §4.4.2.1, defaults of swanctl.conf)', () => {
  const child = (rekeyTime?: number, lifeTime?: number, randTime?: number): readonly number[] => {
    const { softSeconds, hardSeconds, randSeconds } = childLifetime({
      ...(rekeyTime !== undefined && { rekeyTime }),
      ...(lifeTime !== undefined && { lifeTime }),
      ...(randTime !== undefined && { randTime }),
    });
    return [softSeconds, hardSeconds, randSeconds];
  };

  it('rekey a child after an hour and end it 10 % later', () => {
    assert.deepEqual(child(), [3600, 3960, 360]);
    assert.deepEqual(child(1000), [1000, 1100, 100]);
  });

  it('rekey 10 % before a configured life_time', () => {
    assert.deepEqual(child(undefined, 1000), [900, 1000, 100]);
    assert.deepEqual(child(600, 1000), [600, 1000, 400]);
    assert.deepEqual(child(600, 1000, 5), [600, 1000, 5]);
  });

  it('know no limit with 0', () => {
    assert.deepEqual(child(0), [0, 0, 0]);
    assert.equal(rekeySeconds(childLifetime({ rekeyTime: 0 }), 0.5), undefined);
    assert.equal(expireSeconds(childLifetime({ rekeyTime: 0 })), undefined);
    assert.equal(expireSeconds(childLifetime({ rekeyTime: 0, lifeTime: 50 })), 50);
    assert.equal(expireSeconds(ikeLifetime({ rekeyTime: 0, overTime: 30 })), undefined);
  });

  it('rekey an IKE SA after four hours and end it over_time later', () => {
    assert.deepEqual(ikeLifetime({}), {
      softSeconds: 14_400,
      hardSeconds: 15_840,
      randSeconds: 1440,
    });
    assert.deepEqual(ikeLifetime({ rekeyTime: 100, overTime: 30 }), {
      softSeconds: 100,
      hardSeconds: 130,
      randSeconds: 30,
    });
    assert.equal(ikeLifetime({ randTime: 7 }).randSeconds, 7);
  });

  it('start a successor within rand_time before the soft limit', () => {
    const lifetime = childLifetime({ rekeyTime: 1000 });
    assert.deepEqual(
      [0, 0.5, 1].map((fraction) => rekeySeconds(lifetime, fraction)),
      [1000, 950, 900],
    );
    assert.equal(rekeySeconds(childLifetime({ rekeyTime: 10, randTime: 100 }), 1), 5);
  });
});
