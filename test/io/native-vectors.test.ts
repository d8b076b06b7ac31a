/**
 * Each library on the figures of RFCs and of others: what `vectors/` has of ciphers, as ESP packets,
 * one alone and many side by side.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { ENCRYPTION_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { IntegrityId } from '../../src/crypto/transform.ts';
import { createBatch, STATUS_BAD_ICV, WORDS, Word } from '../../src/esp/batch.ts';
import { type EspSuite, espSuite } from '../../src/esp/esp-suite.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import { type BackEndName, native } from '../../src/io/native.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { backEnds } from '../support/back-ends.ts';
import { describeNative } from '../support/native-addon.ts';
import { readVectorFiles, type VectorCase } from '../vectors/vector-file.ts';

/** Enough for a library that takes packets side by side, one context each. */
const SIDE_BY_SIDE = 20;
const INTEGRITY_KEY = new Uint8Array(32).fill(0x0b);

const ciphers = readVectorFiles().flatMap(({ file, cases }) =>
  cases.filter(({ encryption }) => encryption !== undefined).map((vector) => ({ file, vector })),
);

describeNative('What vectors say of ciphers', () => {
  for (const { file, vector } of ciphers) {
    const suite = suiteOf(vector);
    const having = backEnds.filter((name) => hasSuite(name, suite));
    it(`is what ${having.join(' and ')} make of packets: ${file}, ${vector.name}`, () => {
      for (const backEnd of having) {
        for (const count of [1, SIDE_BY_SIDE]) holds(backEnd, suite, vector, count);
      }
    });
  }

  it('is known of every cipher of Intel’s library', () => {
    const [, other] = backEnds;
    if (other === undefined) return;
    const known = ciphers
      .map(({ vector }) => suiteOf(vector))
      .filter((one) => hasSuite(other, one));
    const modes = new Set(known.map(({ mode }) => mode));
    assert.deepEqual([...modes].sort(), ['cbc', 'chacha20-poly1305', 'ctr', 'gcm']);
  });
});

function holds(backEnd: BackEndName, suite: EspSuite, vector: VectorCase, count: number): void {
  const field = (name: string): Uint8Array => fromHex(String(vector[name] ?? ''));
  const aad = field('aad');
  const esn = aad.length === 12;
  // What the vector authenticates is an ESP header; otherwise its ciphertext counts, not its ICV.
  const whole = suite.mac === undefined && (esn || aad.length === 8);
  const header = whole ? concatOctets(aad.subarray(0, 4), aad.subarray(-4)) : new Uint8Array(8);
  const front = concatOctets(header, field('iv'));
  const plain = field('plaintext');
  const hidden = field('ciphertext').subarray(0, plain.length);
  const made = {
    backEnd,
    suite,
    esn,
    key: field('key'),
    high: esn ? aad.subarray(4, 8) : undefined,
  };
  const room = new Uint8Array(suite.icvLength);

  if (suite.mode !== 'cbc') {
    const sealed = perform(made, true, concatOctets(front, plain, room), count);
    for (const packet of sealed) {
      assert.equal(toHex(packet.subarray(0, -room.length)), toHex(concatOctets(front, hidden)));
      if (whole) assert.equal(toHex(packet), toHex(concatOctets(front, field('ciphertext'))));
    }
  }
  if (suite.mac === undefined && !whole) return;
  const covered = concatOctets(front, hidden);
  const icv = whole
    ? field('ciphertext').subarray(plain.length)
    : createHmac('sha256', INTEGRITY_KEY).update(covered).digest().subarray(0, 16);
  const arrived = concatOctets(covered, icv);
  for (const packet of perform(made, false, arrived, count)) {
    assert.equal(toHex(packet), toHex(concatOctets(front, plain, icv)));
  }
  const changed = arrived.with(arrived.length >> 1, (arrived[arrived.length >> 1] ?? 0) ^ 1);
  perform(made, false, changed, count, STATUS_BAD_ICV);
}

interface Made {
  readonly backEnd: BackEndName;
  readonly suite: EspSuite;
  readonly esn: boolean;
  readonly key: Uint8Array;
  readonly high: Uint8Array | undefined;
}

/** The packet in `count` rows, and what becomes of each. */
function perform(
  { backEnd, suite, esn, key, high }: Made,
  seal: boolean,
  packet: Uint8Array,
  count: number,
  status = 0,
): readonly Uint8Array[] {
  const addon = native();
  const slot = packet.length + 7;
  const batch = createBatch(count, slot + 64);
  const number = addon.batch(batch.arena, batch.words, batch.origins);
  const keys = { encryption: key, integrity: INTEGRITY_KEY };
  const context = addon.context(contextOptions(suite, keys, { esn, seal, backEnd }));
  for (let row = 0; row < count; row++) {
    const at = row * WORDS;
    batch.words[at + Word.OFFSET] = row * slot;
    batch.words[at + Word.LENGTH] = packet.length;
    batch.words[at + Word.CONTEXT] = context;
    batch.words[at + Word.SEQUENCE_HIGH] =
      high === undefined ? 0 : new DataView(high.buffer, high.byteOffset).getInt32(0);
    batch.arena.set(packet, row * slot);
  }
  assert.equal(addon[seal ? 'seal' : 'open'](number, 0, count), status === 0 ? count : 0);
  const results = Array.from({ length: count }, (_, row) => {
    assert.equal(batch.words[row * WORDS + Word.STATUS], status, `${backEnd} row ${row}`);
    return batch.arena.slice(row * slot, row * slot + packet.length);
  });
  addon.freeContext(context);
  addon.freeBatch(number);
  return results;
}

/** HMAC-SHA-256 beside what makes no ICV of its own. */
function suiteOf(vector: VectorCase): EspSuite {
  const algorithm = ENCRYPTION_ALGORITHMS.find(({ name }) => name === vector.encryption);
  assert.ok(algorithm !== undefined, `${vector.encryption} is known`);
  const { id, aead, variableKey, saltLength } = algorithm;
  const keyLength = (String(vector.key ?? '').length / 2 - saltLength) * 8;
  const encr = { id, ...(variableKey && { keyLength }) };
  return espSuite(aead ? { encr } : { encr, integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 } });
}
