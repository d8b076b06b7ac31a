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
