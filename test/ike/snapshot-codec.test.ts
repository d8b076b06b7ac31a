import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { decodeBundle, encodeBundle, SNAPSHOT_VERSION } from '../../src/ike/snapshot-codec.ts';
import { childCoding } from '../../src/ike/snapshot-codec-children.ts';
import { WISH } from '../../src/ike/snapshot-codec-requests.ts';
import {
  bits,
  type Coding,
  FieldReader,
  FieldWriter,
  NUMBER,
  OCTETS,
  SIGNED,
  TEXT,
  word,
} from '../../src/ike/snapshot-fields.ts';
import { spi } from '../../src/ipsec/spi.ts';
import {
  concatOctets,
  MalformedError,
  OctetReader,
  OctetWriter,
  toHex,
} from '../../src/wire/octets.ts';
import { sampleBundles } from '../support/snapshots.ts';

/** What a value encodes to. */
function encoded<T>(coding: Coding<T>, value: T): Uint8Array {
  const writer = new OctetWriter();
  coding.encode(writer, value);
  return writer.finish();
}

/** Secrets by what they are, for comparison. */
function bared(value: unknown): unknown {
  if (value instanceof SecretBytes) return `secret ${toHex(value.reveal())}`;
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(bared);
  if (typeof value !== 'object' || value === null) return value;
  // What is absent and what is undefined mean the same.
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([name, one]) => [name, bared(one)]));
}

/** Every octet string of these snapshots that is a key. */
function secretsOf(value: unknown): readonly Uint8Array[] {
  if (value instanceof SecretBytes) return value.length > 0 ? [value.reveal()] : [];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(secretsOf);
}

const SAMPLES = sampleBundles();
const RARE = SAMPLES.slice(-1);

