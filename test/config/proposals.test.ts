import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Findings } from '../../src/config/findings.ts';
import { proposalKeyword, proposalKeywords } from '../../src/config/proposal-keywords.ts';
import { parseProposals } from '../../src/config/proposals.ts';
import { transformIdName } from '../../src/crypto/transform-names.ts';
import { setting } from './reading.ts';

/** Proposals as charon prints them, and what was found on the way. */
function read(protocol: 'ike' | 'esp', ...texts: readonly string[]) {
  const findings = new Findings();
  const proposals = parseProposals(texts.map(setting), protocol, findings);
  return {
    proposals: proposals.map(({ transforms }) =>
      transforms
        .map(({ type, id, keyLength }) => {
          const name = transformIdName(type, id);
          return keyLength === undefined ? name : `${name}_${keyLength}`;
        })
        .join('/'),
    ),
    errors: findings.errors.map(({ what }) => what),
    warnings: findings.warnings.map(({ what }) => what),
  };
}

describe('swanctl.conf proposals', () => {
  // What charon 5.9.8 makes of the same text, in its own order of transform types.
  const readings: readonly (readonly ['ike' | 'esp', string, string])[] = [
    ['ike', 'aes256gcm16-sha256-x25519', 'AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE_25519'],
    ['ike', 'aes256gcm16-prfsha384-ecp384', 'AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384'],
    [
      'ike',
      'aes256-sha256-prfsha512-x25519',
      'AES_CBC_256/PRF_HMAC_SHA2_512/HMAC_SHA2_256_128/CURVE_25519',
    ],
    [
      'ike',
      'aes256-sha384-x25519-modpnone',
      'AES_CBC_256/PRF_HMAC_SHA2_384/HMAC_SHA2_384_192/CURVE_25519',
    ],
    ['ike', 'aes-sha256-modp2048', 'AES_CBC_128/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/MODP_2048'],
    [
      'ike',
      'x25519-SHA2_512-AES192',
      'AES_CBC_192/PRF_HMAC_SHA2_512/HMAC_SHA2_512_256/CURVE_25519',
    ],
    [
      'ike',
      'aes256--sha256-x25519-x25519',
      'AES_CBC_256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/CURVE_25519',
    ],
    [
      'ike',
      'aes256 - sha256-curve25519',
      'AES_CBC_256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/CURVE_25519',
    ],
    ['esp', 'aes128gcm16', 'AES_GCM_16_128/NO_EXT_SEQ'],
    ['esp', 'aes128gcm16-sha256', 'AES_GCM_16_128/NO_EXT_SEQ'],
    [
      'esp',
      'chacha20poly1305-aes256gcm-aes256gcm128',
      'CHACHA20_POLY1305/AES_GCM_16_256/NO_EXT_SEQ',
    ],
    [
      'esp',
      'aes128-sha256-prfsha256-x25519',
      'AES_CBC_128/HMAC_SHA2_256_128/CURVE_25519/NO_EXT_SEQ',
    ],
    [
      'esp',
      'aes128-sha256-modpnone-x25519',
      'AES_CBC_128/HMAC_SHA2_256_128/NONE/CURVE_25519/NO_EXT_SEQ',
    ],
    ['esp', 'aes128-sha256-esn', 'AES_CBC_128/HMAC_SHA2_256_128/EXT_SEQ'],
    ['esp', 'aes128-sha256-esn-noesn', 'AES_CBC_128/HMAC_SHA2_256_128/EXT_SEQ/NO_EXT_SEQ'],
  ];
  for (const [protocol, text, expected] of readings) {
    it(`reads ${text} for ${protocol.toUpperCase()}`, () => {
      assert.deepEqual(read(protocol, text), { proposals: [expected], errors: [], warnings: [] });
    });
  }

  const refused: readonly (readonly ['ike' | 'esp', string, string])[] = [
    [
      'ike',
      'aes256gcm16-aes256-sha256-x25519',
      'AEAD and classic ciphers together: write two proposals, separated by a comma',
    ],
    [
      'esp',
      'aes128-aes128gcm16-sha256',
      'AEAD and classic ciphers together: write two proposals, separated by a comma',
    ],
    ['ike', 'aes256gcm16-x25519', 'no PRF: add one such as prfsha256'],
    ['ike', 'aes256-sha256', 'no key exchange: add one such as x25519'],
    ['ike', 'aes256-sha256-none', 'no key exchange: add one such as x25519'],
    ['ike', 'aes256-prfsha256-x25519', 'no integrity algorithm: add one such as sha256'],
    ['esp', 'aes128', 'no integrity algorithm: add one such as sha256'],
    ['esp', 'sha256', 'no encryption algorithm: add one such as aes256gcm16'],
    ['ike', 'aes256-sha256-x25519-noesn', 'esn and noesn belong into esp_proposals: remove them'],
    ['ike', 'aes256-sha256-x25519-foo', 'foo is no algorithm: remove it'],
    ['ike', 'ase256-sha256-x25519', 'ase256 is no algorithm; did you mean aes256?'],
    [
      'ike',
      'aes256-sha256-x25519-default',
      'default stands alone: write it as a proposal of its own, behind a comma',
    ],
    [
      'esp',
      '3des-sha256',
      '3des (3DES_CBC) is not offered: too weak for traffic of any length (RFC 8247 §2.1)',
    ],
    ['esp', 'null-sha256', 'null (NULL) is not offered: it would leave the traffic unencrypted'],
    [
      'ike',
      'aes256-sha256-modp1024',
      'modp1024 (MODP_1024) is not offered: a group of less than 112 bits of strength (RFC 8247 §2.4, RFC 9395)',
    ],
    ['esp', 'aes256ctr-sha256', 'aes256ctr (AES_CTR) is not implemented: remove it'],
    ['esp', 'aes256ccm16', 'aes256ccm16 (AES_CCM_16) is not implemented: remove it'],
    ['ike', 'aes256-aesxcbc-x25519', 'aesxcbc (AES_XCBC_96) is not implemented: remove it'],
    [
      'ike',
      'aes256gcm16-prfsha256-x25519-ke1_mlkem768',
      'ke1_mlkem768 (ML_KEM_768) : additional key exchanges are not implemented yet: remove it'.replace(
        ' :',
        ':',
      ),
    ],
    [
      'esp',
      'chacha20poly1305compat',
      'chacha20poly1305compat (CHACHA20_POLY1305) is not offered: it sends a key length that RFC 7634 §2 forbids: write chacha20poly1305',
    ],
  ];
  for (const [protocol, text, what] of refused) {
    it(`refuses ${text} for ${protocol.toUpperCase()}`, () => {
      assert.deepEqual(read(protocol, text), {
        proposals: [],
        errors: [`key = ${text}: ${what}`],
        warnings: [],
      });
    });
  }

  it('notes every refusal of a list and keeps the others', () => {
    const { proposals, errors } = read('esp', 'aes128', 'aes128gcm16', 'des-md5');
    assert.deepEqual(proposals, ['AES_GCM_16_128/NO_EXT_SEQ']);
    assert.equal(errors.length, 2);
  });

  it('warns of SHA-1 only when it is named', () => {
    assert.deepEqual(read('ike', 'aes256-sha1-x25519').warnings, [
      'key = aes256-sha1-x25519: PRF_HMAC_SHA1 is weak',
      'key = aes256-sha1-x25519: HMAC_SHA1_96 is weak',
    ]);
    assert.deepEqual(read('esp', 'default').warnings, []);
  });

  it('offers AEAD first by default, and nothing weak', () => {
    const ike = read('ike', 'Default');
    assert.deepEqual(ike.errors, []);
    assert.deepEqual(ike.proposals, [
      'AES_GCM_16_256/AES_GCM_16_128/CHACHA20_POLY1305/PRF_HMAC_SHA2_256/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_512/CURVE_25519/ECP_256/ECP_384/MODP_2048/MODP_3072',
      'AES_CBC_256/PRF_HMAC_SHA2_256/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_512/HMAC_SHA2_256_128/HMAC_SHA2_384_192/HMAC_SHA2_512_256/CURVE_25519/ECP_256/ECP_384/MODP_2048/MODP_3072',
    ]);
    assert.deepEqual(read('esp', 'aes128gcm16', 'default').proposals, [
      'AES_GCM_16_128/NO_EXT_SEQ',
      'AES_GCM_16_256/AES_GCM_16_128/CHACHA20_POLY1305/EXT_SEQ/NO_EXT_SEQ',
      'AES_CBC_256/AES_CBC_128/HMAC_SHA2_256_128/HMAC_SHA2_512_256/HMAC_SHA2_384_192/EXT_SEQ/NO_EXT_SEQ',
    ]);
  });

  it('makes proposals without number and SPI', () => {
    const [proposal] = parseProposals([setting('aes128gcm16')], 'esp', new Findings());
    assert.equal(proposal?.number, 0);
    assert.equal(proposal?.spi.length, 0);
    assert.equal(proposal?.protocol, 3);
    assert.ok(Object.isFrozen(proposal) && Object.isFrozen(proposal?.transforms));
  });

  it('gives each keyword the number charon gives it', () => {
    const { keywords } = recordedKeywords();
    for (const name of proposalKeywords()) {
      const keyword = proposalKeyword(name);
      assert.ok(keyword !== undefined);
      const { type, id, keyLength } = keyword;
      const ours = NAMES_OF_CHARON[`${type}/${id}`] ?? transformIdName(type, id);
      const recorded = keywords[name];
      // Of strongSwan 6, or of a plugin that was not loaded.
      if (recorded === undefined) assert.match(name, /^(gost|mlkem)/);
      else assert.equal(keyLength === undefined ? ours : `${ours}_${keyLength}`, recorded, name);
    }
    for (const name of Object.keys(keywords)) assert.ok(proposalKeyword(name), name);
  });
});

/** What `transform-names.ts` has no name for, or another one. */
const NAMES_OF_CHARON: Readonly<Record<string, string>> = {
  '1/1026': 'SERPENT_CBC',
  '1/1027': 'TWOFISH_CBC',
  '2/1028': 'PRF_CAMELLIA128_XCBC',
  '3/1026': 'HMAC_SHA2_256_96',
  '3/1030': 'CAMELLIA_XCBC_96',
  '4/0': 'KE_NONE',
  '4/1024': 'MODP_NULL',
};

function recordedKeywords(): { readonly keywords: Readonly<Record<string, string>> } {
  const file = 'vectors/recorded/charon-5.9.8-proposal-keywords.json';
  return JSON.parse(readFileSync(file, 'utf8'));
}
