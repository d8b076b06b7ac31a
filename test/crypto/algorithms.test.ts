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
import { hmacDigest, isCbcMac } from '../../src/crypto/mac.ts';
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
    assert.equal(encryptionAlgorithm(EncryptionId.DES), undefined);
    assert.equal(prfAlgorithm(PrfId.PRF_HMAC_MD5), undefined);
    assert.equal(integrityAlgorithm(IntegrityId.AUTH_HMAC_MD5_96), undefined);
    assert.equal(integrityAlgorithm(IntegrityId.NONE), undefined);
    for (const id of [KeyExchangeId.NONE, KeyExchangeId.MODP_768, 22, 23, 24, 25, 26]) {
      assert.equal(keyExchangeAlgorithm(id), undefined);
    }
  });

  it('calls weak what is broken, short, or hides nothing', () => {
    const tables = [
      ...ENCRYPTION_ALGORITHMS,
      ...PRF_ALGORITHMS,
      ...INTEGRITY_ALGORITHMS,
      ...KEY_EXCHANGE_ALGORITHMS,
    ];
    const weak = tables.filter((algorithm) => algorithm.weak).map(({ name }) => name);
    assert.deepEqual(weak, [
      ...['3DES_CBC', 'NULL_AES_GMAC', 'NULL'],
      ...['PRF_HMAC_SHA1', 'HMAC_SHA1_96', 'MODP_1536', 'MODP_1024'],
    ]);
    const readable = ENCRYPTION_ALGORITHMS.filter(({ confidential }) => !confidential);
    assert.deepEqual(
      readable.map(({ name }) => name),
      ['NULL_AES_GMAC', 'NULL'],
    );
  });

  it('keys two PRFs with 64 bits of each nonce, as RFC 7296 §2.14 says', () => {
    const special = PRF_ALGORITHMS.filter(({ nonceOctets }) => nonceOctets !== undefined);
    assert.deepEqual(
      special.map(({ name, nonceOctets }) => [name, nonceOctets]),
      [
        ['PRF_AES128_XCBC', 8],
        ['PRF_AES128_CMAC', 8],
      ],
    );
  });

  it('names ciphers and hashes that OpenSSL has', () => {
    const ciphers = new Set(getCiphers());
    const hashes = new Set(getHashes());
    for (const algorithm of ENCRYPTION_ALGORITHMS) {
      for (const bits of algorithm.keyLengths) {
        const name = algorithm.cipher(bits);
        assert(name === 'null' || ciphers.has(name), name);
      }
      assert.throws(() => algorithm.cipher(512), RangeError);
    }
    for (const { mac } of [...PRF_ALGORITHMS, ...INTEGRITY_ALGORITHMS]) {
      assert(isCbcMac(mac) || hashes.has(hmacDigest(mac)), mac);
    }
  });

  it('counts the salt into the key material (RFC 5282 §4, RFC 7634 §2, RFC 3686 §5.1)', () => {
    const octets = ENCRYPTION_ALGORITHMS.map((algorithm) => [
      algorithm.name,
      algorithm.keyLengths.map((bits) => encryptionKeyOctets(algorithm, bits)),
    ]);
    assert.deepEqual(octets, [
      ['AES_GCM_16', [20, 28, 36]],
      ['CHACHA20_POLY1305', [36]],
      ['AES_CCM_16', [19, 27, 35]],
      ['AES_GCM_12', [20, 28, 36]],
      ['AES_CCM_12', [19, 27, 35]],
      ['AES_GCM_8', [20, 28, 36]],
      ['AES_CCM_8', [19, 27, 35]],
      ['AES_CBC', [16, 24, 32]],
      ['AES_CTR', [20, 28, 36]],
      ['CAMELLIA_CBC', [16, 24, 32]],
      ['CAMELLIA_CTR', [20, 28, 36]],
      ['3DES_CBC', [24]],
      ['NULL_AES_GMAC', [20, 28, 36]],
      ['NULL', [0]],
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
