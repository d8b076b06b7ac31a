/** Secrets of cookies that nodes derive alike, against Node's own HKDF (RFC 5869). */
import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { SecretBytes } from '../../../src/crypto/secret-bytes.ts';
import { tokenSecrets } from '../../../src/gateway/cluster/token-secrets.ts';
import { CookieJar } from '../../../src/ike/cookie.ts';
import { ikeSpi } from '../../../src/ike/message/message.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { instant } from '../../../src/wire/instant.ts';
import { toHex } from '../../../src/wire/octets.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const KEY = new SecretBytes(new Uint8Array(32).fill(7));
const NOW = Date.UTC(2030, 5, 1, 12, 34, 56);
const MINUTE = 60_000;

const subject = {
  nonceI: new Uint8Array(32).fill(1),
  address: ipAddress(Uint8Array.of(192, 0, 2, 1)),
  spiI: ikeSpi(new Uint8Array(8).fill(9)),
};

describe('Secrets that nodes make cookies with', () => {
  it('are HKDF of the cluster key and the minute, also long after 2106', () => {
    for (const time of [0, NOW, 2 ** 45]) {
      const { secrets } = tokenSecrets(KEY, time);
      assert.equal(toHex(secrets.current.reveal()), expected(Math.floor(time / MINUTE)));
    }
    const { secrets } = tokenSecrets(KEY, NOW);
    const minute = Math.floor(NOW / MINUTE);
    assert.equal(toHex(secrets.previous?.reveal() ?? fail()), expected(minute - 1));
    assert.equal(toHex(secrets.next?.reveal() ?? fail()), expected(minute + 1));
  });

  it('are due for renewal with the next minute', () => {
    const { secrets, until } = tokenSecrets(KEY, NOW);
    assert.ok(until > NOW && until <= NOW + MINUTE);
    const same = tokenSecrets(KEY, until - 1);
    assert.equal(same.until, until);
    assert.deepEqual(same.secrets.current.reveal(), secrets.current.reveal());
    const later = tokenSecrets(KEY, until);
    assert.deepEqual(later.secrets.previous?.reveal(), secrets.current.reveal());
  });

  it('are good at nodes whose clocks differ by less than a minute, and no longer than that', () => {
    const node = (time: number): CookieJar => {
      const jar = new CookieJar(seededRandom(time));
      jar.share(tokenSecrets(KEY, time).secrets);
      return jar;
    };
    const cookie = node(NOW).issue(subject, instant(0));
    const isGoodAt = (time: number) => node(time).verify(cookie, subject, instant(0));
    for (const ahead of [-59_999, 0, 59_999]) assert.ok(isGoodAt(NOW + ahead), `${ahead} ms`);
    for (const ahead of [-2 * MINUTE, 2 * MINUTE]) assert.equal(isGoodAt(NOW + ahead), false);
  });

  it('of another cluster are others', () => {
    const other = new SecretBytes(new Uint8Array(32).fill(8));
    const [one, two] = [KEY, other].map((key) => tokenSecrets(key, NOW).secrets.current.reveal());
    assert.notDeepEqual(one, two);
  });
});

function expected(minute: number): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(minute));
  const info = Buffer.concat([Buffer.from('secret of the minute '), number]);
  const salt = Buffer.from('tsgw cluster cookies');
  return toHex(new Uint8Array(hkdfSync('sha256', KEY.reveal(), salt, info, 32)));
}

function fail(): never {
  return assert.fail('a secret is missing');
}
