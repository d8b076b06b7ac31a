import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  ENCRYPTION_ALGORITHMS,
  type EncryptionAlgorithm,
  encryptionKeyOctets,
} from '../../src/crypto/algorithms.ts';
import { cipherParameters, open, type SealInput, seal } from '../../src/crypto/message-cipher.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import { EncryptionId } from '../../src/crypto/transform.ts';
import { equalOctets, toHex } from '../../src/wire/octets.ts';

const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Any algorithm with any of its key lengths, and input that fits. */
const sealInput: fc.Arbitrary<SealInput> = fc
  .constantFrom(
    ...ENCRYPTION_ALGORITHMS.flatMap((algorithm) =>
      algorithm.keyLengths.map((bits) => ({ algorithm, bits })),
    ),
  )
  .chain(({ algorithm, bits }) =>
    fc.record({
      algorithm: fc.constant(algorithm),
      key: exactly(encryptionKeyOctets(algorithm, bits)),
      iv: exactly(algorithm.ivLength),
      aad: fc.uint8Array({ maxLength: 64 }),
      plaintext: fc
        .integer({ min: 0, max: 8 })
        .chain((blocks) => exactly(blocks * Math.max(algorithm.blockLength, 7))),
    }),
  );
const aeadInput = sealInput.filter(({ algorithm }) => algorithm.aead);

/** Input of the shortest key, with octets that can be told apart. */
function sample(algorithm: EncryptionAlgorithm): SealInput {
  const [bits = 0] = algorithm.keyLengths;
  const counting = (length: number) => Uint8Array.from({ length }, (_, at) => at + 1);
  return {
    algorithm,
    key: counting(encryptionKeyOctets(algorithm, bits)),
    iv: counting(algorithm.ivLength),
    aad: counting(8),
    plaintext: counting(32),
  };
}

describe('Message cipher (RFC 7296 §3.14, RFC 5282, RFC 5930, RFC 7634)', () => {
  it('opens what it sealed, and seals what the reference seals', () => {
    fc.assert(
      fc.property(sealInput, (input) => {
        const ciphertext = seal(input);
        assert.equal(ciphertext.length, input.plaintext.length + input.algorithm.icvLength);
        assert.deepEqual(open({ ...input, ciphertext }), input.plaintext);
        if (!nobleCrypto.hasCipher(input.algorithm)) return;
        assert.deepEqual(ciphertext, nobleCrypto.seal(input));
        assert.deepEqual(nobleCrypto.open({ ...input, ciphertext }), input.plaintext);
      }),
      { numRuns: 600 },
    );
  });

  it('has a reference for all but Camellia and Triple DES', () => {
    const alone = ENCRYPTION_ALGORITHMS.filter((algorithm) => !nobleCrypto.hasCipher(algorithm));
    assert.deepEqual(
      alone.map(({ name }) => name),
      ['CAMELLIA_CBC', 'CAMELLIA_CTR', '3DES_CBC'],
    );
    for (const algorithm of alone) {
      const input = sample(algorithm);
      assert.throws(() => nobleCrypto.seal(input), /@noble has no/);
    }
  });

  it('encrypts nothing with NULL and GMAC, and everything otherwise', () => {
    for (const algorithm of ENCRYPTION_ALGORITHMS) {
      const input = sample(algorithm);
      const body = seal(input).subarray(0, input.plaintext.length);
      assert.equal(equalOctets(body, input.plaintext), !algorithm.confidential, algorithm.name);
    }
  });

  it('starts counting blocks at 1 in counter mode, behind nonce and IV (RFC 3686 §4)', () => {
    const algorithm = ENCRYPTION_ALGORITHMS.find(({ id }) => id === EncryptionId.AES_CTR);
    assert(algorithm !== undefined);
    const { nonce } = cipherParameters({ ...sample(algorithm), iv: new Uint8Array(8).fill(0xee) });
    assert.equal(toHex(nonce), `11121314${'ee'.repeat(8)}00000001`);
  });

  it('opens nothing with one octet of ciphertext, tag, AAD, IV or key changed (AEAD)', () => {
    const changed = fc.constantFrom(
      'ciphertext' as const,
      'aad' as const,
      'iv' as const,
      'key' as const,
    );
    fc.assert(
      fc.property(
        aeadInput,
        changed,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (input, field, at, by) => {
          const sealed = { ...input, ciphertext: seal(input) };
          const octets = Uint8Array.from(sealed[field]);
          fc.pre(octets.length > 0);
          octets[at % octets.length]! ^= by;
          assert.equal(open({ ...sealed, [field]: octets }), undefined);
          assert.equal(nobleCrypto.open({ ...sealed, [field]: octets }), undefined);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('opens no message that was cut at any length (AEAD)', () => {
    for (const input of fc.sample(aeadInput, { numRuns: 8, seed: 7296 })) {
      const ciphertext = seal(input);
      for (let length = 0; length < ciphertext.length; length++) {
        assert.equal(open({ ...input, ciphertext: ciphertext.slice(0, length) }), undefined);
      }
    }
  });

  it('opens no ciphertext that is not whole blocks (CBC)', () => {
    for (const algorithm of ENCRYPTION_ALGORITHMS.filter(({ mode }) => mode === 'cbc')) {
      for (let length = 0; length < 48; length++) {
        const opened = open({ ...sample(algorithm), ciphertext: new Uint8Array(length) });
        assert.equal(opened?.length, length % algorithm.blockLength === 0 ? length : undefined);
      }
    }
  });

  it('takes a key, an IV or a plaintext of a wrong length for our own fault', () => {
    for (const input of fc.sample(sealInput, { numRuns: 30, seed: 5282 })) {
      const { key, iv, algorithm } = input;
      const longer = new Uint8Array(key.length + 1);
      assert.throws(() => seal({ ...input, key: longer }), RangeError);
      assert.throws(() => seal({ ...input, iv: new Uint8Array(iv.length + 1) }), /an IV of/);
      if (algorithm.blockLength > 1) {
        assert.throws(() => seal({ ...input, plaintext: new Uint8Array(17) }), /not whole blocks/);
      }
    }
  });
});
