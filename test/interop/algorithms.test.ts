/**
 * Every transform tsgw shares with strongSwan 5.9.8, negotiated and carrying packets, both roles.
 */
import assert from 'node:assert/strict';
import { roles, useLab } from '../support/lab.ts';

interface Suite {
  readonly keyword: string;
  /** As `--list-sas` names it. */
  readonly encr: string;
  readonly keySize: string;
  readonly integ: string;
}

const integrities: readonly (readonly [string, string])[] = [
  ['sha1', 'HMAC_SHA1_96'],
  ['sha256', 'HMAC_SHA2_256_128'],
  ['sha384', 'HMAC_SHA2_384_192'],
  ['sha512', 'HMAC_SHA2_512_256'],
];
const keySizes = ['128', '192', '256'];

const suites: readonly Suite[] = [
  ...keySizes.map((keySize) => ({
    keyword: `aes${keySize}gcm16`,
    encr: 'AES_GCM_16',
    keySize,
    integ: '',
  })),
  { keyword: 'chacha20poly1305', encr: 'CHACHA20_POLY1305', keySize: '', integ: '' },
  ...keySizes.flatMap((keySize) =>
    integrities.map(([keyword, integ]) => ({
      keyword: `aes${keySize}-${keyword}`,
      encr: 'AES_CBC',
      keySize,
      integ,
    })),
  ),
];

const prfs: readonly (readonly [string, string])[] = [
  ['prfsha1', 'PRF_HMAC_SHA1'],
  ['prfsha256', 'PRF_HMAC_SHA2_256'],
  ['prfsha384', 'PRF_HMAC_SHA2_384'],
  ['prfsha512', 'PRF_HMAC_SHA2_512'],
];

const groups: readonly (readonly [string, string])[] = [
  ['modp2048', 'MODP_2048'],
  ['modp3072', 'MODP_3072'],
  ['modp4096', 'MODP_4096'],
  ['ecp256', 'ECP_256'],
  ['ecp384', 'ECP_384'],
  ['ecp521', 'ECP_521'],
  ['x25519', 'CURVE_25519'],
];

describe('The transforms shared with strongSwan (RFC 8221, RFC 8247)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const role of roles) {
    for (const { keyword, encr, keySize, integ } of suites) {
      it(`protects IKE and ESP with ${keyword} as ${role}`, async () => {
        // A cipher that brings its own integrity does not imply a PRF.
        const prf = integ === '' ? '-prfsha256' : '';
        const { subject, subjectChild } = await lab.up(role, {
          proposals: `${keyword}${prf}-x25519`,
          espProposals: keyword,
        });
        for (const sa of [subject, subjectChild]) {
          assert.equal(sa.encrAlg, encr);
          assert.equal(sa.encrKeysize, keySize);
          assert.equal(sa.integAlg, integ);
        }
        await lab.carries({ count: 3 });
      });
    }

    for (const [keyword, name] of prfs) {
      it(`derives its keys with ${keyword} as ${role}`, async () => {
        const { subject } = await lab.up(role, { proposals: `aes128gcm16-${keyword}-x25519` });
        assert.equal(subject.prfAlg, name);
        await lab.carries({ count: 3 });
      });
    }

    for (const [keyword, name] of groups) {
      it(`exchanges keys with ${keyword} as ${role}`, async () => {
        const { subject } = await lab.up(role, { proposals: `aes128-sha256-${keyword}` });
        assert.equal(subject.dhGroup, name);
        await lab.carries({ count: 3 });
      });
    }
  }
});
