import assert from 'node:assert/strict';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { CookieJar } from '../../src/ike/cookie.ts';
import { ikeSpi } from '../../src/ike/message/message.ts';
import { instant } from '../../src/wire/instant.ts';
import { endpoint } from '../support/pair.ts';
import { seededRandom } from '../support/seeded-random.ts';

const subject = {
  nonceI: Uint8Array.of(1, 2, 3),
  address: endpoint('192.0.2.1').address,
  spiI: ikeSpi(new Uint8Array(8).fill(7)),
};

describe('Cookies (RFC 7296 §2.6)', () => {
  it('of an IPv6 address are none of the IPv4 address it ends with', () => {
    const jar = new CookieJar(seededRandom(1));
    const six = endpoint('2001:db8::c000:201').address;
    const cookie = jar.issue({ ...subject, address: six }, instant(0));
    const nonceI = Uint8Array.of(...subject.nonceI, ...six.octets.subarray(0, 12));
    assert.equal(jar.verify(cookie, { ...subject, nonceI }, instant(1)), false);
  });

  it('are good for the subject they were issued to', () => {
    const jar = new CookieJar(seededRandom(1));
    const cookie = jar.issue(subject, instant(0));
    assert.ok(jar.verify(cookie, subject, instant(1000)));
  });

  it('are no good for another nonce, address or SPI', () => {
    const jar = new CookieJar(seededRandom(1));
    const cookie = jar.issue(subject, instant(0));
    const others = [
      { ...subject, nonceI: Uint8Array.of(1, 2, 4) },
      { ...subject, address: endpoint('192.0.2.3').address },
      { ...subject, spiI: ikeSpi(new Uint8Array(8).fill(8)) },
    ];
    for (const other of others) assert.equal(jar.verify(cookie, other, instant(1)), false);
    assert.equal(jar.verify(cookie.slice(1), subject, instant(1)), false);
  });

  it('live one to two minutes', () => {
    const jar = new CookieJar(seededRandom(1));
    jar.issue(subject, instant(0));
    const cookie = jar.issue(subject, instant(59_000));
    assert.ok(jar.verify(cookie, subject, instant(61_000)));
    assert.ok(jar.verify(cookie, subject, instant(119_000)));
    assert.equal(jar.verify(cookie, subject, instant(122_000)), false);
  });

  it('are forgotten after a long silence', () => {
    const jar = new CookieJar(seededRandom(1));
    const cookie = jar.issue(subject, instant(0));
    assert.equal(jar.verify(cookie, subject, instant(500_000)), false);
  });

  it('differ from one gateway to the next', () => {
    const [one, other] = [new CookieJar(seededRandom(1)), new CookieJar(seededRandom(2))];
    assert.equal(other.verify(one.issue(subject, instant(0)), subject, instant(0)), false);
  });

  it('of one node are good at another that has the same secret, and no longer than one renewal', () => {
    const [one, other] = [1, 2].map((seed) => new CookieJar(seededRandom(seed)));
    assert.ok(one && other);
    const [first, second, third] = [1, 2, 3].map(
      (fill) => new SecretBytes(new Uint8Array(32).fill(fill)),
    );
    assert.ok(first && second && third);
    for (const jar of [one, other]) jar.share({ current: first });
    const cookie = one.issue(subject, instant(0));
    // Clocks of nodes have nothing to do with one another.
    assert.ok(other.verify(cookie, subject, instant(9e9)));
    other.share({ current: second, previous: first });
    assert.ok(other.verify(cookie, subject, instant(9e9)));
    other.share({ current: third, previous: second });
    assert.equal(other.verify(cookie, subject, instant(9e9)), false);
    // The clock of the one that made it is ahead.
    other.share({ current: third, next: first });
    assert.ok(other.verify(cookie, subject, instant(9e9)));
  });
});
