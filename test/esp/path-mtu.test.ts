import assert from 'node:assert/strict';
import { PATH_MTU_AGE, PathMtu } from '../../src/esp/path-mtu.ts';
import { instant, after as later } from '../../src/wire/instant.ts';

const now = instant(1000);

describe('Path MTU of an SA (RFC 1191, RFC 8201)', () => {
  it('starts with what is assumed', () => {
    assert.equal(new PathMtu(1500, 4).octets, 1500);
  });

  it('takes a smaller value and not a larger one', () => {
    const path = new PathMtu(1500, 4);
    assert.equal(path.learn(1400, now), true);
    assert.equal(path.learn(1450, now), false);
    assert.equal(path.learn(9000, now), false);
    assert.equal(path.octets, 1400);
  });

  it('keeps the smallest values a link must carry', () => {
    const four = new PathMtu(1500, 4);
    const six = new PathMtu(1500, 6);
    four.learn(68, now);
    six.learn(68, now);
    assert.deepEqual([four.octets, six.octets], [552, 1280]);
  });

  it('never rises above an assumption below the floor', () => {
    const path = new PathMtu(500, 4);
    assert.equal(path.learn(60, now), false);
    assert.equal(path.octets, 500);
  });

  it('steps down a plateau when nobody says the number (§7.1)', () => {
    const path = new PathMtu(1500, 4);
    path.learn(0, now);
    assert.equal(path.octets, 1492);
    path.guess(1492, now);
    assert.equal(path.octets, 1280);
  });

  it('lets a router correct a guess upwards', () => {
    const path = new PathMtu(1500, 4);
    path.guess(1480, now);
    assert.equal(path.octets, 1280);
    assert.equal(path.learn(1420, now), true);
    assert.equal(path.octets, 1420);
    assert.equal(path.learn(1440, now), false);
  });

  it('does not guess below what already fits', () => {
    const path = new PathMtu(1500, 4);
    path.learn(1000, now);
    assert.equal(path.guess(1400, now), false);
    assert.equal(path.octets, 1000);
  });

  it('forgets after ten minutes (§6.3)', () => {
    const path = new PathMtu(1500, 4);
    path.learn(1400, now);
    assert.equal(path.age(later(now, PATH_MTU_AGE - 1)), false);
    assert.equal(path.octets, 1400);
    assert.equal(path.age(later(now, PATH_MTU_AGE)), true);
    assert.equal(path.octets, 1500);
    assert.equal(path.age(later(now, 2 * PATH_MTU_AGE)), false);
  });
});

describe('Path MTU that was measured', () => {
  it('counts in both directions and does not grow old', () => {
    const path = new PathMtu(1500, 4);
    path.learn(1300, now);
    assert.equal(path.measure({ octets: 1400, lost: 1401 }), true);
    assert.equal(path.octets, 1400);
    assert.equal(path.age(later(now, 2 * PATH_MTU_AGE)), false);
    assert.equal(path.measure({ octets: 1500 }), true);
    assert.equal(path.octets, 1500);
    assert.equal(path.measure({ octets: 1500 }), false);
  });

  it('gives way to a router for a while', () => {
    const path = new PathMtu(1500, 4);
    path.measure({ octets: 1400, lost: 1401 });
    assert.equal(path.learn(1450, now), false);
    assert.equal(path.learn(1320, now), true);
    assert.equal(path.age(later(now, PATH_MTU_AGE)), true);
    assert.equal(path.octets, 1400);
  });

  it('leaves a router right between the sizes that were tried', () => {
    const path = new PathMtu(1500, 4);
    path.learn(1400, now);
    assert.equal(path.measure({ octets: 1392, lost: 1408 }), false);
    assert.equal(path.octets, 1400);
    const guessed = new PathMtu(1500, 4);
    guessed.guess(1480, now);
    assert.equal(guessed.measure({ octets: 1270, lost: 1300 }), true);
    assert.equal(guessed.octets, 1270);
  });

  it('is bounded by what our links carry and what every path must', () => {
    const path = new PathMtu(1500, 6);
    path.measure({ octets: 9000 });
    assert.equal(path.octets, 1500);
    path.measure({ octets: 100, lost: 101 });
    assert.equal(path.octets, 1280);
  });
});
