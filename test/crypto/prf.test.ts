import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { INTEGRITY_ALGORITHMS, PRF_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { nodeCrypto } from '../../src/crypto/crypto-provider.ts';
import { digest } from '../../src/crypto/digest.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import { prf, prfPlus, skeyseedKey } from '../../src/crypto/prf.ts';
import { concatOctets, toHex } from '../../src/wire/octets.ts';

const octets = fc.uint8Array({ maxLength: 200 });

describe('prf and prf+ (RFC 7296 §2.13)', () => {
  it('chains blocks, each from the one before, the seed and its number', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PRF_ALGORITHMS), octets, octets, (algorithm, key, seed) => {
        const t1 = prf(algorithm, key, seed, Uint8Array.of(1));
        const t2 = prf(algorithm, key, t1, seed, Uint8Array.of(2));
        const t3 = prf(algorithm, key, t2, seed, Uint8Array.of(3));
        const length = 2 * algorithm.outputLength + 1;
        assert.deepEqual(
          prfPlus(algorithm, key, seed, length),
          concatOctets(t1, t2, t3).slice(0, length),
        );
      }),
    );
  });

  it('agrees with the reference, for keys at least as long as those of IKE', () => {
    const key = fc.uint8Array({ minLength: 64, maxLength: 200 });
    const algorithm = fc.constantFrom(...PRF_ALGORITHMS);
    fc.assert(
      fc.property(algorithm, key, octets, fc.integer({ min: 1, max: 600 }), (one, k, s, n) => {
        assert.equal(toHex(prfPlus(one, k, s, n)), toHex(nobleCrypto.prfPlus(one, k, s, n)));
      }),
    );
  });

  it('gives 255 blocks and refuses to begin a 256th', () => {
    for (const algorithm of PRF_ALGORITHMS) {
      const most = 255 * algorithm.outputLength;
      const key = Uint8Array.of(1);
      assert.equal(prfPlus(algorithm, key, key, most).length, most);
      assert.throws(() => prfPlus(algorithm, key, key, most + 1), /256 blocks, 255 at most/);
    }
  });

  it('gives no octets where none are asked for', () => {
    for (const algorithm of PRF_ALGORITHMS) {
      assert.equal(prfPlus(algorithm, Uint8Array.of(1), Uint8Array.of(2), 0).length, 0);
    }
  });
});

describe('The key of SKEYSEED (RFC 7296 §2.14)', () => {
  const nonceI = new Uint8Array(32).fill(1);
  const nonceR = new Uint8Array(16).fill(2);

  it('is both nonces for an HMAC', () => {
    for (const algorithm of PRF_ALGORITHMS.filter(({ mac }) => mac.startsWith('hmac'))) {
      assert.equal(
        toHex(skeyseedKey(algorithm, nonceI, nonceR)),
        '01'.repeat(32) + '02'.repeat(16),
      );
    }
  });

  it('is the first 64 bits of each for AES-XCBC and AES-CMAC', () => {
    const others = PRF_ALGORITHMS.filter(({ mac }) => mac.startsWith('aes'));
    assert.equal(others.length, 2);
    for (const algorithm of others) {
      assert.equal(toHex(skeyseedKey(algorithm, nonceI, nonceR)), '01'.repeat(8) + '02'.repeat(8));
    }
  });
});

describe('MACs and hashes', () => {
  it('see the parts of their data as one string of octets, as the reference does', () => {
    fc.assert(
      fc.property(octets, fc.array(octets, { maxLength: 4 }), (key, parts) => {
        const whole = concatOctets(...parts);
        for (const algorithm of PRF_ALGORITHMS) {
          const mac = toHex(prf(algorithm, key, ...parts));
          assert.equal(mac, toHex(prf(algorithm, key, whole)));
          assert.equal(mac, toHex(nobleCrypto.prf(algorithm, key, ...parts)));
          assert.equal(mac.length, 2 * algorithm.outputLength);
        }
        for (const name of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
          assert.equal(toHex(digest(name, ...parts)), toHex(nobleCrypto.digest(name, whole)));
        }
      }),
    );
  });

  it('are cut to the ICV length of the algorithm (RFC 4868 §2.6)', () => {
    const material = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(material, octets, (longest, data) => {
        for (const algorithm of INTEGRITY_ALGORITHMS) {
          const key = longest.slice(0, algorithm.keyLength);
          const icv = nodeCrypto.computeIcv(algorithm, key, data);
          assert.equal(icv.length, algorithm.icvLength);
          assert.deepEqual(icv, nobleCrypto.computeIcv(algorithm, key, data));
        }
      }),
    );
  });
});
