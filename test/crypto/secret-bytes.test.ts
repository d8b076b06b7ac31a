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

  it('cuts key material into secrets, wipes it, and leaves the others when one is wiped', () => {
    const material = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
    const cut = SecretBytes.cutter(material);
    const [first, second, none] = [cut(4), cut(8), cut(0)];
    assert.deepEqual([...material], Array(12).fill(0));
    assert.deepEqual([...first.reveal()], [1, 2, 3, 4]);
    assert.equal(none.length, 0);
    assert.throws(() => cut(1), RangeError);
    const other = SecretBytes.cutter(Uint8Array.of(21, 22))(2);
    first.wipe();
    assert.deepEqual([...first.reveal()], [0, 0, 0, 0]);
    assert.deepEqual([...second.reveal()], [5, 6, 7, 8, 9, 10, 11, 12]);
    assert.deepEqual([...other.reveal()], [21, 22]);
  });

  it('cuts material of any length', () => {
    for (const length of [1, 1024, 1025, 5000]) {
      const material = Uint8Array.from({ length }, (_, index) => index);
      const expected = [...material];
      assert.deepEqual([...SecretBytes.cutter(material)(length).reveal()], expected);
    }
  });
});
