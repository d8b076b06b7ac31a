/**
 * Every figure in `vectors/` is computed again by both implementations where both have the algorithm
 * (`message-cipher.test.ts` says which @noble lacks), and a wrong one is noticed.
 */
import { strict as assert } from 'node:assert';
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  KEY_EXCHANGE_ALGORITHMS,
  PRF_ALGORITHMS,
} from '../../src/crypto/algorithms.ts';
import { nodeCrypto } from '../../src/crypto/crypto-provider.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import { canRecompute, disagreements } from './recompute.ts';
import { hexFields, readVectorFiles, withWrongDigit } from './vector-file.ts';

const files = readVectorFiles();

for (const { file, source, section, cases } of files) {
  describe(`Vectors of ${source} ${section} (${file})`, () => {
    for (const provider of [nodeCrypto, nobleCrypto]) {
      for (const vector of cases.filter((one) => canRecompute(provider, one))) {
        it(`${provider.name} agrees: ${vector.name}`, () => {
          assert.deepEqual(disagreements(provider, vector), []);
        });
      }
    }

    for (const vector of cases) {
      it(`one wrong digit is noticed in every field: ${vector.name}`, () => {
        const unnoticed = hexFields(vector).filter(
          (field) => disagreements(nodeCrypto, withWrongDigit(vector, field)).length === 0,
        );
        assert.deepEqual(unnoticed, []);
      });
    }
  });
}

describe('Vectors', () => {
  it('cover every algorithm we implement', () => {
    const cases = files.flatMap((file) => file.cases);
    const covered = new Set(cases.flatMap((vector) => Object.values(vector)));
    const algorithms = [
      ...ENCRYPTION_ALGORITHMS,
      ...PRF_ALGORITHMS,
      ...INTEGRITY_ALGORITHMS,
      ...KEY_EXCHANGE_ALGORITHMS,
    ];
    const missing = algorithms.map(({ name }) => name).filter((name) => !covered.has(name));
    assert.deepEqual(missing, []);
  });
});
