import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { KNOWN_ICVS, patterned, trialKeys } from '../../src/io/back-end-trial.ts';
import { type BackEndSetting, BackEnds } from '../../src/io/back-ends.ts';
import { type BackEndName, type Native, native } from '../../src/io/native.ts';
import { toHex } from '../../src/wire/octets.ts';
import { backEnds } from '../support/back-ends.ts';
import { describeNative } from '../support/native-addon.ts';
import { sealPacket } from '../support/reference-sealer.ts';

const { AES_GCM_16, AES_GCM_8, AES_CBC, AES_CCM_16, NULL_AUTH_AES_GMAC, CHACHA20_POLY1305 } =
  EncryptionId;
const gcm = { encr: { id: AES_GCM_16, keyLength: 128 } };
const AEADS = ['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm', 'chacha20-poly1305'];

describe('What is known of one packet', () => {
  it('is what the reference implementation says', () => {
    const ways = [128, 192, 256].map((keyLength) => ({ encr: { id: AES_GCM_16, keyLength } }));
    const icvs = [...ways, { encr: { id: CHACHA20_POLY1305 } }].map((transforms) => {
      const suite = espSuite(transforms);
      const packet = patterned(8 + 8 + 1408 + 16, 0);
      const keys = { ...trialKeys(transforms), suite, esn: true };
      sealPacket(packet, keys, Uint8Array.of(0, 0, 0, 1), (length) => new Uint8Array(length));
      return [suite.cipher, toHex(packet.subarray(-16))];
    });
    assert.deepEqual(KNOWN_ICVS, Object.fromEntries(icvs));
  });
});

describeNative('The library that ciphers an SA’s packets', () => {
  it('is OpenSSL alone when the setting says so, and then the other is not even looked for', () => {
    const addon = altered({ backEnds: () => assert.fail('looked for') });
    const { chosen, warnings } = choose('evp', addon);
    assert.equal(chosen.of(gcm), 'evp');
    assert.deepEqual(chosen.view.backEnds, { evp: process.versions.openssl });
    assert.deepEqual(new Set(Object.values(chosen.view.ciphers)), new Set(['evp']));
    assert.deepEqual(warnings, []);
  });

  it('is OpenSSL where the other is missing; asking for that is an error that says what to do', () => {
    const missing = 'libIPSec_MB.so.1: cannot open shared object file';
    const addon = altered({
      backEnds: () => [
        { name: 'evp', version: '3.0.0' },
        { name: 'ipsec-mb', missing },
      ],
    });
    const { chosen, warnings } = choose('auto', addon);
    assert.equal(chosen.of(gcm), 'evp');
    assert.deepEqual(warnings, []);
    assert.throws(() => choose('ipsec-mb', addon), {
      message:
        'gateway.aead = ipsec-mb: the library is not there; install it (Debian: apt-get install ' +
        `libipsec-mb1) or write aead = auto (${missing})`,
    });
  });

  if (!backEnds.includes('ipsec-mb')) return;

  it('is the other for what it has, when the setting says so', () => {
    const { chosen, warnings } = choose('ipsec-mb', native());
    assert.equal(chosen.of(gcm), 'ipsec-mb');
    assert.equal(chosen.of({ encr: { id: AES_GCM_8, keyLength: 256 } }), 'ipsec-mb');
    assert.equal(chosen.of({ encr: { id: CHACHA20_POLY1305 } }), 'ipsec-mb');
    assert.equal(chosen.of({ encr: { id: NULL_AUTH_AES_GMAC, keyLength: 128 } }), 'evp');
    assert.equal(chosen.of({ encr: { id: AES_CCM_16, keyLength: 128 } }), 'evp');
    const cbc = { id: AES_CBC, keyLength: 128 };
    assert.equal(chosen.of({ encr: cbc, integ: { id: IntegrityId.AUTH_AES_XCBC_96 } }), 'evp');
    assert.deepEqual(warnings, []);
    const { ciphers, backEnds: versions } = chosen.view;
    assert.deepEqual(
      AEADS.map((name) => ciphers[name]),
      AEADS.map(() => 'ipsec-mb'),
    );
    assert.equal(ciphers.others, 'evp');
    assert.equal(versions['ipsec-mb'], '1.3.0');
  });

  it('is the faster one otherwise, cipher by cipher', () => {
    const slow = new Map<BackEndName | undefined, string>([
      ['evp', 'aes-256-gcm'],
      ['ipsec-mb', 'aes-128-gcm'],
    ]);
    let time = 0;
    let cost = 1;
    const addon = altered({
      context: (options) => {
        cost = slow.get(options.backEnd) === options.cipher ? 2 : 1;
        return native().context(options);
      },
      seal: (...rows) => {
        time += cost;
        return native().seal(...rows);
      },
    });
    const { chosen } = choose('auto', addon, () => time);
    const { ciphers } = chosen.view;
    assert.deepEqual([ciphers['aes-128-gcm'], ciphers['aes-256-gcm']], ['evp', 'ipsec-mb']);
    assert.equal(ciphers['aes-192-gcm'], 'evp', 'where both are as fast');
    assert.equal(chosen.of({ encr: { id: AES_GCM_16, keyLength: 256 } }), 'ipsec-mb');
  });

  it('is OpenSSL when the other gives wrong answers', () => {
    const wrong = altered({
      context: (options) =>
        native().context(
          options.backEnd === 'ipsec-mb' && options.cipher === 'aes-128-gcm'
            ? { ...options, salt: options.salt.map((octet) => octet ^ 1) }
            : options,
        ),
    });
    const { chosen, warnings } = choose('auto', wrong);
    assert.equal(chosen.of(gcm), 'evp');
    assert.match(
      warnings.join(),
      /^ipsec-mb 1\.3\.0 is not used for aes-128-gcm: sealed by ipsec-mb and opened/,
    );
    assert.throws(() => choose('ipsec-mb', wrong), /^Error: gateway\.aead = ipsec-mb: ipsec-mb 1/);
  });
});

/** The addon with some functions replaced. */
function altered(functions: Partial<Native>): Native {
  return { ...native(), ...functions };
}

function choose(setting: BackEndSetting, addon: Native, clock?: () => number) {
  const warnings: string[] = [];
  const warn = (what: string): number => warnings.push(what);
  const chosen = BackEnds.choose(addon, { setting, warn, ...(clock && { clock }) });
  return { chosen, warnings };
}
