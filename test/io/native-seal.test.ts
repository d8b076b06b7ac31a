import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  ENCRYPTION_ALGORITHMS,
  encryptionAlgorithm,
  INTEGRITY_ALGORITHMS,
  integrityAlgorithm,
} from '../../src/crypto/algorithms.ts';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { type Batch, createBatch, STATUS_BAD_ICV, WORDS, Word } from '../../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite, espSuite } from '../../src/esp/esp-suite.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import {
  type BackEndName,
  type Native,
  type NativeContextOptions,
  native,
} from '../../src/io/native.ts';
import { toHex } from '../../src/wire/octets.ts';
import { backEnds } from '../support/back-ends.ts';
import { describeNative } from '../support/native-addon.ts';
import { openPacket, type ReferenceKeys, sealPacket } from '../support/reference-sealer.ts';

const EINVAL = -22;
const SLOT = 2048;
const HIGH = 0x89abcdef;

/** Octets of the bodies: for a CBC-MAC every way to end, and more than one stride of 512. */
const BODIES = {
  blocks: [16, 32, 64, 1408, 256],
  any: [4, 8, 12, 16, 44, 1396, 1400, 520],
} as const;

interface Case {
  readonly suite: EspSuite;
  readonly keyLength: number;
  readonly integrityKeyLength: number;
  readonly backEnd: BackEndName;
}

const { AES_CBC, AES_GCM_16, AES_CTR, AES_CCM_16 } = EncryptionId;
const { AUTH_HMAC_SHA2_256_128 } = IntegrityId;

/** Every cipher with every key length; every integrity algorithm with CBC and CTR. */
const algorithms: readonly Case[] = [
  ...ENCRYPTION_ALGORITHMS.flatMap(({ id, aead, keyLengths }) =>
    keyLengths.map((bits) => caseOf(id, bits, aead ? undefined : AUTH_HMAC_SHA2_256_128)),
  ),
  ...INTEGRITY_ALGORITHMS.flatMap(({ id }) => [caseOf(AES_CBC, 256, id), caseOf(AES_CTR, 128, id)]),
];

/** All of them, with each library that has them. */
const cases = backEnds.flatMap((backEnd) =>
  algorithms.filter(({ suite }) => hasSuite(backEnd, suite)).map((one) => ({ ...one, backEnd })),
);

