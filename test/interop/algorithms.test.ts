/**
 * Every transform tsgw shares with strongSwan 5.9.8, negotiated and carrying packets, both roles.
 *
 * What strongSwan's userspace ESP lacks (extended sequence numbers, GMAC) is in `esp-oracle.test.ts`.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  KEY_EXCHANGE_ALGORITHMS,
  PRF_ALGORITHMS,
} from '../../src/crypto/algorithms.ts';
import { type Lab, onlyTsgw, roles, subjectKind, useLab } from '../support/lab.ts';

/** Keywords of an IKE SA and of a Child SA, and what `--list-sas` says of both. */
interface Suite {
  /** Encryption and, where there is one, integrity: of IKE and of ESP. */
  readonly cipher: string;
  /** As listed: cipher, key bits, integrity. */
  readonly listed: readonly [string, string, string];
  readonly prf: readonly [keyword: string, name: string];
  readonly ke: readonly [keyword: string, name: string];
}

const SHA1 = ['prfsha1', 'PRF_HMAC_SHA1'] as const;
const SHA256 = ['prfsha256', 'PRF_HMAC_SHA2_256'] as const;
const SHA384 = ['prfsha384', 'PRF_HMAC_SHA2_384'] as const;
const SHA512 = ['prfsha512', 'PRF_HMAC_SHA2_512'] as const;
const XCBC = ['prfaesxcbc', 'PRF_AES128_XCBC'] as const;
const CMAC = ['prfaescmac', 'PRF_AES128_CMAC'] as const;

const X25519 = ['x25519', 'CURVE_25519'] as const;

/** Each algorithm at least once; key lengths, PRFs and groups take turns. */
const suites: readonly Suite[] = [
  suite('aes128gcm16', ['AES_GCM_16', '128', ''], SHA256, X25519),
  suite('aes192gcm16', ['AES_GCM_16', '192', ''], SHA384, ['ecp256', 'ECP_256']),
  suite('aes256gcm16', ['AES_GCM_16', '256', ''], SHA512, ['ecp384', 'ECP_384']),
  suite('aes128gcm12', ['AES_GCM_12', '128', ''], XCBC, ['ecp521', 'ECP_521']),
  suite('aes256gcm8', ['AES_GCM_8', '256', ''], CMAC, ['x448', 'CURVE_448']),
  suite('chacha20poly1305', ['CHACHA20_POLY1305', '', ''], SHA1, ['modp2048', 'MODP_2048']),
  suite('aes128ccm16', ['AES_CCM_16', '128', ''], SHA256, ['modp3072', 'MODP_3072']),
  suite('aes192ccm12', ['AES_CCM_12', '192', ''], SHA384, ['modp4096', 'MODP_4096']),
  suite('aes256ccm8', ['AES_CCM_8', '256', ''], SHA512, ['modp6144', 'MODP_6144']),
  suite('aes128-sha1', ['AES_CBC', '128', 'HMAC_SHA1_96'], SHA1, ['modp1024', 'MODP_1024']),
  suite('aes192-sha256', ['AES_CBC', '192', 'HMAC_SHA2_256_128'], SHA256, [
    'modp1536',
    'MODP_1536',
  ]),
  suite('aes256-sha384', ['AES_CBC', '256', 'HMAC_SHA2_384_192'], SHA384, [
    'modp8192',
    'MODP_8192',
  ]),
  suite('aes256-sha512', ['AES_CBC', '256', 'HMAC_SHA2_512_256'], SHA512, [
    'ecp224bp',
    'ECP_224_BP',
  ]),
  suite('aes128-aesxcbc', ['AES_CBC', '128', 'AES_XCBC_96'], XCBC, ['ecp256bp', 'ECP_256_BP']),
  suite('aes128-aescmac', ['AES_CBC', '128', 'AES_CMAC_96'], CMAC, ['ecp384bp', 'ECP_384_BP']),
  suite('aes128ctr-sha256', ['AES_CTR', '128', 'HMAC_SHA2_256_128'], SHA256, [
    'ecp512bp',
    'ECP_512_BP',
  ]),
  suite('aes192ctr-aescmac', ['AES_CTR', '192', 'AES_CMAC_96'], CMAC, X25519),
  suite('aes256ctr-aesxcbc', ['AES_CTR', '256', 'AES_XCBC_96'], XCBC, X25519),
  suite('camellia128-sha256', ['CAMELLIA_CBC', '128', 'HMAC_SHA2_256_128'], SHA256, X25519),
  suite('camellia256-sha512', ['CAMELLIA_CBC', '256', 'HMAC_SHA2_512_256'], SHA512, X25519),
  suite('camellia192ctr-sha384', ['CAMELLIA_CTR', '192', 'HMAC_SHA2_384_192'], SHA384, X25519),
];

