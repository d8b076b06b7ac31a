import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { ORIGIN_OCTETS, STATUS_BAD_ICV, STATUS_OK, WORDS, Word } from '../../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite, espSuite } from '../../src/esp/esp-suite.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import { type BackEndName, native } from '../../src/io/native.ts';
import { toHex } from '../../src/wire/octets.ts';
import { backEnds } from '../support/back-ends.ts';
import { describeNative } from '../support/native-addon.ts';
import { type ReferenceKeys, sealPacket } from '../support/reference-sealer.ts';
import { seededRandom } from '../support/seeded-random.ts';

const others = backEnds.filter((name) => name !== 'evp');

/** Every suite there is, once for each length of its key. */
const suites: readonly EspSuite[] = ENCRYPTION_ALGORITHMS.flatMap(
  ({ id, aead, keyLengths, variableKey }) =>
    keyLengths.flatMap((keyLength) => {
      const encr = { id, ...(variableKey && { keyLength }) };
      if (aead) return [espSuite({ encr })];
      return INTEGRITY_ALGORITHMS.map((integ) => espSuite({ encr, integ: { id: integ.id } }));
    }),
);

describeNative('Libraries that cipher packets', () => {
  it('are OpenSSL, and Intel’s where its package is installed', () => {
    const [evp, mb, ...more] = native().backEnds();
    assert.ok(evp?.name === 'evp' && 'version' in evp && /^3\.\d+\.\d+/.test(evp.version));
    assert.deepEqual([mb?.name, more], ['ipsec-mb', []]);
    if (mb !== undefined && 'missing' in mb) assert.match(mb.missing, /^libIPSec_MB\.so\.1/);
    else assert.equal(mb?.version, '1.3.0');
    // RFC 4303 leaves the library to us: the whole run must have tried both.
    if (process.env.CI) assert.deepEqual(backEnds, ['evp', 'ipsec-mb'], JSON.stringify(mb));
  });

  it('have the suites they are said to have, and refuse the others by name', () => {
    for (const suite of suites) {
      const options = (backEnd: BackEndName) =>
        contextOptions(suite, anyKeys(suite), { esn: false, seal: true, backEnd });
      for (const backEnd of backEnds) {
        const title = `${backEnd} ${suite.cipher} ${suite.mode} ${suite.mac}`;
        if (hasSuite(backEnd, suite)) {
          native().freeContext(native().context(options(backEnd)));
        } else {
          const refused = { name: 'RangeError', message: /does not have/ };
          assert.throws(() => native().context(options(backEnd)), refused, title);
        }
      }
    }
  });

  for (const backEnd of others) {
    for (const suite of suites.filter((one) => hasSuite(backEnd, one))) {
      it(`agree: ${backEnd} and evp, ${suite.cipher} ICV ${suite.icvLength} ${suite.mac ?? ''}`, () => {
        fc.assert(
          fc.property(samples(suite), (sample) => agrees(backEnd, suite, sample)),
          { numRuns: 40 },
        );
      });
    }
  }
});

/** A packet somewhere in an arena, and what is changed in it on its way. */
interface Sample {
  readonly seed: number;
  readonly offset: number;
  readonly bodyLength: number;
  readonly esn: boolean;
  /** 0 to 1 of the way through the packet. */
  readonly changedAt: number;
  readonly changedBit: number;
}

function samples({ alignment }: EspSuite): fc.Arbitrary<Sample> {
  const block = Math.max(1, alignment === 4 ? 1 : alignment);
  return fc.record({
    seed: fc.integer({ min: 0, max: 0x7fffffff }),
    offset: fc.integer({ min: 1, max: 130 }),
    bodyLength: fc
      .integer({ min: 0, max: 2000 })
      .map((length) => Math.max(block === 1 ? 0 : block, length - (length % block))),
    esn: fc.boolean(),
    changedAt: fc.double({ min: 0, max: 1, noNaN: true }),
    changedBit: fc.integer({ min: 0, max: 7 }),
  });
}

const HIGH = 0x89abcdef;
const HIGH_OCTETS = Uint8Array.of(0x89, 0xab, 0xcd, 0xef);
const ARENA = 2304;