describeNative('Native seal and open (RFC 4303 §3.3.2, §3.4.4)', () => {
  for (const one of cases) {
    for (const esn of [false, true]) {
      const { suite } = one;
      const icv = `${suite.mac ?? suite.mode} ICV ${suite.icvLength}${esn ? ' ESN' : ''}`;
      it(`agrees with the reference: ${one.backEnd} ${suite.cipher} ${icv}`, () =>
        agreesWithReference(one, esn));
    }
  }

  it('refuses a packet whose ICV, header, IV or high sequence half was changed', () => {
    for (const one of cases) {
      const setup = prepared(one, true);
      const { suite } = one;
      const length = packetLength(suite, 4);
      const changed = [0, 7, ESP_HEADER, ESP_HEADER + suite.ivLength, length - 1];
      const name = `${one.backEnd} ${suite.cipher} ${suite.mode} ${suite.mac}`;
      for (const at of changed) {
        setup.row(0, length, setup.sealing);
        assert.equal(setup.addon.seal(setup.number, 0, 1), 1);
        const before = setup.packet(0, length)[at] ?? 0;
        setup.packet(0, length)[at] = before ^ 1;
        setup.row(0, length, setup.opening);
        assert.equal(setup.addon.open(setup.number, 0, 1), 0);
        assert.equal(setup.word(0, Word.STATUS), STATUS_BAD_ICV, `${name} octet ${at}`);
      }
      setup.row(0, length, setup.sealing);
      setup.addon.seal(setup.number, 0, 1);
      setup.row(0, length, setup.opening);
      setup.batch.words[Word.SEQUENCE_HIGH] = HIGH + 1;
      assert.equal(setup.addon.open(setup.number, 0, 1), 0);
      setup.free();
    }
  });

  it('leaves no plaintext behind a bad ICV', () => {
    const withoutMac = ({ suite: { mac, mode } }: Case): boolean => !mac && mode !== 'gmac';
    for (const one of cases.filter(withoutMac)) {
      const setup = prepared(one, false);
      const length = packetLength(one.suite, 4);
      setup.packet(0, length).fill(7);
      setup.row(0, length, setup.sealing);
      setup.addon.seal(setup.number, 0, 1);
      setup.packet(0, length)[length - 1]! ^= 1;
      setup.row(0, length, setup.opening);
      setup.addon.open(setup.number, 0, 1);
      const body = setup.packet(0, length).subarray(16, length - one.suite.icvLength);
      assert.equal(toHex(body), '00'.repeat(body.length), one.suite.cipher);
      setup.free();
    }
  });

  it('passes over rows without a context and goes on after bad ones', () => {
    const one = caseOf(AES_GCM_16, 256);
    const setup = prepared(one, false);
    const length = packetLength(one.suite, 4);
    const contexts = [-1, setup.sealing, setup.opening, 12_345_678, setup.sealing];
    for (const [row, context] of contexts.entries()) setup.row(row, length, context);
    assert.equal(setup.addon.seal(setup.number, 0, contexts.length), 2);
    const status = contexts.map((_, row) => setup.word(row, Word.STATUS));
    assert.deepEqual(status, [99, 0, EINVAL, EINVAL, 0]);
    setup.free();
  });

  it('refuses CBC bodies that are empty or not whole blocks, and packets too short', () => {
    const one = caseOf(AES_CBC, 128, AUTH_HMAC_SHA2_256_128);
    const setup = prepared(one, false);
    const whole = packetLength(one.suite, 1);
    for (const length of [0, 7, 8, 23, whole - 16, whole - 1, whole + 1, whole + 15]) {
      setup.row(0, length, setup.sealing);
      assert.equal(setup.addon.seal(setup.number, 0, 1), 0);
      assert.equal(setup.word(0, Word.STATUS), EINVAL, `${length} octets`);
    }
    setup.free();
  });

  it('never gives two CBC packets the same IV', () => {
    const one = caseOf(AES_CBC, 128, AUTH_HMAC_SHA2_256_128);
    const setup = prepared(one, false);
    const length = packetLength(one.suite, 1);
    const seen = new Set<string>();
    for (let turn = 0; turn < 100; turn++) {
      for (let row = 0; row < 8; row++) setup.row(row, length, setup.sealing);
      assert.equal(setup.addon.seal(setup.number, 0, 8), 8);
      for (let row = 0; row < 8; row++) seen.add(toHex(setup.packet(row, length).slice(8, 24)));
    }
    assert.equal(seen.size, 800);
    setup.free();
  });

  it('does not know a context that was freed, also when its slot is used again', () => {
    const one = caseOf(AES_GCM_16, 128);
    const setup = prepared(one, false);
    const length = packetLength(one.suite, 4);
    setup.addon.freeContext(setup.sealing);
    const next = setup.addon.context(optionsOf(setup.keys, one.backEnd, true));
    assert.notEqual(next, setup.sealing);
    setup.row(0, length, setup.sealing);
    assert.equal(setup.addon.seal(setup.number, 0, 1), 0);
    assert.throws(() => setup.addon.freeContext(setup.sealing), RangeError);
    setup.addon.freeContext(next);
    setup.addon.freeContext(setup.opening);
    setup.addon.freeBatch(setup.number);
  });

  it('refuses keys, salts, ICVs and names that do not fit the cipher', () => {
    const options = (one: Case) => optionsOf(keysOf(one, false), one.backEnd, true);
    const good = options(caseOf(AES_GCM_16, 128));
    const goodCcm = options(caseOf(AES_CCM_16, 128));
    const goodCtr = options(caseOf(AES_CTR, 128, AUTH_HMAC_SHA2_256_128));
    const goodCbc = options(caseOf(AES_CBC, 256, AUTH_HMAC_SHA2_256_128));
    const goodXcbc = options(caseOf(AES_CBC, 256, IntegrityId.AUTH_AES_XCBC_96));
    const goodNull = options(caseOf(EncryptionId.NULL, 0, AUTH_HMAC_SHA2_256_128));
    const gmac = options(caseOf(EncryptionId.NULL_AUTH_AES_GMAC, 128));
    const bad: readonly object[] = [
      { ...good, key: new Uint8Array(17) },
      { ...good, key: 'secret' },
      { ...good, salt: new Uint8Array(3) },
      { ...good, icvLength: 11 },
      { ...good, icvLength: Number.NaN },
      { ...good, cipher: 'aes-128-ecb' },
      { ...good, cipher: 'a'.repeat(100) },
      { ...good, seal: undefined },
      { ...good, authenticateOnly: 1 },
      { ...good, backEnd: 'openssl' },
      { ...good, backEnd: 'a'.repeat(100) },
      { ...good, backEnd: 1 },
      { ...gmac, icvLength: 12 },
      { ...goodCcm, salt: new Uint8Array(4) },
      { ...goodCcm, icvLength: 10 },
      { ...goodCcm, authenticateOnly: true },
      { ...goodCtr, salt: new Uint8Array(3) },
      { ...goodCtr, mac: undefined },
      { ...goodCbc, icvLength: 65 },
      { ...goodCbc, icvLength: 33 },
      { ...goodCbc, mac: 'hmac-md5' },
      { ...goodCbc, mac: undefined },
      { ...goodXcbc, integrityKey: new Uint8Array(16) },
      { ...goodXcbc, icvLength: 17 },
      { ...goodNull, key: new Uint8Array(16) },
      { ...goodNull, mac: undefined },
      { ...goodCbc, integrityKey: new Uint8Array(0) },
      { ...goodCbc, salt: new Uint8Array(4) },
    ];
    for (const one of bad) {
      assert.throws(() => Reflect.apply(native().context, undefined, [one]), isArgumentError);
    }
    for (const one of cases) {
      const whole = options(one);
      for (const key of [new Uint8Array(0), new Uint8Array(whole.key.length + 1)]) {
        if (key.length === whole.key.length) continue;
        assert.throws(() => native().context({ ...whole, key }), RangeError, one.suite.cipher);
      }
    }
    for (const one of [good, gmac, goodCcm, goodCtr, goodCbc, goodXcbc, goodNull]) {
      native().freeContext(native().context(one));
    }
  });
});