/** What the lists above cannot hold, with the reason. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['NULL', 'for ESP alone: a test of its own'],
  ['3DES_CBC', 'in a preset alone: a test of its own'],
  ['NULL_AES_GMAC', 'not in userspace ESP of strongSwan'],
]);

describe('The transforms shared with strongSwan (RFC 8221, RFC 8247)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  it('are all of ours', () => {
    const tried = new Set([
      ...ELSEWHERE.keys(),
      ...suites.flatMap(({ listed, prf, ke }) => [...listed, prf[1], ke[1]]),
    ]);
    const ours = [
      ...ENCRYPTION_ALGORITHMS,
      ...INTEGRITY_ALGORITHMS,
      ...PRF_ALGORITHMS,
      ...KEY_EXCHANGE_ALGORITHMS,
    ].map(({ name }) => name);
    assert.deepEqual(
      ours.filter((name) => !tried.has(name)),
      [],
    );
  });

  for (const role of roles) {
    for (const { cipher, listed, prf, ke } of suites) {
      const proposals = `${cipher}-${prf[0]}-${ke[0]}`;
      it(`${proposals} as ${role}`, async () => {
        const { subject, subjectChild } = await lab.up(role, { proposals, espProposals: cipher });
        for (const sa of [subject, subjectChild]) {
          assert.deepEqual([sa.encrAlg, sa.encrKeysize, sa.integAlg], listed);
        }
        assert.deepEqual([subject.prfAlg, subject.dhGroup], [prf[1], ke[1]]);
        await carries(lab);
      });
    }

    it(`null-sha256, for ESP alone, as ${role}`, async () => {
      const { subjectChild } = await lab.up(role, { espProposals: 'null-sha256' });
      assert.deepEqual(
        [subjectChild.encrAlg, subjectChild.encrKeysize, subjectChild.integAlg],
        ['NULL', '', 'HMAC_SHA2_256_128'],
      );
      await carries(lab);
    });
  }
});

describe('A stream through the tunnel (strongSwan)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  // A full batch takes another way than a single packet where the library does several side by side.
  const [cbc, ctr] = [
    ['aes128-sha1', 'aes256-sha256', 'aes192-sha384', 'aes256-sha512'],
    ['aes128ctr-sha1', 'aes256ctr-sha256'],
  ];
  for (const cipher of [...cbc, ...ctr, 'chacha20poly1305', 'aes256gcm16', 'aes192gcm8']) {
    it(`arrives each way in ${cipher}`, async () => {
      const before = lab.peer.log().length;
      await lab.up('initiator', { espProposals: cipher });
      for (const reverse of [false, true]) {
        const { octets } = await lab.transfer({ octets: 8_000_000, reverse });
        assert.ok(octets > 4_000_000, `${octets} octets arrived`);
      }
      const theirs = lab.peer.log().slice(before);
      assert.doesNotMatch(theirs, /ESP decryption or ICV verification failed/);
      if (subjectKind !== 'tsgw') return;
      const { stdout } = await lab.tsgw.cli(['sad', '--json']);
      const rows: readonly { readonly 'bad-icvs': number }[] = JSON.parse(stdout);
      assert.deepEqual(
        rows.map((row) => row['bad-icvs']),
        [0, 0],
      );
    });
  }
});

describe('A new IKE SA from the keys of the old (RFC 7296 §2.18, strongSwan)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  // The nonces count whole here, also with the PRFs that take 64 bits of them for a first IKE SA.
  for (const role of roles) {
    for (const proposals of ['aes128-aesxcbc-x25519', 'aes256ccm16-prfaescmac-modp1024']) {
      it(`${proposals} as ${role}`, async () => {
        const { subject } = await lab.up(role, { proposals });
        await lab.initiator(role).swanctl.call(['--rekey', '--ike', subject.name]);
        await until('a new IKE SA', async () => {
          const sas = await lab.subject.swanctl.sas();
          return (sas.length === 1 && sas[0]?.uniqueId !== subject.uniqueId) || undefined;
        });
        await lab.tunnel();
        await carries(lab);
      });
    }
  }
});

describe('A preset towards a peer as its clients are (strongSwan)', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  const peers: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['windows-stock', '3des-sha1-modp1024', 'aes256-sha1', ['3DES_CBC', 'AES_CBC', 'MODP_1024']],
    [
      'windows-stock',
      'aes256gcm16-prfsha384-modp1024',
      'aes256-sha1',
      ['AES_GCM_16', 'AES_CBC', 'MODP_1024'],
    ],
    [
      'windows-modp2048',
      'aes256-sha1-modp2048',
      'aes256-sha1',
      ['AES_CBC', 'AES_CBC', 'MODP_2048'],
    ],
    ['apple-stock', 'aes256-sha256-modp2048', 'aes256-sha256', ['AES_CBC', 'AES_CBC', 'MODP_2048']],
    ['openiked', 'aes256-sha256-ecp256', 'aes256-sha512', ['AES_CBC', 'AES_CBC', 'ECP_256']],
  ];
  for (const [preset, proposals, espProposals, expected] of peers) {
    it(`${preset}: ${proposals}, ESP ${espProposals}`, async () => {
      const { subject, subjectChild } = await lab.up('responder', {
        g1: { proposals: preset, espProposals: preset },
        g2: { proposals, espProposals },
      });
      assert.deepEqual([subject.encrAlg, subjectChild.encrAlg, subject.dhGroup], expected);
      await carries(lab);
    });
  }

  it('is said when it is loaded, once, with its cost', async () => {
    const pair: PairSettings = {
      g1: { proposals: 'windows-stock', espProposals: 'windows-stock' },
      g2: { proposals: '3des-sha1-modp1024', espProposals: 'aes256-sha1' },
    };
    const before = lab.subject.log().length;
    await lab.load(pair);
    const said = () => lab.subject.log().slice(before).split('\n');
    const costs = () => said().filter((line) => line.includes('its cost'));
    // The log is written while the daemon does other things.
    await until('the cost to be said', async () => costs().length > 0 || undefined);
    await lab.subject.swanctl.must(['--stats']);
    assert.equal(costs().length, 1, said().join('\n'));
  });
});

/** What is lost in the first instants of an SA is the subject of other tests. */
async function carries(lab: Lab): Promise<void> {
  await until('a ping to come back', async () => {
    const { received } = await ping(lab.topology, { count: 1 });
    return received === 1 || undefined;
  });
  await lab.carries({ count: 3 });
}

function suite(cipher: string, listed: Suite['listed'], prf: Suite['prf'], ke: Suite['ke']): Suite {
  return { cipher, listed, prf, ke };
}
