import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    if (mb !== undefined && 'missing' in mb) assert.match(mb.missing, /libIPSec_MB\.so\.1/);
    else assert.equal(mb?.version, '1.3.0');
    // RFC 4303 leaves the library to us: the whole run must have tried both.
    if (process.env.CI) assert.deepEqual(backEnds, ['evp', 'ipsec-mb'], JSON.stringify(mb));
  });

  it('are looked for when they are wanted, and of Intel’s one version only is used', () => {
    const version = (number: string, text: string): string =>
      `unsigned imb_get_version(void) { return ${number}; }
       const char *imb_get_version_str(void) { return "${text}"; }`;
    const others = [
      'imb_get_mb_mgr_size',
      'imb_set_pointers_mb_mgr',
      'init_mb_mgr_auto',
      'imb_get_errno',
      'imb_get_strerror',
    ].map((name) => `void *${name}(void) { return 0; }`);
    const newer = [version('0x10500', '1.5.0'), ...others].join('\n');
    assert.match(missingWith(newer), /^libIPSec_MB\.so\.1 is version 1\.5\.0, and only 1\.3\.0 is/);
    const older = version('0x10300', '1.3.0');
    assert.match(
      missingWith(older),
      /^libIPSec_MB\.so\.1: .*undefined symbol: imb_get_mb_mgr_size/,
    );
    const broken = [older, ...others]
      .join('\n')
      .replace('imb_get_strerror(void) { return 0', 'imb_get_strerror(void) { return "no"');
    assert.equal(missingWith(broken), 'libIPSec_MB.so.1 does not start here: no');
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

  it('agree on the largest packets there are, which one of them leaves to another', () => {
    const packets = [65_200, 65_240, 65_256, 65_260, 65_272, 65_280, 65_300, 65_535, 65_551];
    for (const suite of suites.filter(({ mode }) => mode !== 'cbc')) {
      const having = backEnds.filter((name) => hasSuite(name, suite));
      if (having.length < 2) continue;
      const keys = { ...anyKeys(suite), esn: true };
      const gaps = packets.map((bodyLength) => ({ gap: 1, bodyLength }));
      const places = placesOf(suite, gaps);
      const before = octets((places.at(-1)?.to ?? 0) + 1, 1);
      const [first, ...more] = having.map((backEnd) =>
        cipher(backEnd, keys, before, { places, seal: true }),
      );
      assert.ok(first !== undefined);
      for (const other of more) assert.ok(Buffer.compare(first.arena, other.arena) === 0);
      for (const backEnd of having) {
        const opened = cipher(backEnd, keys, first.arena, { places, seal: false });
        assert.deepEqual(
          opened.status,
          packets.map(() => STATUS_OK),
        );
      }
    }
  });

  for (const suite of suites) {
    const having = backEnds.filter((name) => hasSuite(name, suite));
    const what = `${suite.cipher} ${suite.mode} ICV ${suite.icvLength} ${suite.mac ?? ''}`;
    it(`agree with the reference on the same packets: ${having.join(', ')}: ${what}`, () => {
      fc.assert(
        fc.property(samples(suite), (sample) => {
          for (const backEnd of having) agrees(backEnd, suite, sample);
        }),
        { numRuns: having.length > 1 ? 12 : 3 },
      );
    });
  }
});

/** What another process says of a library that is this C file. */
function missingWith(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'tsgw-library-'));
  try {
    const file = join(directory, 'library.c');
    writeFileSync(file, source);
    const library = join(directory, 'libIPSec_MB.so.1');
    execFileSync('cc', ['-shared', '-fPIC', '-w', '-o', library, file]);
    const addon = "require('./native/build/Release/tsgw.node')";
    const said = execFileSync(process.execPath, ['-p', `${addon}.backEnds()[1].missing`], {
      env: { ...process.env, LD_LIBRARY_PATH: directory },
      encoding: 'utf8',
    });
    return said.trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Packets somewhere in an arena, and what is changed in one of them on its way. */
interface Sample {
  readonly seed: number;
  readonly esn: boolean;
  readonly packets: readonly { readonly gap: number; readonly bodyLength: number }[];
  /** Both 0 to 1 of the way: through the packets, and through that packet. */
  readonly changed: readonly [number, number];
  readonly changedBit: number;
}

/** From a single packet to more than any library takes at a time. */
function samples({ alignment, mode }: EspSuite): fc.Arbitrary<Sample> {
  // OpenSSL's CCM makes no tag over nothing, and ESP has no packet with nothing in it.
  const [block, least] = alignment === 4 ? [1, mode === 'ccm' ? 1 : 0] : [alignment, alignment];
  const length = fc
    .oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 80 }))
    .map((octets) => Math.max(least, octets - (octets % block)));
  const packet = fc.record({ gap: fc.integer({ min: 1, max: 70 }), bodyLength: length });
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.record({
    seed: fc.integer({ min: 0, max: 0x7fffffff }),
    esn: fc.boolean(),
    packets: fc.oneof(
      fc.array(packet, { minLength: 1, maxLength: 8 }),
      fc.array(packet, { minLength: 9, maxLength: 70, size: 'max' }),
    ),
    changed: fc.tuple(part, part),
    changedBit: fc.integer({ min: 0, max: 7 }),
  });
}