function isArgumentError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

function caseOf(id: number, keyLength: number, integ?: number): Case {
  const encryption = encryptionAlgorithm(id);
  assert.ok(encryption);
  return {
    suite: espSuite({
      encr: { id, ...(encryption.variableKey && { keyLength }) },
      ...(integ !== undefined && { integ: { id: integ } }),
    }),
    keyLength: keyLength / 8,
    integrityKeyLength: (integ && integrityAlgorithm(integ)?.keyLength) || 0,
    backEnd: 'evp',
  };
}

function packetLength(suite: EspSuite, blocks: number): number {
  return ESP_HEADER + suite.ivLength + blocks * 16 + suite.icvLength;
}

function keysOf(one: Case, esn: boolean): ReferenceKeys {
  return {
    suite: one.suite,
    encryption: randomBytes(one.keyLength + one.suite.saltLength),
    integrity: randomBytes(one.integrityKeyLength),
    esn,
  };
}

function optionsOf(keys: ReferenceKeys, backEnd: BackEndName, seal: boolean): NativeContextOptions {
  return contextOptions(keys.suite, keys, { esn: keys.esn, seal, backEnd });
}

interface Setup {
  readonly addon: Native;
  readonly keys: ReferenceKeys;
  readonly batch: Batch;
  readonly number: number;
  readonly sealing: number;
  readonly opening: number;
  packet(row: number, length: number): Uint8Array;
  row(row: number, length: number, context: number): void;
  word(row: number, word: number): number | undefined;
  free(): void;
}

function prepared(one: Case, esn: boolean): Setup {
  const addon = native();
  const keys = keysOf(one, esn);
  const batch = createBatch(8);
  const number = addon.batch(batch.arena, batch.words, batch.origins);
  const sealing = addon.context(optionsOf(keys, one.backEnd, true));
  const opening = addon.context(optionsOf(keys, one.backEnd, false));
  return {
    addon,
    keys,
    batch,
    number,
    sealing,
    opening,
    packet: (row, length) => batch.arena.subarray(row * SLOT, row * SLOT + length),
    row: (row, length, context) => {
      const at = row * WORDS;
      batch.words[at + Word.OFFSET] = row * SLOT;
      batch.words[at + Word.LENGTH] = length;
      batch.words[at + Word.CONTEXT] = context;
      batch.words[at + Word.STATUS] = 99;
      batch.words[at + Word.SEQUENCE_HIGH] = HIGH;
    },
    word: (row, word) => batch.words[row * WORDS + word],
    free: () => {
      addon.freeContext(sealing);
      addon.freeContext(opening);
      addon.freeBatch(number);
    },
  };
}

function agreesWithReference(one: Case, esn: boolean): void {
  const setup = prepared(one, esn);
  const { suite } = one;
  const high = Uint8Array.of(0x89, 0xab, 0xcd, 0xef);
  const lengths = BODIES[suite.alignment === 4 ? 'any' : 'blocks'].map(
    (body) => packetLength(suite, 0) + body,
  );
  const plain = lengths.map((length) => randomBytes(length));
  for (const [row, length] of lengths.entries()) {
    setup.packet(row, length).set(plain[row] ?? []);
    setup.row(row, length, setup.sealing);
  }
  assert.equal(setup.addon.seal(setup.number, 0, lengths.length), lengths.length);
  for (const [row, length] of lengths.entries()) {
    const sealed = setup.packet(row, length);
    const expected = Uint8Array.from(plain[row] ?? []);
    sealPacket(expected, setup.keys, high, (octets) => sealed.slice(8, 8 + octets));
    assert.equal(toHex(sealed), toHex(expected));
    const opened = Uint8Array.from(sealed);
    assert.equal(openPacket(opened, setup.keys, high), true);
    setup.row(row, length, setup.opening);
  }
  assert.equal(setup.addon.open(setup.number, 0, lengths.length), lengths.length);
  for (const [row, length] of lengths.entries()) {
    const body = setup.packet(row, length).slice(8 + suite.ivLength, length - suite.icvLength);
    const expected = plain[row]?.subarray(8 + suite.ivLength, length - suite.icvLength);
    assert.equal(toHex(body), toHex(expected ?? new Uint8Array()));
  }
  setup.free();
}
