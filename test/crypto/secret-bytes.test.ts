import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';

describe('Secret octets', () => {
  it('print as their length wherever values are printed', () => {
    const secret = new SecretBytes(new TextEncoder().encode('open sesame'));
    const printed = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret })];
    for (const text of printed) {
      assert.match(text, /<secret, 11 octets>/);
      assert.doesNotMatch(text, /sesame|111,|6f70656e/);
    }
  });

  it('are zeros once wiped', () => {
    const octets = Uint8Array.of(1, 2, 3);
    const secret = new SecretBytes(octets);
    secret.wipe();
    assert.deepEqual(octets, new Uint8Array(3));
    assert.deepEqual(secret.reveal(), new Uint8Array(3));
  });

  it('are a part of what they were cut from, and wipe no more than that', () => {
    const octets = Uint8Array.of(1, 2, 3, 4, 5);
    const secret = new SecretBytes(octets, 1, 3);
    assert.equal(secret.length, 3);
    assert.deepEqual([...secret.reveal()], [2, 3, 4]);
    const copy = new Uint8Array(6);
    secret.copyInto(copy, 2);
    assert.deepEqual([...copy], [0, 0, 2, 3, 4, 0]);
    secret.wipe();
    assert.deepEqual([...octets], [1, 0, 0, 0, 5]);
    assert.deepEqual([...new SecretBytes(octets, 3).reveal()], [0, 5]);
  });
});
