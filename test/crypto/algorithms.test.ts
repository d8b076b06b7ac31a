import { strict as assert } from 'node:assert';
import { getCiphers, getHashes } from 'node:crypto';
import {
  ENCRYPTION_ALGORITHMS,
  ESN_IDS,
  encryptionAlgorithm,
  encryptionKeyOctets,
  INTEGRITY_ALGORITHMS,
  integrityAlgorithm,
  KEY_EXCHANGE_ALGORITHMS,
  keyExchangeAlgorithm,
  keyExchangeName,
  PRF_ALGORITHMS,
  prfAlgorithm,
} from '../../src/crypto/algorithms.ts';
import {
  EncryptionId,
  EsnId,
  IntegrityId,
  KeyExchangeId,
  PrfId,
  TransformType,
} from '../../src/crypto/transform.ts';
import { transformIdName, transformTypeName } from '../../src/crypto/transform-names.ts';

describe('Table of algorithms', () => {
  it('holds each algorithm once, under the name its id has', () => {
    const tables = [
      [TransformType.ENCR, ENCRYPTION_ALGORITHMS, encryptionAlgorithm],
      [TransformType.PRF, PRF_ALGORITHMS, prfAlgorithm],
      [TransformType.INTEG, INTEGRITY_ALGORITHMS, integrityAlgorithm],
      [TransformType.KE, KEY_EXCHANGE_ALGORITHMS, keyExchangeAlgorithm],
    ] as const;
    for (const [type, algorithms, find] of tables) {
      for (const algorithm of algorithms) {
        assert.equal(find(algorithm.id), algorithm);
        assert.equal(transformIdName(type, algorithm.id), algorithm.name);
      }
    }
  });

  it('does not know what we refuse', () => {
    assert.equal(encryptionAlgorithm(EncryptionId['3DES']), undefined);
    assert.equal(encryptionAlgorithm(EncryptionId.NULL), undefined);
    assert.equal(prfAlgorithm(PrfId.PRF_HMAC_MD5), undefined);
    assert.equal(integrityAlgorithm(IntegrityId.AUTH_HMAC_MD5_96), undefined);
    assert.equal(integrityAlgorithm(IntegrityId.NONE), undefined);
    assert.equal(keyExchangeAlgorithm(KeyExchangeId.MODP_1024), undefined);
  });

  it('calls SHA-1 weak and nothing else', () => {
    const weak = [...ENCRYPTION_ALGORITHMS, ...PRF_ALGORITHMS, ...INTEGRITY_ALGORITHMS]
      .filter((algorithm) => algorithm.weak)
      .map((algorithm) => algorithm.name);
    assert.deepEqual(weak, ['PRF_HMAC_SHA1', 'HMAC_SHA1_96']);
  });

  it('names ciphers and hashes that OpenSSL has', () => {
    const ciphers = new Set(getCiphers());
    const hashes = new Set(getHashes());
    for (const algorithm of ENCRYPTION_ALGORITHMS) {
      for (const bits of algorithm.keyLengths) {
        assert(ciphers.has(algorithm.nodeCipher(bits)), algorithm.nodeCipher(bits));
      }
      assert.throws(() => algorithm.nodeCipher(512), RangeError);
    }
    for (const { digest } of [...PRF_ALGORITHMS, ...INTEGRITY_ALGORITHMS]) {
      assert(hashes.has(digest), digest);
    }
  });

  it('counts the salt into the key material (RFC 5282 §4, RFC 7634 §2)', () => {
    const octets = ENCRYPTION_ALGORITHMS.map((algorithm) => [
      algorithm.name,
      algorithm.keyLengths.map((bits) => encryptionKeyOctets(algorithm, bits)),
    ]);
    assert.deepEqual(octets, [
      ['AES_GCM_16', [20, 28, 36]],
      ['CHACHA20_POLY1305', [36]],
      ['AES_CBC', [16, 24, 32]],
    ]);
  });

  it('has sequence numbers of both lengths', () => {
    assert.deepEqual(ESN_IDS, [EsnId.NO_ESN, EsnId.ESN]);
  });
});

describe('Names of transforms', () => {
  it('name what we do not implement', () => {
    assert.equal(transformIdName(TransformType.ENCR, 3), '3DES_CBC');
    assert.equal(transformIdName(TransformType.ENCR, 13), 'AES_CTR');
    assert.equal(transformIdName(TransformType.ENCR, 23), 'CAMELLIA_CBC');
    assert.equal(transformIdName(TransformType.ESN, EsnId.ESN), 'EXT_SEQ');
    assert.equal(keyExchangeName(2), 'MODP_1024');
    assert.equal(keyExchangeName(36), 'ML_KEM_768');
  });

  it('take additional key exchanges from the key exchange methods (RFC 9370 §2.2.1)', () => {
    assert.equal(transformTypeName(6), 'ADDKE1');
    assert.equal(transformIdName(12, 36), 'ML_KEM_768');
  });

  it('always are a string that says the numbers', () => {
    assert.equal(transformTypeName(200), 'TYPE(200)');
    assert.equal(transformIdName(200, 7), 'TYPE(200)(7)');
    assert.equal(transformIdName(TransformType.ENCR, 1035), 'ENCR(1035)');
    assert.equal(transformIdName(TransformType.KE, 1035), 'KE(1035)');
  });

  it('exist for every number of transform.ts', () => {
    const tables = [EncryptionId, PrfId, IntegrityId, KeyExchangeId, EsnId];
    tables.forEach((ids, index) => {
      for (const id of Object.values(ids)) {
        assert.doesNotMatch(transformIdName(index + 1, id), /\(/, `${index + 1} ${id}`);
      }
    });
  });
});