function agrees(backEnd: BackEndName, suite: EspSuite, sample: Sample): void {
  const { offset, bodyLength, esn } = sample;
  const length = ESP_HEADER + suite.ivLength + bodyLength + suite.icvLength;
  const keys: ReferenceKeys = { ...anyKeys(suite, sample.seed), esn };
  const before = octets(ARENA, sample.seed + 1);
  const sealed = cipher(backEnd, keys, before, { offset, length, seal: true });
  const packet = sealed.arena.slice(offset, offset + length);
  const expected = before.slice(offset, offset + length);
  sealPacket(expected, keys, HIGH_OCTETS, (count) => packet.slice(8, 8 + count));
  assert.equal(sealed.status, STATUS_OK);
  assert.equal(toHex(packet), toHex(expected));
  assertUntouched(sealed.arena, before, offset, length);

  const [ours, theirs] = [backEnd, 'evp' as const].map((name) =>
    cipher(name, keys, sealed.arena, { offset, length, seal: false }),
  );
  assert.equal(ours?.status, STATUS_OK);
  assert.deepEqual(ours, theirs);
  assertUntouched(ours.arena, before, offset, length);

  const changed = sealed.arena.slice();
  const at = offset + Math.min(length - 1, Math.floor(sample.changedAt * length));
  changed[at] = (changed[at] ?? 0) ^ (1 << sample.changedBit);
  const refused = cipher(backEnd, keys, changed, { offset, length, seal: false });
  assert.equal(refused.status, STATUS_BAD_ICV);
  const body = {
    from: offset + ESP_HEADER + suite.ivLength,
    to: offset + length - suite.icvLength,
  };
  const plain = ours.arena.subarray(body.from, body.to);
  const left = refused.arena.subarray(body.from, body.to);
  if (bodyLength >= 16) assert.ok(!left.some((_, row) => sameRun(left, plain, row)));
  assertUntouched(refused.arena, changed, offset, length);
}

/** Whether 16 octets from there on are the plaintext. */
function sameRun(left: Uint8Array, plain: Uint8Array, from: number): boolean {
  if (from + 16 > left.length) return false;
  return left.subarray(from, from + 16).every((octet, row) => octet === plain[from + row]);
}

/** Nothing outside the packet, and in it neither SPI nor sequence number. */
function assertUntouched(
  after: Uint8Array,
  before: Uint8Array,
  offset: number,
  length: number,
): void {
  const inFront = offset + ESP_HEADER;
  assert.equal(toHex(after.subarray(0, inFront)), toHex(before.subarray(0, inFront)));
  const behind = offset + length;
  assert.equal(toHex(after.subarray(behind)), toHex(before.subarray(behind)));
}

/** One packet in a copy of the arena. */
function cipher(
  backEnd: BackEndName,
  keys: ReferenceKeys,
  start: Uint8Array,
  {
    offset,
    length,
    seal,
  }: { readonly offset: number; readonly length: number; readonly seal: boolean },
): { readonly status: number | undefined; readonly arena: Uint8Array } {
  const addon = native();
  const arena = new Uint8Array(new SharedArrayBuffer(start.length));
  const words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  const origins = new Uint8Array(new SharedArrayBuffer(ORIGIN_OCTETS));
  arena.set(start);
  const batch = addon.batch(arena, words, origins);
  const { esn } = keys;
  const context = addon.context(contextOptions(keys.suite, keys, { esn, seal, backEnd }));
  words.fill(-1);
  words[Word.FLAGS] = 0;
  words[Word.OFFSET] = offset;
  words[Word.LENGTH] = length;
  words[Word.CONTEXT] = context;
  words[Word.SEQUENCE_HIGH] = HIGH;
  if (seal) addon.seal(batch, 0, 1);
  else addon.open(batch, 0, 1);
  addon.freeContext(context);
  addon.freeBatch(batch);
  return { status: words[Word.STATUS], arena: Uint8Array.from(arena) };
}

function anyKeys(suite: EspSuite, seed = 1): ReferenceKeys {
  const bits = Number(/-(128|192|256)-/.exec(suite.cipher)?.[1] ?? KEY_BITS[suite.cipher] ?? 0);
  const integrity = INTEGRITY_ALGORITHMS.find(({ mac }) => mac === suite.mac);
  return {
    suite,
    encryption: octets(bits / 8 + suite.saltLength, seed),
    integrity: octets(integrity?.keyLength ?? 0, seed + 1),
    esn: false,
  };
}

const KEY_BITS: Readonly<Record<string, number>> = {
  'chacha20-poly1305': 256,
  'des-ede3-cbc': 192,
};

function octets(length: number, seed: number): Uint8Array {
  return seededRandom(seed)(length);
}