const HIGH = 0x89abcdef;
const HIGH_OCTETS = Uint8Array.of(0x89, 0xab, 0xcd, 0xef);

/** Where a packet lies. */
interface Place {
  readonly from: number;
  readonly to: number;
}

function agrees(backEnd: BackEndName, suite: EspSuite, sample: Sample): void {
  const keys: ReferenceKeys = { ...anyKeys(suite, sample.seed), esn: sample.esn };
  const places = placesOf(suite, sample.packets);
  const before = octets((places.at(-1)?.to ?? 0) + 70, sample.seed + 1);
  const good = places.map(() => STATUS_OK);

  const sealed = cipher(backEnd, keys, before, { places, seal: true });
  const expected = before.slice();
  for (const { from, to } of places) {
    const iv = (count: number): Uint8Array => sealed.arena.slice(from + 8, from + 8 + count);
    sealPacket(expected.subarray(from, to), keys, HIGH_OCTETS, iv);
  }
  assert.deepEqual(sealed.status, good);
  assert.equal(toHex(sealed.arena), toHex(expected), 'as sealed, and nothing else was touched');

  const opened = cipher(backEnd, keys, sealed.arena, { places, seal: false });
  const plain = sealed.arena.slice();
  for (const { from, to } of places.map((place) => bodyOf(suite, place))) {
    plain.set(before.subarray(from, to), from);
  }
  assert.deepEqual(opened.status, good);
  assert.equal(toHex(opened.arena), toHex(plain), 'as opened, and nothing else was touched');

  const row = part(sample.changed[0], places.length);
  const place = places[row] ?? { from: 0, to: 0 };
  const body = bodyOf(suite, place);
  const at = place.from + part(sample.changed[1], place.to - place.from);
  const changed = sealed.arena.slice();
  changed[at] = (changed[at] ?? 0) ^ (1 << sample.changedBit);
  const refused = cipher(backEnd, keys, changed, { places, seal: false });
  assert.deepEqual(refused.status, good.with(row, STATUS_BAD_ICV));
  const left = refused.arena.subarray(body.from, body.to);
  const hidden = before.subarray(body.from, body.to);
  const readable = suite.mode === 'null' || suite.mode === 'gmac';
  const found = left.some((_, from) => sameRun(left, hidden, from));
  assert.ok(readable || !found, 'no plaintext is left');
  const rest = plain.with(at, changed[at] ?? 0);
  rest.set(left, body.from);
  assert.equal(toHex(refused.arena), toHex(rest), 'all but the body is as it came');
}

function part(of: number, length: number): number {
  return Math.min(length - 1, Math.floor(of * length));
}

function placesOf({ ivLength, icvLength }: EspSuite, packets: Sample['packets']): readonly Place[] {
  let end = 0;
  return packets.map(({ gap, bodyLength }) => {
    const from = end + gap;
    end = from + ESP_HEADER + ivLength + bodyLength + icvLength;
    return { from, to: end };
  });
}

function bodyOf({ ivLength, icvLength }: EspSuite, { from, to }: Place): Place {
  return { from: from + ESP_HEADER + ivLength, to: to - icvLength };
}

/** Whether 16 octets from there on are the plaintext. */
function sameRun(left: Uint8Array, plain: Uint8Array, from: number): boolean {
  if (from + 16 > left.length) return false;
  return left.subarray(from, from + 16).every((octet, row) => octet === plain[from + row]);
}

/** The packets, one a row, in a copy of the arena. */
function cipher(
  backEnd: BackEndName,
  keys: ReferenceKeys,
  start: Uint8Array,
  { places, seal }: { readonly places: readonly Place[]; readonly seal: boolean },
): { readonly status: readonly (number | undefined)[]; readonly arena: Uint8Array } {
  const addon = native();
  const arena = new Uint8Array(new SharedArrayBuffer(start.length));
  const words = new Int32Array(new SharedArrayBuffer(places.length * WORDS * 4));
  const origins = new Uint8Array(new SharedArrayBuffer(places.length * ORIGIN_OCTETS));
  arena.set(start);
  const batch = addon.batch(arena, words, origins);
  const { suite, esn } = keys;
  const context = addon.context(contextOptions(suite, keys, { esn, seal, backEnd }));
  for (const [row, { from, to }] of places.entries()) {
    const at = row * WORDS;
    words[at + Word.OFFSET] = from;
    words[at + Word.LENGTH] = to - from;
    words[at + Word.CONTEXT] = context;
    words[at + Word.SEQUENCE_HIGH] = HIGH;
  }
  const done = addon[seal ? 'seal' : 'open'](batch, 0, places.length);
  addon.freeContext(context);
  addon.freeBatch(batch);
  const status = places.map((_, row) => words[row * WORDS + Word.STATUS]);
  assert.equal(done, status.filter((one) => one === STATUS_OK).length);
  return { status, arena: Uint8Array.from(arena) };
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
