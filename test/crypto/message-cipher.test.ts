import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { ENCRYPTION_ALGORITHMS, encryptionKeyOctets } from '../../src/crypto/algorithms.ts';
import { open, type SealInput, seal } from '../../src/crypto/message-cipher.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';

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

describe('Message cipher (RFC 7296 §3.14, RFC 5282, RFC 7634)', () => {
  it('opens what it sealed, and seals what the reference seals', () => {
    fc.assert(
      fc.property(sealInput, (input) => {
        const ciphertext = seal(input);
        assert.equal(ciphertext.length, input.plaintext.length + input.algorithm.icvLength);
        assert.deepEqual(ciphertext, nobleCrypto.seal(input));
        assert.deepEqual(open({ ...input, ciphertext }), input.plaintext);
        assert.deepEqual(nobleCrypto.open({ ...input, ciphertext }), input.plaintext);
      }),
      { numRuns: 200 },
    );
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
    const cbc = ENCRYPTION_ALGORITHMS.filter(({ aead }) => !aead);
    for (const algorithm of cbc) {
      for (let length = 0; length < 48; length++) {
        const input = {
          algorithm,
          key: new Uint8Array(16),
          iv: new Uint8Array(16),
          aad: new Uint8Array(0),
        };
        const opened = open({ ...input, ciphertext: new Uint8Array(length) });
        assert.equal(opened?.length, length % 16 === 0 ? length : undefined);
      }
    }
  });

  it('takes a key, an IV or a plaintext of a wrong length for our own fault', () => {
    for (const input of fc.sample(sealInput, { numRuns: 30, seed: 5282 })) {
      const { key, iv, algorithm } = input;
      assert.throws(() => seal({ ...input, key: key.slice(1) }), RangeError);
      assert.throws(() => seal({ ...input, iv: iv.slice(1) }), /an IV of/);
      if (algorithm.blockLength > 1) {
        assert.throws(() => seal({ ...input, plaintext: new Uint8Array(17) }), /not whole blocks/);
      }
    }
  });
});