describe('Snapshots as octets', () => {
  for (const [title, bundle] of SAMPLES) {
    it(`come back as they were: ${title}`, () => {
      assert.deepEqual(bared(decodeBundle(encodeBundle(bundle))), bared(bundle));
    });
  }

  it('cover every state and every kind of request', () => {
    const all = SAMPLES.flatMap(([, { snapshots }]) => snapshots);
    const states = new Set(all.map(({ state }) => state.name));
    assert.equal(states.size, 7);
    const children = new Set(all.flatMap((one) => one.children.map(({ state }) => state.name)));
    assert.deepEqual([...children].sort(), [
      'Deleting',
      'Draining',
      'Installed',
      'Redundant',
      'Rekeying',
      'Replaced',
    ]);
    const kinds = new Set(
      all.flatMap(({ window }) =>
        [window.inFlight?.purpose, ...window.waiting].flatMap((one) => one?.kind ?? []),
      ),
    );
    assert.equal(kinds.size, 13, [...kinds].join(' '));
  });

  it('of a plain IKE SA with one Child SA have at most 2048 octets', () => {
    const sizes = SAMPLES.filter(([title]) => title.startsWith('up')).map(
      ([, bundle]) => encodeBundle(bundle).length,
    );
    assert.ok(sizes.length >= 2);
    for (const size of sizes) assert.ok(size <= 2048, `${size} octets`);
  });

  it('print no key', () => {
    for (const [title, bundle] of SAMPLES) {
      const decoded = decodeBundle(encodeBundle(bundle));
      const printed = `${inspect(decoded, { depth: 20 })} ${JSON.stringify(decoded)}`;
      const secrets = secretsOf(decoded);
      for (const secret of secrets) {
        assert.ok(!printed.includes(toHex(secret)), title);
        assert.ok(!printed.includes([...secret.subarray(0, 4)].join(', ')), title);
      }
    }
    assert.ok(secretsOf(SAMPLES[0]?.[1]).length > 0);
  });

  it('are read by a node that does not know all of them', () => {
    const [, bundle] = SAMPLES[0]!;
    const octets = encodeBundle(bundle);
    // A field of a tag nobody has yet, of either length.
    const unknown = Uint8Array.of(250, 0, 2, 7, 7);
    const long = Uint8Array.of(251, 0xff, 0xff, 0, 0, 0, 1, 9);
    assert.deepEqual(bared(decodeBundle(concatOctets(octets, unknown, long))), bared(bundle));
  });

  it('of another version are refused', () => {
    const octets = encodeBundle({ snapshots: [], gone: [] });
    octets[0] = SNAPSHOT_VERSION + 1;
    assert.throws(() => decodeBundle(octets), MalformedError);
  });

  it('that are cut short anywhere are refused', () => {
    for (const [title, bundle] of SAMPLES.filter((_, index) => index % 12 === 0).concat(RARE)) {
      const octets = encodeBundle(bundle);
      for (let length = 0; length < octets.length; length++) {
        // A version alone is a bundle of nothing.
        if (length === 1) continue;
        const cut = octets.slice(0, length);
        const whole = bared(bundle);
        try {
          assert.notDeepEqual(bared(decodeBundle(cut)), whole);
        } catch (error) {
          assert.ok(error instanceof MalformedError, `${title}: ${error}`);
        }
      }
    }
  });

  it('that somebody changed give a snapshot or MalformedError', () => {
    const octets = SAMPLES.map(([, bundle]) => encodeBundle(bundle));
    const change = fc.tuple(
      fc.nat(octets.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(),
    );
    let refused = 0;
    fc.assert(
      fc.property(change, ([which, changes, cut]) => {
        const whole = octets[which]!;
        const hostile = whole.slice(0, cut % 4 === 0 ? cut % whole.length : whole.length);
        for (const [at, value] of changes)
          if (hostile.length > 0) hostile[at % hostile.length] = value;
        try {
          encodeBundle(decodeBundle(hostile));
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
          refused++;
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(refused > 100);
  });

  it('of a stranger give MalformedError or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (hostile) => {
        const octets = concatOctets(Uint8Array.of(SNAPSHOT_VERSION), hostile);
        try {
          decodeBundle(octets);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keep the keys of one Child SA apart', () => {
    const [, bundle] = SAMPLES.find(([title]) => title.startsWith('up'))!;
    const [one] = decodeBundle(encodeBundle(bundle)).snapshots;
    const [held] = one!.children;
    const path = one!.path;
    const again = childCoding(path).decode(new OctetReader(encoded(childCoding(path), held!)));
    assert.deepEqual(bared(again), bared(held));
    const { keysIn, keysOut } = held!.childSa;
    assert.notDeepEqual(keysIn.encryption.reveal(), keysOut.encryption.reveal());
  });

  it('come back from any wish', () => {
    const wish = fc.record({
      policy: fc.string(),
      replaces: fc.option(fc.integer({ min: 256, max: 2 ** 32 - 1 }).map(spi), { nil: undefined }),
      trigger: fc.constant(undefined),
      method: fc.option(fc.nat(65_535), { nil: undefined }),
      otherPfs: fc.boolean(),
      singlePair: fc.boolean(),
      postponements: fc.nat(100),
    });
    fc.assert(
      fc.property(wish, (one) => {
        assert.deepEqual(bared(WISH.decode(new OctetReader(encoded(WISH, one)))), bared(one));
      }),
    );
  });
});

describe('Fields of a snapshot', () => {
  it('hold numbers of any size and sign', () => {
    const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(safe, (value) => {
        const octets = encoded(NUMBER, value);
        assert.equal(NUMBER.decode(new OctetReader(octets)), value);
        assert.ok(octets.length <= 7 && octets[0] !== 0);
      }),
    );
    const half = 2 ** 51;
    fc.assert(
      fc.property(fc.integer({ min: -half, max: half }), (value) => {
        assert.equal(SIGNED.decode(new OctetReader(encoded(SIGNED, value))), value);
      }),
    );
  });

  it('refuse what is too large, of no word, twice or not there', () => {
    const read = <T>(coding: Coding<T>, ...octets: readonly number[]) =>
      coding.decode(new OctetReader(Uint8Array.from(octets)));
    assert.throws(() => read(bits(16), 1, 0, 0), MalformedError);
    assert.throws(() => read(NUMBER, 1, 2, 3, 4, 5, 6, 7, 8), MalformedError);
    assert.throws(() => read(NUMBER, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), MalformedError);
    assert.throws(() => read(word(['one', 'two']), 2), MalformedError);
    const twice = new FieldReader(new OctetReader(Uint8Array.of(1, 0, 0, 1, 0, 0)));
    assert.throws(() => twice.maybe(1, OCTETS), MalformedError);
    assert.throws(() => twice.need(2, OCTETS, 'it'), MalformedError);
    assert.deepEqual(
      twice.all(1, OCTETS).map(({ length }) => length),
      [0, 0],
    );
    assert.throws(() => new FieldReader(new OctetReader(Uint8Array.of(1, 0, 1))), MalformedError);
  });

  it('may be longer than 65534 octets', () => {
    const writer = new OctetWriter();
    const large = new Uint8Array(70_000).fill(3);
    new FieldWriter(writer).put(1, OCTETS, large).put(2, TEXT, 'behind');
    const reader = new FieldReader(new OctetReader(writer.finish()));
    assert.deepEqual(reader.maybe(1, OCTETS), large);
    assert.equal(reader.maybe(2, TEXT), 'behind');
  });
});
