import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Findings } from '../../src/config/findings.ts';
import { presetNames } from '../../src/config/presets.ts';
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
    ['esp', 'aes192ccm-aes256ccm64', 'AES_CCM_16_192/AES_CCM_8_256/NO_EXT_SEQ'],
    ['esp', 'aes128ctr-camellia256-aesxcbc', 'AES_CTR_128/CAMELLIA_CBC_256/AES_XCBC_96/NO_EXT_SEQ'],
    ['ike', 'aes256-aesxcbc-x448', 'AES_CBC_256/PRF_AES128_XCBC/AES_XCBC_96/CURVE_448'],
    ['ike', 'aes128ctr-aescmac-ecp384bp', 'AES_CTR_128/PRF_AES128_CMAC/AES_CMAC_96/ECP_384_BP'],
    ['ike', 'aes128ccm12-prfaescmac-modp8192', 'AES_CCM_12_128/PRF_AES128_CMAC/MODP_8192'],
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
      '3des (3DES_CBC) is not offered: too weak for traffic of any length (RFC 8247 §2.1): only the preset windows-stock has it',
    ],
    ['ike', 'null-sha256-x25519', 'NULL leaves messages readable: it is for esp_proposals only'],
    [
      'ike',
      'aes128gmac-prfsha256-x25519',
      'NULL_AES_GMAC leaves messages readable: it is for esp_proposals only',
    ],
    [
      'ike',
      'aes256-sha256-modp768',
      'modp768 (MODP_768) is not offered: a group of less than 112 bits of strength (RFC 8247 §2.4, RFC 9395)',
    ],
    [
      'ike',
      'aes256-sha256-modp2048s256',
      'modp2048s256 (MODP_2048_256) is not offered: a group of RFC 5114, whose origin is unknown: write modp2048',
    ],
    [
      'esp',
      'camellia256ccm16',
      'camellia256ccm16 (CAMELLIA_CCM_16) is not offered: OpenSSL has no CCM with Camellia: write camellia256 or aes256ccm16',
    ],
    ['esp', 'windows-stok', 'windows is no algorithm; did you mean windows-stock?'],
    ['esp', 'aes256crt-sha256', 'aes256crt is no algorithm; did you mean aes256ctr?'],
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

  it('warns of what is weak when it is named, and only then', () => {
    assert.deepEqual(read('ike', 'aes256-sha1-modp1024').warnings, [
      'key = aes256-sha1-modp1024: PRF_HMAC_SHA1 is weak',
      'key = aes256-sha1-modp1024: HMAC_SHA1_96 is weak',
      'key = aes256-sha1-modp1024: MODP_1024 is weak',
    ]);
    assert.deepEqual(read('esp', 'null-sha256', 'aes128gmac').warnings, [
      'key = null-sha256: NULL leaves the traffic readable',
      'key = aes128gmac: NULL_AES_GMAC leaves the traffic readable',
    ]);
    assert.deepEqual(read('esp', 'default').warnings, []);
    assert.deepEqual(read('ike', 'default').warnings, []);
  });

  it('knows every keyword: what it does not offer it refuses by name, with a reason', () => {
    const around = new Map<number, (word: string) => readonly ['ike' | 'esp', string]>([
      [1, (word) => ['esp', `${word}-sha256`]],
      [2, (word) => ['ike', `aes256-sha256-${word}-x25519`]],
      [3, (word) => ['esp', `aes256-${word}`]],
      [4, (word) => ['esp', `aes256-sha256-${word}`]],
      [5, (word) => ['esp', `aes256-sha256-${word}`]],
    ]);
    for (const word of proposalKeywords()) {
      const keyword = proposalKeyword(word);
      assert.ok(keyword);
      const [protocol, text] = around.get(keyword.type)?.(word) ?? assert.fail(word);
      const { proposals, errors } = read(protocol, text);
      if (keyword.never === undefined) {
        assert.deepEqual(errors, []);
        assert.equal(proposals.length, 1, word);
      } else {
        const name = transformIdName(keyword.type, keyword.id);
        assert.deepEqual(errors, [
          `key = ${text}: ${word} (${name}) is not offered: ${keyword.never}`,
        ]);
      }
    }
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

  it('adds the defaults where default stands in a list', () => {
    const { proposals } = read('ike', 'aes256-sha512-modp4096', 'default');
    assert.equal(proposals.length, 3);
    assert.deepEqual(proposals.slice(1), read('ike', 'default').proposals);
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

describe('Presets of proposals', () => {
  it('stand for the proposals that stock clients need, best first', () => {
    assert.deepEqual(read('ike', 'windows-stock').proposals, [
      'AES_GCM_16_256/AES_GCM_16_128/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_256/PRF_HMAC_SHA1/MODP_1024',
      'AES_CBC_256/AES_CBC_192/AES_CBC_128/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_256/PRF_HMAC_SHA1/HMAC_SHA2_384_192/HMAC_SHA2_256_128/HMAC_SHA1_96/MODP_1024',
      '3DES_CBC/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_256/PRF_HMAC_SHA1/HMAC_SHA2_384_192/HMAC_SHA2_256_128/HMAC_SHA1_96/MODP_1024',
    ]);
    assert.deepEqual(read('esp', 'Windows-Stock').proposals, [
      'AES_CBC_256/AES_CBC_128/HMAC_SHA1_96/NO_EXT_SEQ',
    ]);
    assert.deepEqual(read('ike', 'windows-modp2048').proposals, [
      'AES_CBC_256/PRF_HMAC_SHA2_384/PRF_HMAC_SHA2_256/PRF_HMAC_SHA1/HMAC_SHA2_384_192/HMAC_SHA2_256_128/HMAC_SHA1_96/MODP_2048',
    ]);
    assert.deepEqual(read('esp', 'openiked').proposals, [
      'AES_CBC_256/HMAC_SHA2_512_256/HMAC_SHA2_384_192/HMAC_SHA1_96/NO_EXT_SEQ',
    ]);
    assert.deepEqual(read('ike', 'apple-stock').proposals, [
      'AES_CBC_256/PRF_HMAC_SHA2_256/HMAC_SHA2_256_128/ECP_256/MODP_2048',
    ]);
  });

  it('are all to be had, for IKE and for ESP, and stand beside other proposals', () => {
    for (const name of presetNames()) {
      for (const protocol of ['ike', 'esp'] as const) {
        const alone = read(protocol, name);
        assert.deepEqual(alone.errors, []);
        assert.ok(alone.proposals.length > 0);
        const listed = read(protocol, 'default', name);
        const byDefault = read(protocol, 'default').proposals;
        assert.deepEqual(listed.proposals, [...byDefault, ...alone.proposals]);
      }
    }
  });

  it('say what they cost, each in one line, in place of a line for each algorithm', () => {
    for (const name of presetNames()) {
      const { warnings } = read('ike', name);
      assert.equal(warnings.length, 1, name);
      assert.match(warnings[0] ?? '', new RegExp(`^key = ${name}: a preset .*; its cost: .`));
    }
    const [windows] = read('ike', 'windows-stock').warnings;
    assert.match(windows ?? '', /1024 bits.*Set-VpnConnectionIPsecConfiguration .*ECP384/);
    assert.match(read('esp', 'apple-stock').warnings[0] ?? '', /SHA-1 signatures/);
  });

  it('say it once for each connection, whichever of its lists they are in', () => {
    const findings = new Findings();
    const list = (path: string, protocol: 'ike' | 'esp') =>
      parseProposals([{ ...setting('windows-stock'), path }], protocol, findings);
    list('connections.one.proposals', 'ike');
    list('connections.one.children.net.esp_proposals', 'esp');
    list('connections.two.proposals', 'ike');
    const paths = findings.warnings.map(({ what }) => what.split(' ')[0]);
    assert.deepEqual(paths, ['connections.one.proposals', 'connections.two.proposals']);
  });

  it('are words of their own: nothing is added to them with a hyphen', () => {
    const { errors } = read('ike', 'windows-stock-x25519');
    assert.equal(errors.length, 1);
    assert.match(errors[0] ?? '', /windows is no algorithm/);
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
