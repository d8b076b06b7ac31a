import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Batch, createBatch, STATUS_BAD_ICV, WORDS, Word } from '../../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite } from '../../src/esp/esp-suite.ts';
import { type Native, type NativeContextOptions, native } from '../../src/io/native.ts';
import { toHex } from '../../src/wire/octets.ts';
import { describeNative } from '../support/native-addon.ts';
import { openPacket, type ReferenceKeys, sealPacket } from '../support/reference-sealer.ts';

const EINVAL = -22;
const SLOT = 2048;
const HIGH = 0x89abcdef;

interface Case {
  readonly suite: EspSuite;
  readonly keyLength: number;
  readonly integrityKeyLength: number;
}

const gcm = (['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm'] as const).flatMap((cipher) =>
  [8, 12, 16].map((icvLength) => aead(cipher, Number(cipher.slice(4, 7)) / 8, icvLength)),
);
const cbc = (['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc'] as const).flatMap((cipher) =>
  (
    [
      ['sha1', 20, 12],
      ['sha256', 32, 16],
      ['sha384', 48, 24],
      ['sha512', 64, 32],
    ] as const
  ).map(([digest, integrityKeyLength, icvLength]) => ({
    suite: {
      cipher,
      digest,
      aead: false,
      ivLength: 16,
      icvLength,
      saltLength: 0,
      alignment: 16,
    },
    keyLength: Number(cipher.slice(4, 7)) / 8,
    integrityKeyLength,
  })),
);
const cases: readonly Case[] = [...gcm, aead('chacha20-poly1305', 32, 16), ...cbc];

describeNative('Native seal and open (RFC 4303 §3.3.2, §3.4.4)', () => {
  for (const one of cases) {
    for (const esn of [false, true]) {
      const { suite } = one;
      const title = `${suite.cipher} ${suite.digest ?? ''} ICV ${suite.icvLength}${esn ? ' ESN' : ''}`;
      it(`agrees with node:crypto: ${title}`, () => agreesWithReference(one, esn));
    }
  }

  it('refuses a packet whose ICV, header, IV or high sequence half was changed', () => {
    for (const one of cases) {
      const setup = prepared(one, true);
      const { suite } = one;
      const length = packetLength(suite, 4);
      const changed = [0, 7, ESP_HEADER, ESP_HEADER + suite.ivLength, length - 1];
      for (const at of changed) {
        setup.row(0, length, setup.sealing);
        assert.equal(setup.addon.seal(setup.number, 0, 1), 1);
        const before = setup.packet(0, length)[at] ?? 0;
        setup.packet(0, length)[at] = before ^ 1;
        setup.row(0, length, setup.opening);
        assert.equal(setup.addon.open(setup.number, 0, 1), 0);
        assert.equal(setup.word(0, Word.STATUS), STATUS_BAD_ICV, `${suite.cipher} octet ${at}`);
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
    const one = aead('aes-128-gcm', 16, 16);
    const setup = prepared(one, false);
    const length = packetLength(one.suite, 4);
    setup.packet(0, length).fill(7);
    setup.row(0, length, setup.sealing);
    setup.addon.seal(setup.number, 0, 1);
    setup.packet(0, length)[length - 1]! ^= 1;
    setup.row(0, length, setup.opening);
    setup.addon.open(setup.number, 0, 1);
    assert.equal(
      toHex(setup.packet(0, length).subarray(16, length - 16)),
      '00'.repeat(length - 32),
    );
    setup.free();
  });

  it('passes over rows without a context and goes on after bad ones', () => {
    const one = aead('aes-256-gcm', 32, 16);
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
    const one = cbc[0];
    assert.ok(one);
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
    const one = cbc[0];
    assert.ok(one);
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
    const one = aead('aes-128-gcm', 16, 16);
    const setup = prepared(one, false);
    const length = packetLength(one.suite, 4);
    setup.addon.freeContext(setup.sealing);
    const next = setup.addon.context(contextOptions(setup.keys, true));
    assert.notEqual(next, setup.sealing);
    setup.row(0, length, setup.sealing);
    assert.equal(setup.addon.seal(setup.number, 0, 1), 0);
    assert.throws(() => setup.addon.freeContext(setup.sealing), RangeError);
    setup.addon.freeContext(next);
    setup.addon.freeContext(setup.opening);
    setup.addon.freeBatch(setup.number);
  });

  it('refuses keys, salts, ICVs and names that do not fit the cipher', () => {
    const good = contextOptions(keysOf(aead('aes-128-gcm', 16, 16), false), true);
    const goodCbc = contextOptions(keysOf(cases[cases.length - 1] ?? cases[0]!, false), true);
    const bad: readonly object[] = [
      { ...good, key: new Uint8Array(17) },
      { ...good, key: 'secret' },
      { ...good, salt: new Uint8Array(3) },
      { ...good, icvLength: 11 },
      { ...good, icvLength: Number.NaN },
      { ...good, cipher: 'aes-128-ecb' },
      { ...good, cipher: 'a'.repeat(100) },
      { ...good, seal: undefined },
      { ...goodCbc, icvLength: 65 },
      { ...goodCbc, digest: 'md5' },
      { ...goodCbc, digest: undefined },
      { ...goodCbc, integrityKey: new Uint8Array(0) },
      { ...goodCbc, salt: new Uint8Array(4) },
    ];
    for (const options of bad) {
      assert.throws(() => Reflect.apply(native().context, undefined, [options]), isArgumentError);
    }
  });
});

function isArgumentError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

function aead(cipher: EspSuite['cipher'], keyLength: number, icvLength: number): Case {
  return {
    suite: {
      cipher,
      digest: undefined,
      aead: true,
      ivLength: 8,
      icvLength,
      saltLength: 4,
      alignment: 4,
    },
    keyLength,
    integrityKeyLength: 0,
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

function contextOptions(keys: ReferenceKeys, seal: boolean): NativeContextOptions {
  const { cipher, digest, icvLength, saltLength } = keys.suite;
  const keyLength = keys.encryption.length - saltLength;
  return {
    cipher,
    key: keys.encryption.subarray(0, keyLength),
    salt: keys.encryption.subarray(keyLength),
    ...(digest === undefined ? {} : { digest, integrityKey: keys.integrity }),
    icvLength,
    esn: keys.esn,
    seal,
  };
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
  const sealing = addon.context(contextOptions(keys, true));
  const opening = addon.context(contextOptions(keys, false));
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
  const lengths = [1, 2, 4, 16, 88].map((blocks) => packetLength(suite, blocks));
  const plain = lengths.map((length) => randomBytes(length));
  for (const [row, length] of lengths.entries()) {
    setup.packet(row, length).set(plain[row] ?? []);
    setup.row(row, length, setup.sealing);
  }
  assert.equal(setup.addon.seal(setup.number, 0, lengths.length), lengths.length);
  for (const [row, length] of lengths.entries()) {
    const sealed = setup.packet(row, length);
    const expected = Uint8Array.from(plain[row] ?? []);
    sealPacket(expected, setup.keys, high, () => sealed.slice(8, 24));
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
