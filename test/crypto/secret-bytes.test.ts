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
});
